"""A miniature PhysicalAI-AV data set for tests, and ways to break a copy of it."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scenes.cameras import default_rig
from scenes.clip import Clip
from scenes.physical_ai.layout import CAMERA_FEATURES, REASONING_FILE
from scenes.physical_ai.miniature import Miniature
from scenes.physical_ai.writer import parquet_bytes, write_zip
from scenes.world import WorldConfig, generate

SETTINGS = Miniature(clips=3, moments=2, chunk_size=2, width=128, height=80, frames=2)
RIG = default_rig(frames=2, width=96, height=64)
IDS = [SETTINGS.clip_id(number) for number in range(SETTINGS.clips)]
EGOMOTION, OBSTACLES = "labels/egomotion/egomotion", "labels/obstacle.offline/obstacle.offline"
WIDE = CAMERA_FEATURES["front_wide"]
CAMERA = f"camera/{WIDE}/{WIDE}"


def world_clips() -> list[Clip]:
    """The world's own clips, one a moment, in the order of reading."""
    count = SETTINGS.clips * SETTINGS.moments
    return list(generate(WorldConfig(seed=SETTINGS.seed), 0, count, RIG))


def copy(data: Path, to: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(data, to / "broken"))


def chunk_file(root: Path, stem: str, number: int, kind: str = "zip") -> Path:
    """A chunk's file."""
    return root / f"{stem}.chunk_{number:04d}.{kind}"


def change_member(path: Path, name: str, change: Callable[[bytes], bytes | None]) -> None:
    """Replace a member of a zip archive; None removes it."""
    with zipfile.ZipFile(path) as archive:
        members = {entry: archive.read(entry) for entry in archive.namelist()}
    new = change(members.pop(name))
    write_zip(path, members if new is None else {**members, name: new})


def change_table(path: Path, name: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Replace a parquet member of a zip archive."""
    change_member(path, name, lambda data: parquet_bytes(change(pq.read_table(io.BytesIO(data)))))


def set_rows(table: pa.Table, column: str, change: Callable[[np.ndarray], np.ndarray]) -> pa.Table:
    """A table with one column changed as a numpy array."""
    values = change(table[column].to_numpy(zero_copy_only=False).copy())
    return table.set_column(table.column_names.index(column), column, pa.array(values))


def set_events(root: Path, events: dict[str, object]) -> None:
    """Replace the reasoning file: events by clip, as JSON unless they are text already."""
    told = [value if isinstance(value, str) else json.dumps(value) for value in events.values()]
    pq.write_table(pa.table({"clip_id": list(events), "events": told}), root / REASONING_FILE)
