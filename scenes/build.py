"""Clip stores of the procedural world, built on several processes and reused.

Role: `ensure_store` is how every stage gets its clips. Invariant: a store's path is a digest of everything its
content depends on, so that a changed setting builds another store and an unchanged one is opened at once; the
same arguments give the same clips whatever the number of processes.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from scenes.cameras import CameraRig
from scenes.store import ClipStoreWriter, merge_stores
from scenes.world import WorldConfig, generate

PART = 256
FORMAT = 1
"""Raise when the world or the renderer changes what the same settings give."""


def store_digest(config: WorldConfig, count: int, rig: CameraRig) -> str:
    """Twelve hexadecimal digits that name a store's content."""
    world = {name: value for name, value in asdict(config).items() if name != "chunk"}
    content = {"format": FORMAT, "world": world, "count": count, "rig": asdict(rig)}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _part(path: Path, config: WorldConfig, start: int, count: int, rig: CameraRig) -> int:
    if not path.exists():
        with ClipStoreWriter(path, rig) as writer:
            for clip in generate(config, start, count, rig):
                writer.append(clip)
    return count


def ensure_store(
    folder: Path,
    name: str,
    config: WorldConfig,
    count: int,
    rig: CameraRig,
    processes: int,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Path of the store `folder/<name>-<digest>`, built first when it is not there.

    Interrupted builds continue at their last whole part of 256 clips. progress: called with the count of each
    finished part instead of showing a bar. Raises what `generate` raises.
    """
    path = folder / f"{name}-{store_digest(config, count, rig)}"
    if path.exists():
        return path
    parts = folder / f".{path.name}.parts"
    parts.mkdir(parents=True, exist_ok=True)
    starts = range(0, count, PART)
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(processes, mp_context=context) as pool,
        tqdm(total=count, desc=f"clips {name}", unit="clip", disable=progress is not None) as bar,
    ):
        jobs = [
            pool.submit(_part, parts / f"{start:08d}", config, start, min(PART, count - start), rig)
            for start in starts
        ]
        for job in as_completed(jobs):
            done = job.result()
            bar.update(done)
            if progress is not None:
                progress(done)
    merge_stores(path, [parts / f"{start:08d}" for start in starts])
    shutil.rmtree(parts)
    return path
