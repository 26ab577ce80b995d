"""PhysicalAI-AV: miniature files in the real layout come back as the world's own clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("av", reason="videos need PyAV: pip install 'ar1-rl[physical-ai]'")

import pyarrow as pa
from miniature_data import EGOMOTION, IDS, RIG, SETTINGS, chunk_file, set_events, world_clips
from scipy.spatial.transform import Rotation

from scenes.clip import Clip
from scenes.decisions import Lateral, Longitudinal
from scenes.dynamics import integrate
from scenes.physical_ai import DatasetError, PhysicalAI, ReadChoice, ReadReport
from scenes.physical_ai.egomotion import Egomotion, planar
from scenes.physical_ai.encode import encode
from scenes.physical_ai.layout import STEP_US
from scenes.physical_ai.miniature import write_miniature
from scenes.physical_ai.moments import Moment
from scenes.physical_ai.obstacles import agents_at, read_tracks
from scenes.physical_ai.video import Video
from scenes.physical_ai.writer import parquet_bytes, write_index
from scenes.store.record import pack_clip, unpack_clip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("physical-ai") / "data"
    write_miniature(root, SETTINGS)
    return root


@pytest.fixture(scope="module")
def pairs(data: Path) -> list[tuple[Clip, Clip]]:
    """What was read, beside what was written."""
    report = ReadReport()
    read = list(PhysicalAI(data).read(rig=RIG, report=report))
    assert list(report.lines()) == []
    return list(zip(read, world_clips(), strict=True))


def test_every_event_of_a_clip_is_a_clip_of_its_own(pairs: list[tuple[Clip, Clip]]) -> None:
    assert [clip.clip_id for clip, _ in pairs] == [f"{i}@{t}" for i in IDS for t in (3_200_000, 12_400_000)]
    assert len({clip.clip_id for clip, _ in pairs}) == 6
    for clip, world in pairs:
        assert clip.label is not None
        assert world.label is not None
        assert clip.label.text == world.label.text
        assert (clip.label.longitudinal, clip.label.lateral, clip.label.factors) == (None, None, ())
        assert clip.source == f"physical_ai/{clip.clip_id.split('@')[0]}"
        assert clip.road is None


def test_motion_is_the_worlds_own(pairs: list[tuple[Clip, Clip]]) -> None:
    for clip, world in pairs:
        np.testing.assert_allclose(clip.ego_history, world.ego_history, atol=5e-3)
        np.testing.assert_allclose(clip.ego_future[:, :2], world.ego_future[:, :2], atol=2e-2)
        np.testing.assert_array_equal(integrate(clip.actions, clip.ego_history[-1, 3]), clip.ego_future)
        assert clip.ego_size == world.ego_size


def test_road_users_are_where_the_world_had_them(pairs: list[tuple[Clip, Clip]]) -> None:
    for clip, world in pairs:
        names = [name.split(":", 2)[2] for name in clip.agents.ids]
        for at, name in enumerate(names):
            truth = world.agents.ids.index(name)
            assert clip.agents.valid[at].all()
            assert clip.agents.classes[at] == world.agents.classes[truth]
            np.testing.assert_allclose(clip.agents.sizes[at], world.agents.sizes[truth], atol=1e-9)
            apart = np.linalg.norm(clip.agents.poses[at, :, :2] - world.agents.poses[truth, :, :2], axis=1)
            assert apart.max() < 0.06
            turned = clip.agents.poses[at, :, 2] - world.agents.poses[truth, :, 2]
            assert np.abs(np.sin(turned)).max() < 0.05
        ahead = np.linalg.norm(world.agents.poses[:, 15, :2], axis=1) < 80.0
        assert {world.agents.ids[i] for i in np.flatnonzero(ahead)} <= set(names)


def test_pictures_are_the_right_ones(pairs: list[tuple[Clip, Clip]]) -> None:
    frames = [clip.cameras.frames.astype(float) for clip, _ in pairs if clip.cameras is not None]
    truth = [world.cameras.frames.astype(float) for _, world in pairs if world.cameras is not None]
    assert len(frames) == len(truth) == 6
    for at, one in enumerate(frames):
        for camera in range(4):
            own = [np.abs(one[camera, 1] - other[camera, 1]).mean() for other in truth]
            assert int(np.argmin(own)) == at
        assert np.abs(one - truth[at]).mean() < 8.0


def test_clips_are_stored_and_sentences_parsed(data: Path) -> None:
    told = (Longitudinal.YIELD, Lateral.LANE_KEEPING, None)
    clip = next(PhysicalAI(data, parser=lambda _: told).read(IDS[:1]))
    assert clip.label is not None
    assert (clip.label.longitudinal, clip.label.lateral) == told[:2]
    again = unpack_clip(pack_clip(clip))
    np.testing.assert_array_equal(again.ego_future, clip.ego_future)
    assert again.label == clip.label


def test_clips_without_sentences_are_read_at_the_release_moment(data: Path, tmp_path: Path) -> None:
    import shutil

    root = Path(shutil.copytree(data, tmp_path / "copy"))
    set_events(root, {})
    (clip,) = PhysicalAI(root).read(IDS[:1])
    assert (clip.t0, clip.label) == (5.1, None)
    moments = ReadChoice(unlabelled_t0_s=(2.0, 6.0, 2.0))
    assert [c.t0 for c in PhysicalAI(root, moments).read(IDS[:1])] == [2.0, 6.0]
    report = ReadReport()
    assert list(PhysicalAI(root, ReadChoice(labelled_only=True)).read(report=report)) == []
    assert report.refused == 3


def test_writing_goes_on_where_it_stopped(data: Path, tmp_path: Path) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    root = tmp_path / "again"
    with pytest.raises(KeyboardInterrupt):
        write_miniature(root, SETTINGS, stop)
    with pytest.raises(DatasetError, match="not a PhysicalAI-AV data set"):
        PhysicalAI(root)
    first = chunk_file(root, EGOMOTION, 0)
    stamp = first.stat().st_mtime_ns
    write_miniature(root, SETTINGS)
    assert first.stat().st_mtime_ns == stamp
    ours = sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())
    assert ours == sorted(path.relative_to(data) for path in data.rglob("*") if path.is_file())
    assert all((root / path).read_bytes() == (data / path).read_bytes() for path in ours)
    with pytest.raises(DatasetError, match="holds a data set already"):
        write_miniature(root, SETTINGS)


def test_an_index_can_hold_more_than_its_files(tmp_path: Path) -> None:
    from scenes.physical_ai.writer import IndexedClip

    write_index(
        tmp_path, [IndexedClip(f"clip-{i:05d}", i // 100, "val" if i % 2 else "train") for i in range(1000)]
    )
    index = PhysicalAI(tmp_path).index
    assert len(index) == 1000
    assert index.chunk_of("clip-00999") == 9
    assert len(index.of_split("val")) == 500
    with pytest.raises(DatasetError, match="train, val"):
        index.of_split("test")


ANGLE = st.floats(-3.0, 3.0)


@settings(max_examples=25)
@given(ANGLE, st.floats(-0.2, 0.2), st.floats(-0.2, 0.2), st.floats(-1e4, 1e4), st.floats(0.0, 0.009))
def test_the_anchor_frame_does_not_matter(
    yaw: float, pitch: float, roll: float, far: float, phase: float
) -> None:
    """Poses around t0 are the same however the table's own frame lies."""
    times = np.arange(0, 12_000_000, 10_000) + round(phase * 1e6)
    seconds = times / 1e6
    heading = 0.3 * np.sin(0.4 * seconds)
    xyz = np.column_stack((8.0 * seconds, 5.0 * np.sin(0.2 * seconds), 0.0 * seconds))
    placed = Rotation.from_euler("zyx", (yaw, pitch, roll))
    rotations = placed * Rotation.from_euler("z", heading[:, None])
    moved = Egomotion(times, placed.apply(xyz) + far, rotations.as_quat())
    plain = Egomotion(times, xyz, Rotation.from_euler("z", heading[:, None]).as_quat())
    wanted = Moment(5_000_000).times_us
    np.testing.assert_allclose(
        planar(moved, moved.frame(5_000_000), wanted),
        planar(plain, plain.frame(5_000_000), wanted),
        atol=1e-6,
    )


def test_parked_cars_stand_still_while_the_ego_vehicle_turns() -> None:
    """Boxes come in the rig frame of their own time; the ego motion is taken out of them."""
    times = np.arange(0, 12_000_000, 10_000)
    seconds = times / 1e6
    states = integrate(np.tile((0.5, 0.03), (1199, 1)), 6.0, dt=0.01)
    states = np.concatenate(([[0.0, 0.0, 0.0, 6.0]], states))
    turned = Rotation.from_euler("z", states[:, 2:3])
    egomotion = Egomotion(times, np.column_stack((states[:, :2], 0 * seconds)), turned.as_quat())
    sampled = np.arange(37_000, 11_900_000, 100_000)
    origins, rotations = egomotion.at(sampled)
    parked = rotations.inv().apply(np.array([30.0, 12.0, 0.8]) - origins)
    boxes = (rotations.inv() * Rotation.from_euler("z", [0.7])).as_quat()
    table = {
        "timestamp_us": sampled,
        "track_id": ["a"] * len(sampled),
        **{f"center_{axis}": parked[:, i] for i, axis in enumerate("xyz")},
        **{f"size_{axis}": np.full(len(sampled), 2.0) for axis in "xyz"},
        **{f"orientation_{axis}": boxes[:, i] for i, axis in enumerate("xyzw")},
        "label_class": ["automobile"] * len(sampled),
    }
    tracks = read_tracks(parquet_bytes(pa.table(table)), egomotion, "tracks")
    agents = agents_at(tracks, egomotion, egomotion.frame(0), Moment(2_000_000).times_us)
    np.testing.assert_allclose(agents.poses[0], np.tile((30.0, 12.0, 0.7), (80, 1)), atol=2e-3)


def test_a_track_is_valid_only_where_it_was_seen() -> None:
    times = np.arange(0, 12_000_000, 10_000)
    still = Egomotion(times, np.zeros((len(times), 3)), np.tile((0.0, 0.0, 0.0, 1.0), (len(times), 1)))
    sampled = np.array([1_000_000, 1_100_000, 1_200_000, 3_000_000, 3_100_000, 3_200_000])
    count = len(sampled)
    table = {
        "timestamp_us": sampled,
        "track_id": ["a"] * count,
        **{f"center_{axis}": np.full(count, 5.0) for axis in "xyz"},
        **{f"size_{axis}": np.full(count, 1.0) for axis in "xyz"},
        **{f"orientation_{axis}": np.full(count, float(axis == "w")) for axis in "xyzw"},
        "label_class": ["person"] * count,
    }
    tracks = read_tracks(parquet_bytes(pa.table(table)), still, "tracks")
    moment = Moment(2_000_000)
    agents = agents_at(tracks, still, still.frame(2_000_000), moment.times_us)
    seen = moment.times_us[agents.valid[0]]
    assert seen.tolist() == [1_000_000, 1_100_000, 1_200_000, 3_000_000, 3_100_000, 3_200_000]
    assert np.isnan(agents.poses[0][~agents.valid[0]]).all()


@settings(max_examples=20)
@given(st.lists(st.integers(0, 24), min_size=1, max_size=6), st.integers(0, 39_999))
def test_any_frames_of_a_video_are_found_by_time(
    video: tuple[bytes, np.ndarray], wanted: list[int], late: int
) -> None:
    data, times = video
    with Video(data, times, "v") as opened:
        frames = opened.frames(times[wanted] + late)
    shades = frames.reshape(len(wanted), -1).mean(axis=1)
    assert np.abs(shades - 10.0 * np.array(wanted)).max() < 4.0


@pytest.fixture(scope="module")
def video() -> tuple[bytes, np.ndarray]:
    """25 grey frames, each 10 shades lighter than the one before, 40 ms apart."""
    frames = (np.full((48, 64, 3), 10 * shade, np.uint8) for shade in range(25))
    return encode(frames, 25, 64, 48), 1_000_000 + 40_000 * np.arange(25)


def test_a_moments_times_are_the_models() -> None:
    times = Moment(5_100_000).times_us
    assert (times[0], times[15], times[16], times[-1]) == (3_600_000, 5_100_000, 5_200_000, 11_500_000)
    assert set(np.diff(times)) == {STEP_US}
