"""PhysicalAI-AV: whatever is corrupt, missing or overlapping is named, and the other clips are read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("av", reason="videos need PyAV: pip install 'ar1-rl[physical-ai]'")

from miniature_data import (
    CAMERA,
    EGOMOTION,
    IDS,
    OBSTACLES,
    RIG,
    SETTINGS,
    WIDE,
    change_member,
    change_table,
    chunk_file,
    copy,
    set_events,
    set_rows,
)

from scenes.clip import Clip
from scenes.physical_ai import DatasetError, PhysicalAI, ReadChoice, ReadReport
from scenes.physical_ai.layout import FEATURES_FILE, INDEX_FILE, REASONING_FILE
from scenes.physical_ai.miniature import write_miniature

FIRST, SECOND, THIRD = IDS
SIZES = "calibration/vehicle_dimensions/vehicle_dimensions"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("physical-ai") / "data"
    write_miniature(root, SETTINGS)
    return root


@pytest.fixture
def root(data: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return copy(data, tmp_path)


def read(
    root: Path, choice: ReadChoice | None = None, images: bool = True
) -> tuple[list[str], list[str], list[Clip]]:
    """Ids that were read, what the report says of the others, and the clips."""
    report, source = ReadReport(), PhysicalAI(root, choice)
    source.strays(report)
    clips = list(source.read(rig=RIG if images else None, report=report))
    return [clip.clip_id for clip in clips], list(report.lines()), clips


def both(*names: str) -> list[str]:
    return [f"{name}@{t0}" for name in names for t0 in (3_200_000, 12_400_000)]


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def twice(times: np.ndarray) -> np.ndarray:
    times[500] = times[499]
    return times


def lost(values: np.ndarray) -> np.ndarray:
    values[300] = np.nan
    return values


MOTION = f"{FIRST}.egomotion.parquet"
Break = Callable[[Path], None]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (
            lambda p: change_member(chunk_file(p, EGOMOTION, 0), MOTION, cut),
            "egomotion is not readable parquet",
        ),
        (lambda p: change_member(chunk_file(p, EGOMOTION, 0), MOTION, lambda _: None), "holds no"),
        (
            lambda p: change_table(
                chunk_file(p, EGOMOTION, 0), MOTION, lambda t: set_rows(t, "timestamp", twice)
            ),
            "times overlap or go back at row 500",
        ),
        (
            lambda p: change_table(chunk_file(p, EGOMOTION, 0), MOTION, lambda t: set_rows(t, "x", lost)),
            "column x holds missing or non-finite",
        ),
        (
            lambda p: change_table(
                chunk_file(p, EGOMOTION, 0), MOTION, lambda t: set_rows(t, "qw", lambda q: 3 * q)
            ),
            "no unit quaternion",
        ),
        (
            lambda p: change_table(chunk_file(p, EGOMOTION, 0), MOTION, lambda t: t.drop_columns(["qw"])),
            "has no column qw; it has timestamp",
        ),
        (
            lambda p: change_member(chunk_file(p, CAMERA, 0), f"{FIRST}.{WIDE}.mp4", cut),
            f"{WIDE} is no readable video",
        ),
        (
            lambda p: change_member(chunk_file(p, CAMERA, 0), f"{FIRST}.{WIDE}.mp4", lambda _: b"no video"),
            f"{WIDE} is no readable video",
        ),
        (
            lambda p: change_table(
                chunk_file(p, CAMERA, 0), f"{FIRST}.{WIDE}.timestamps.parquet", lambda t: t.slice(0, 150)
            ),
            "has 200 frames, but 150 time stamps",
        ),
        (
            lambda p: change_member(chunk_file(p, OBSTACLES, 0), f"{FIRST}.obstacle.offline.parquet", cut),
            "obstacle.offline is not readable parquet",
        ),
    ],
)
def test_a_broken_file_costs_its_own_clip_only(root: Path, damage: Break, words: str) -> None:
    damage(root)
    ids, lines, _ = read(root)
    assert ids == both(SECOND, THIRD)
    (line,) = lines
    assert line.startswith(f"refused: {FIRST}: ")
    assert words in line


def test_a_flipped_byte_inside_a_video_is_told(root: Path) -> None:
    path = chunk_file(root, CAMERA, 0)
    packed = bytearray(path.read_bytes())
    packed[packed.index(f"{FIRST}.{WIDE}.mp4".encode()) + 2000] ^= 0xFF
    path.write_bytes(packed)
    ids, lines, _ = read(root)
    assert ids == both(SECOND, THIRD)
    assert "cannot be unpacked: Bad CRC-32" in lines[0]


@pytest.mark.parametrize("state", ["cut", "missing"])
def test_a_broken_chunk_costs_its_own_clips_only(root: Path, state: str) -> None:
    path = chunk_file(root, CAMERA, 0)
    path.write_bytes(cut(path.read_bytes())) if state == "cut" else path.unlink()
    ids, lines, _ = read(root)
    assert ids == both(THIRD)
    assert [line.split(": ")[1] for line in lines] == [FIRST, SECOND]
    assert ("is not a whole zip archive" if state == "cut" else "download that chunk") in lines[0]


def test_a_gap_costs_the_moment_it_lies_in(root: Path) -> None:
    def without(table: pa.Table) -> pa.Table:
        times = table["timestamp"].to_numpy()
        return table.filter(pa.array((times < 5_000_000) | (times > 5_400_000)))

    change_table(chunk_file(root, EGOMOTION, 0), MOTION, without)
    ids, lines, _ = read(root)
    assert ids == [f"{FIRST}@12400000", *both(SECOND, THIRD)]
    assert lines == [f"refused: {FIRST} at 3.20 s: egomotion has no samples within 0.15 s around 5.00 s"]


def test_a_camera_that_stops_costs_the_moments_after_it(root: Path) -> None:
    name = f"{FIRST}.{WIDE}.timestamps.parquet"
    change_table(chunk_file(root, CAMERA, 0), name, lambda t: set_rows(t, "timestamp", lambda v: v * 4 // 10))
    ids, lines, _ = read(root)
    assert ids == [f"{FIRST}@3200000", *both(SECOND, THIRD)]
    assert f"{WIDE} has no frame within 0.12 s before 12.40 s; it lasts from" in lines[0]


def test_motion_that_no_car_drives_is_refused_with_its_error(root: Path) -> None:
    def sideways(y: np.ndarray) -> np.ndarray:
        y[1400:] += 3.0
        return y

    change_table(chunk_file(root, EGOMOTION, 0), MOTION, lambda t: set_rows(t, "y", sideways))
    ids, lines, _ = read(root)
    assert ids == [f"{FIRST}@3200000", *both(SECOND, THIRD)]
    assert lines[0].startswith(f"refused: {FIRST} at 12.40 s: position error over 0.5 m (")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda t: set_rows(t, "label_class", lambda v: np.where(v == v[0], "ufo", v)),
            "has the class ufo; known",
        ),
        (lambda t: pa.concat_tables([t, t.slice(5, 1)]), "has two boxes at one time"),
        (lambda t: set_rows(t, "size_x", lambda v: 0.0 * v), "has a size of 0 or less"),
        (lambda t: set_rows(t, "reference_frame", lambda v: np.full(len(v), "world")), "only 'rig' is read"),
        (lambda t: t.drop_columns(["track_id"]), "has no column track_id"),
    ],
)
def test_tracks_that_contradict_themselves_are_refused(
    root: Path, change: Callable[[pa.Table], pa.Table], words: str
) -> None:
    change_table(chunk_file(root, OBSTACLES, 0), f"{FIRST}.obstacle.offline.parquet", change)
    ids, lines, _ = read(root, images=False)
    assert ids == both(SECOND, THIRD)
    assert words in lines[0]


def test_clips_without_tracks_are_noted_or_refused(root: Path) -> None:
    change_member(chunk_file(root, OBSTACLES, 0), f"{FIRST}.obstacle.offline.parquet", lambda _: None)
    ids, lines, clips = read(root, images=False)
    assert ids == both(*IDS)
    assert lines == [f"noted: {FIRST}: no obstacle.offline of it: read without road users"]
    assert clips[0].agents.poses.shape == (0, 80, 3)
    ids, lines, _ = read(root, ReadChoice(obstacles_required=True), images=False)
    assert ids == both(SECOND, THIRD)
    assert "tracks are required" in lines[0]


def test_clips_without_dimensions_need_a_size(root: Path) -> None:
    chunk_file(root, SIZES, 0, "parquet").unlink()
    ids, lines, _ = read(root, images=False)
    assert ids == both(THIRD)
    assert all("give the vehicle's size with ReadChoice.ego_size" in line for line in lines)
    ids, lines, clips = read(root, ReadChoice(ego_size=(5.0, 2.0, 1.5, 1.4)), images=False)
    assert ids == both(*IDS)
    assert (lines, clips[0].ego_size) == ([], (5.0, 2.0, 1.5, 1.4))


def test_unusable_events_are_named_one_by_one(root: Path) -> None:
    def event(t0: object, text: object = "Keep the lane.") -> dict[str, object]:
        return {"event_start_timestamp": t0, "cot": text}

    set_events(
        root,
        {
            FIRST: [event(1_500_000), event(5_000_000), event(5_000_000, "Turn."), event(13_700_000)],
            SECOND: [event("soon"), event(5_000_000, "  "), "text", event(None), event(float("nan"))],
            THIRD: "[{",
            "stranger": [event(5_000_000)],
        },
    )
    ids, lines, clips = read(root, ReadChoice(labelled_only=True), images=False)
    assert ids == [f"{FIRST}@5000000"]
    assert clips[0].label is not None
    assert clips[0].label.text == "Keep the lane."
    told = "\n".join(lines)
    for words in (
        f"{FIRST} at 5.00 s: reasoning event 2 overlaps another event at 5.00 s; the first counts",
        f"{FIRST} at 1.50 s: is before 1.6 s: too little history",
        f"{FIRST} at 13.70 s: is after 13.6 s: the future would leave the clip",
        f"{SECOND}: reasoning event 0 has no usable event_start_timestamp: 'soon'",
        f"{SECOND}: reasoning event 1 has no sentence under cot or coc",
        f"{SECOND}: reasoning event 2 is a str, no object",
        f"{SECOND}: reasoning event 3 has no usable event_start_timestamp: None",
        f"{THIRD}: its reasoning events are no JSON",
        "stranger: has reasoning events, but the index does not list it",
    ):
        assert words in told
    assert "event 4 has no usable" in told


def test_events_may_be_lists_and_sentences_have_either_name(root: Path) -> None:
    rows = [[{"event_start_timestamp": 5_000_000, "coc": "Keep the lane."}]]
    pq.write_table(pa.table({"clip_id": [FIRST], "events": rows}), root / REASONING_FILE)
    ids, _, clips = read(root, ReadChoice(labelled_only=True), images=False)
    assert ids == [f"{FIRST}@5000000"]
    assert clips[0].label is not None


def test_index_rows_that_overlap_or_are_invalid_are_named(root: Path) -> None:
    index = pq.read_table(root / INDEX_FILE)
    again = pa.concat_tables([index, index.slice(0, 1)])
    valid = np.array([True, True, False, True])
    pq.write_table(set_rows(again, "clip_is_valid", lambda _: valid), root / INDEX_FILE)
    ids, lines, _ = read(root, images=False)
    assert ids == both(FIRST, SECOND)
    assert f"refused: {THIRD}: {INDEX_FILE} marks it invalid" in lines
    assert f"refused: {FIRST}: row 3 of {INDEX_FILE} names it again; the first row counts" in lines


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (
            lambda p: (p / FEATURES_FILE).unlink(),
            "is not a PhysicalAI-AV data set: features.csv is not there",
        ),
        (lambda p: (p / INDEX_FILE).write_bytes(b"PAR1"), "clip_index.parquet is not readable parquet"),
        (lambda p: (p / REASONING_FILE).write_bytes(b""), "ood_reasoning.parquet is not readable parquet"),
        (lambda p: pq.write_table(pa.table({"clip_id": ["a"]}), p / INDEX_FILE), "has no column chunk"),
        (
            lambda p: pq.write_table(pa.table({"chunk": [1]}), p / INDEX_FILE),
            "neither a column nor an index clip_id",
        ),
        (lambda p: edit_features(p, "labels/", "../labels/"), "leaves the data set"),
        (lambda p: edit_features(p, "labels/", "/labels/"), "leaves the data set"),
        (lambda p: edit_features(p, "{chunk_id:04d}", "{chunk_id.real}"), "asks for 'chunk_id.real'"),
        (lambda p: edit_features(p, "feature,", "name,"), "lacks the columns feature and chunk_path"),
    ],
)
def test_a_data_set_that_cannot_be_read_at_all_says_so(root: Path, damage: Break, words: str) -> None:
    damage(root)
    with pytest.raises(DatasetError, match=re.escape(words)):
        PhysicalAI(root)


def edit_features(root: Path, old: str, new: str) -> None:
    path = root / FEATURES_FILE
    path.write_text(path.read_text().replace(old, new))


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is no folder"):
        PhysicalAI(tmp_path / "nowhere")


def test_reports_survive_storage(root: Path) -> None:
    chunk_file(root, EGOMOTION, 0).unlink()
    report = ReadReport()
    list(PhysicalAI(root).read(report=report))
    again = ReadReport.from_json(json.loads(json.dumps(report.as_json())))
    assert again == report
    assert (again.read, again.refused) == (2, 2)
    assert sum(again.reasons().values()) == 2
