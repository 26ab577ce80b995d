"""Miniature PhysicalAI-AV data sets, driven and drawn by the procedural world.

Role: real files in the real layout (mp4 in zip chunks, parquet labels), small enough for tests. Invariants: the
same settings give the same files; an interrupted write goes on with the chunk it was at; every moment of a
clip has a sentence that is true of it.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.spatial.transform import Rotation

from scenes.cameras import default_rig
from scenes.clip import CAMERA_NAMES, Clip
from scenes.geometry import to_frame
from scenes.physical_ai.drive import AFTER_S, BEFORE_S, Drive, join, road_users
from scenes.physical_ai.encode import encode
from scenes.physical_ai.errors import DatasetError
from scenes.physical_ai.layout import CLIP_US, INDEX_FILE
from scenes.physical_ai.writer import (
    IndexedClip,
    RecordedClip,
    RecordedVideo,
    write_chunk,
    write_index,
    write_whole,
)
from scenes.world import WorldConfig, generate

CLASS_OF = {
    "car": "automobile",
    "truck": "heavy_truck",
    "pedestrian": "person",
    "cyclist": "rider",
    "cone": "protruding_object",
}
MOMENTS_S = {1: (5.1,), 2: (3.2, 12.4)}
"""Times of the reasoning events of a clip, by how many it has."""
CAMERA_LAG_US = {name: 7_000 * at for at, name in enumerate(CAMERA_NAMES)}
"""Cameras are not triggered at the same instant: each takes its picture a little before the whole step."""
EGOMOTION_HZ = 100
EGOMOTION_PHASE_S = 0.0033


@dataclass(frozen=True)
class Miniature:
    """clips: how many; moments: reasoning events of each (1 or 2); chunk_size: clips a chunk; width, height:
    of the videos; shrink: pictures are drawn smaller by this factor and scaled up; frames: pictures drawn before
    each moment, 0.1 s apart (the rest of a video stands still); rate: of the videos, Hz; seed: of the world."""

    clips: int = 8
    moments: int = 2
    chunk_size: int = 4
    width: int = 480
    height: int = 270
    frames: int = 4
    rate: int = 10
    seed: int = 0
    shrink: int = 1

    def __post_init__(self) -> None:
        if self.moments not in MOMENTS_S:
            raise ValueError(f"{self.moments} moments a clip: 20 s hold 1 or 2 with their history and future")
        if self.clips < 1 or self.chunk_size < 1:
            raise ValueError(f"{self.clips} clips in chunks of {self.chunk_size}: both must be at least 1")
        if self.shrink < 1 or self.width // self.shrink < 2 or self.height // self.shrink < 2:
            raise ValueError(f"{self.width}x{self.height} pixels shrunk {self.shrink} times leave no picture")
        if self.rate % 10:
            raise ValueError(f"{self.rate} Hz: pictures are drawn every 0.1 s, take a multiple of 10 Hz")

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return -(-self.clips // self.chunk_size)

    def clip_id(self, number: int) -> str:
        """A UUID fixed by seed and number, as the data set's ids are UUIDs."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"ar1-rl miniature {self.seed}/{number}"))


def write_miniature(root: Path, settings: Miniature, progress: Callable[[int], None] | None = None) -> None:
    """Write a data set into `root`, or go on with one that was interrupted.

    progress: called with the number of clips of each finished chunk. Raises DatasetError when root holds a
    finished data set, or an unfinished one of other settings."""
    if (root / INDEX_FILE).exists():
        raise DatasetError(f"{root} holds a data set already; choose another folder or delete it first")
    notes = root / ".unfinished"
    _same_settings(notes, settings)
    done: list[IndexedClip] = []
    for chunk in range(settings.chunks):
        note = notes / f"{chunk:04d}.json"
        if not note.exists():
            numbers = range(
                chunk * settings.chunk_size, min((chunk + 1) * settings.chunk_size, settings.clips)
            )
            indexed = write_chunk(root, chunk, list(recorded_clips(settings, numbers)))
            write_whole(note, json.dumps([asdict(entry) for entry in indexed]).encode())
        entries = [
            IndexedClip(**{**entry, "events": tuple(entry["events"]), "features": tuple(entry["features"])})
            for entry in json.loads(note.read_text())
        ]
        done += entries
        if progress is not None:
            progress(len(entries))
    write_index(root, done)
    shutil.rmtree(notes)


def _same_settings(notes: Path, settings: Miniature) -> None:
    path, told = notes / "settings.json", json.dumps(asdict(settings))
    if path.exists() and path.read_text() != told:
        raise DatasetError(
            f"{notes.parent} was begun with other settings: {path.read_text()}; delete it first"
        )
    write_whole(path, told.encode())


def recorded_clips(settings: Miniature, numbers: range) -> Iterator[RecordedClip]:
    """The clips of these numbers, drawn and encoded."""
    size = (settings.width // settings.shrink, settings.height // settings.shrink)
    rig = default_rig(CAMERA_NAMES, settings.frames, *size)
    config = WorldConfig(seed=settings.seed)
    world = generate(config, numbers.start * settings.moments, len(numbers) * settings.moments, rig)
    for number in numbers:
        clips = [next(world) for _ in range(settings.moments)]
        yield recorded_clip(settings, number, clips)


def recorded_clip(settings: Miniature, number: int, clips: list[Clip]) -> RecordedClip:
    """One clip of the data set out of world clips, one a moment."""
    drive = join(clips, MOMENTS_S[settings.moments])
    events = [
        {"event_start_timestamp": round(t0 * 1e6), "cot": clip.label.text}
        for clip, t0 in zip(clips, drive.moments, strict=True)
        if clip.label is not None
    ]
    return RecordedClip(
        clip_id=settings.clip_id(number),
        egomotion=egomotion_table(drive),
        obstacles=obstacle_table(drive),
        videos={name: _video(settings, drive, camera) for camera, name in enumerate(CAMERA_NAMES)},
        size=clips[0].ego_size,
        events=tuple(events),
        split="val" if number % 5 == 4 else "train",
    )


def egomotion_table(drive: Drive) -> pa.Table:
    """Egomotion at 100 Hz in the frame of its first sample, with the data set's columns."""
    times = np.arange(-BEFORE_S + EGOMOTION_PHASE_S, AFTER_S, 1.0 / EGOMOTION_HZ)
    states = drive.at(times)
    anchor = states[0, :3].copy()
    xy, yaw = to_frame(states[:, :2], anchor), states[:, 2] - anchor[2]
    velocity = np.column_stack((states[:, 3] * np.cos(yaw), states[:, 3] * np.sin(yaw), np.zeros(len(yaw))))
    acceleration = np.gradient(velocity, times, axis=0)
    speed = np.maximum(np.abs(states[:, 3]), 1e-3)
    columns = {
        "timestamp": np.round(times * 1e6).astype(np.int64),
        **_columns(Rotation.from_euler("z", yaw[:, None]).as_quat(), ("qx", "qy", "qz", "qw")),
        **_columns(np.column_stack((xy, np.zeros(len(xy)))), ("x", "y", "z")),
        **_columns(velocity, ("vx", "vy", "vz")),
        **_columns(acceleration, ("ax", "ay", "az")),
        "curvature": np.gradient(yaw, times) / speed,
    }
    return pa.table(columns)


def obstacle_table(drive: Drive) -> pa.Table:
    """Obstacle tracks with the data set's columns: boxes in the rig frame of their own time."""
    parts: list[dict[str, Any]] = []
    for user in road_users(drive):
        count = len(user.times)
        times = np.round(user.times * 1e6).astype(np.int64)
        centres = np.column_stack((user.boxes[:, :2], np.full(count, 0.5 * user.size[2])))
        parts.append(
            {
                "timestamp_us": times,
                "track_id": [user.id] * count,
                **_columns(centres, ("center_x", "center_y", "center_z")),
                **_columns(np.tile(user.size, (count, 1)), ("size_x", "size_y", "size_z")),
                **_columns(
                    Rotation.from_euler("z", user.boxes[:, 2:]).as_quat(),
                    ("orientation_x", "orientation_y", "orientation_z", "orientation_w"),
                ),
                "label_class": [CLASS_OF[user.kind]] * count,
                "reference_frame": ["rig"] * count,
                "reference_frame_timestamp_us": times,
            }
        )
    tables = [pa.table(part) for part in parts] or [pa.table(_EMPTY_OBSTACLES)]
    return pa.concat_tables(tables).sort_by("timestamp_us")


_EMPTY_OBSTACLES = {
    "timestamp_us": pa.array([], pa.int64()),
    "track_id": pa.array([], pa.string()),
    **{
        name: pa.array([], pa.float64())
        for name in (
            *(f"center_{axis}" for axis in "xyz"),
            *(f"size_{axis}" for axis in "xyz"),
            *(f"orientation_{axis}" for axis in "xyzw"),
        )
    },
    "label_class": pa.array([], pa.string()),
    "reference_frame": pa.array([], pa.string()),
    "reference_frame_timestamp_us": pa.array([], pa.int64()),
}


def _columns(values: np.ndarray, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    return {name: values[:, at] for at, name in enumerate(names)}


def _video(settings: Miniature, drive: Drive, camera: int) -> RecordedVideo:
    """A camera's 20 s: drawn pictures where a moment has them, the nearest earlier one elsewhere."""
    steps = CLIP_US // 1_000_000 * settings.rate
    lag = CAMERA_LAG_US[CAMERA_NAMES[camera]]
    times = np.arange(1, steps + 1, dtype=np.int64) * (1_000_000 // settings.rate) - lag
    drawn: dict[int, np.ndarray] = {}
    for clip, t0 in zip(drive.clips, drive.moments, strict=True):
        if clip.cameras is None:
            raise ValueError(f"world clip {clip.clip_id} was generated without pictures")
        for at, offset in enumerate(clip.cameras.times):
            drawn[round((t0 + offset) * settings.rate) - 1] = clip.cameras.frames[camera, at]

    def pictures() -> Iterator[np.ndarray]:
        current = drawn[min(drawn)]
        for step in range(steps):
            current = drawn.get(step, current)
            yield current

    return RecordedVideo(encode(pictures(), settings.rate, settings.width, settings.height), times)
