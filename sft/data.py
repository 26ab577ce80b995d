"""The clip stores that a configuration names: one a split, each from a world seed of its own."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tqdm import tqdm

from scenes.build import FORMAT, ensure_store
from scenes.cameras import CameraRig, default_rig
from scenes.commonroad import read_commonroad
from scenes.store import ClipStoreWriter
from scenes.world import WorldConfig
from sft.config import SPLITS, DataConfig

ROUND_STRIDE = 1_000_003
"""Distance of the world seeds of two test rounds: far beyond len(SPLITS) times any sensible `data.seed`."""


def rig_of(data: DataConfig) -> CameraRig:
    """Cameras of the clips."""
    return default_rig(data.cameras, data.frames, data.width, data.height)


def split_store(data: DataConfig, split: str) -> Path:
    """Path of a split's store, built when it is not there. Raises ValueError for an unknown split."""
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}; there are {', '.join(SPLITS)}")
    weights = dict.fromkeys(data.situations, 1.0)
    world = WorldConfig(seed=world_seed(data, split), weights=weights)
    count = getattr(data, split)
    return ensure_store(data.folder, split, world, count, rig_of(data), data.processes)


def world_seed(data: DataConfig, split: str) -> int:
    """Seed of a split's world; no two splits, and no two rounds of the test split, share one."""
    seed = data.seed * len(SPLITS) + SPLITS.index(split)
    return seed + data.test_round * ROUND_STRIDE if split == "test" else seed


def recorded_store(data: DataConfig, folder: Path, windows: int) -> Path:
    """Store of recorded CommonRoad windows with the same cameras, built when it is not there.

    Windows in which the car moves less than 20 m are kept one in five: most cars at a red light just wait.
    Raises RecordingError (a ValueError) when the folder is missing or a file is malformed.
    """
    rig = rig_of(data)
    files = sorted(path.name for path in folder.glob("*.xml"))
    content = f"{files}{windows}{rig}{FORMAT}".encode()
    path = data.folder / f"recorded-{hashlib.sha256(content).hexdigest()[:12]}"
    if not path.exists():
        clips = read_commonroad(folder, rig=rig, max_clips=windows, min_distance_m=20.0, keep_slow=0.2)
        with ClipStoreWriter(path, rig) as writer:
            for clip in tqdm(clips, desc="recorded clips", unit="clip"):
                writer.append(clip)
    return path
