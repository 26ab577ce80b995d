"""PhysicalAI-AV: NVIDIA's devkit reads what our writer writes, and our reader agrees with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("av", reason="videos need PyAV: pip install 'ar1-rl[physical-ai]'")
pytest.importorskip("physical_ai_av", reason="NVIDIA's devkit: pip install 'ar1-rl[physical-ai]'")

import huggingface_hub.constants
import physical_ai_av as devkit
from miniature_data import IDS, RIG, SETTINGS, WIDE

from scenes.physical_ai import PhysicalAI, ReadReport
from scenes.physical_ai.chunks import Chunks
from scenes.physical_ai.egomotion import Egomotion
from scenes.physical_ai.files import DevkitFiles
from scenes.physical_ai.miniature import write_miniature
from scenes.physical_ai.parquet import microseconds, read_table
from scenes.physical_ai.video import Video

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub cache that holds a miniature as the data set's snapshot."""
    root = tmp_path_factory.mktemp("hub")
    write_miniature(root / "datasets--nvidia--PhysicalAI-Autonomous-Vehicles/snapshots" / REVISION, SETTINGS)
    return root


@pytest.fixture
def interface(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return devkit.PhysicalAIAVDatasetInterface(revision=REVISION, cache_dir=cache)


def snapshot(cache: Path) -> Path:
    return next(cache.glob("*/snapshots/*"))


def test_the_devkit_reads_a_miniature(interface: Any) -> None:
    assert interface.clip_index.index.tolist() == IDS
    assert interface.get_clip_chunk(IDS[2]) == 1
    assert interface.chunk_feature_presence.loc[0, WIDE]
    size = interface.get_clip_feature(IDS[0], "vehicle_dimensions")
    assert size.length > 3.0


def test_poses_are_the_devkits(interface: Any, cache: Path) -> None:
    theirs = interface.get_clip_feature(IDS[0], "egomotion")
    chunks = Chunks(PhysicalAI(snapshot(cache)).files, PhysicalAI(snapshot(cache)).index)
    ours = Egomotion.read(chunks.member(IDS[0], "egomotion", "egomotion"), "egomotion")
    times = np.linspace(ours.times_us[0], ours.times_us[-1], 997).astype(np.int64)
    pose = theirs(times).pose
    positions, rotations = ours.at(times)
    np.testing.assert_allclose(positions, pose.translation, atol=1e-9)
    assert (rotations.inv() * pose.rotation).magnitude().max() < 1e-7


def test_frames_are_the_devkits(interface: Any, cache: Path) -> None:
    theirs = interface.get_clip_feature(IDS[0], WIDE)
    chunks = Chunks(PhysicalAI(snapshot(cache)).files, PhysicalAI(snapshot(cache)).index)
    stamps = read_table(chunks.member(IDS[0], WIDE, "frame_timestamps"), "stamps", ("timestamp",))
    wanted = np.array([3_200_000, 3_100_000, 12_400_000, 100_000, 3_200_050, 19_990_000])
    with Video(
        chunks.member(IDS[0], WIDE, "video"), microseconds(stamps, "timestamp", "stamps"), "video"
    ) as video:
        frames = video.frames(wanted)
    truth, _ = theirs.decode_images_from_timestamps(wanted)
    np.testing.assert_array_equal(frames, truth)


def test_the_reader_reads_through_the_devkit(interface: Any, cache: Path) -> None:
    files, report = DevkitFiles(interface), ReadReport()
    through = list(PhysicalAI(files).read(IDS[:2], RIG, report))
    files.close()
    direct = list(PhysicalAI(snapshot(cache)).read(IDS[:2], RIG))
    assert list(report.lines()) == []
    assert [clip.clip_id for clip in through] == [clip.clip_id for clip in direct]
    for one, other in zip(through, direct, strict=True):
        assert one.cameras is not None
        assert other.cameras is not None
        np.testing.assert_array_equal(one.ego_future, other.ego_future)
        np.testing.assert_array_equal(one.cameras.frames, other.cameras.frames)


def test_chunks_that_are_not_cached_are_told(interface: Any, cache: Path) -> None:
    path = snapshot(cache) / f"camera/{WIDE}/{WIDE}.chunk_0001.zip"
    aside = path.rename(path.with_suffix(".aside"))
    report = ReadReport()
    assert list(PhysicalAI(DevkitFiles(interface)).read(IDS[2:], RIG, report)) == []
    aside.rename(path)
    assert "is not in the cache; download it with the devkit" in next(iter(report.lines()))
