"""Writing the PhysicalAI-AV layout: chunks of clips, then the index over them.

Role: the other half of the reader, for miniature data sets in tests and benchmarks. Invariants: a chunk's files
appear whole (written aside, then renamed); the index is written last, so a folder with one was finished.
"""

from __future__ import annotations

import csv
import io
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scenes.physical_ai.dimensions import COLUMNS as SIZE_COLUMNS
from scenes.physical_ai.layout import (
    CAMERA_FEATURES,
    COLLECTION_FILE,
    DIMENSIONS,
    EGOMOTION,
    FEATURES_FILE,
    INDEX_FILE,
    MINIATURE,
    OBSTACLES,
    PRESENCE_FILE,
    REASONING_FILE,
    Feature,
)

FEATURE = {feature.name: feature for feature in MINIATURE}


@dataclass(frozen=True)
class RecordedVideo:
    """mp4: the file's bytes; times_us: [n] int64 time of each frame."""

    mp4: bytes
    times_us: np.ndarray


@dataclass(frozen=True)
class RecordedClip:
    """One clip as files. egomotion, obstacles: tables of the data set's columns (obstacles None: the clip has
    none); videos: by our camera name; size: length, width, height, rear-axle-to-centre m; events: reasoning
    events; split: as in the index."""

    clip_id: str
    egomotion: pa.Table
    obstacles: pa.Table | None
    videos: Mapping[str, RecordedVideo]
    size: tuple[float, float, float, float]
    events: tuple[dict[str, Any], ...] = ()
    split: str = "train"


@dataclass(frozen=True)
class IndexedClip:
    """What the index files say of one clip. features: names of the features it has."""

    clip_id: str
    chunk: int
    split: str = "train"
    events: tuple[dict[str, Any], ...] = ()
    features: tuple[str, ...] = field(default=tuple(FEATURE))


def write_chunk(root: Path, chunk: int, clips: Sequence[RecordedClip]) -> list[IndexedClip]:
    """Write the chunk's zip and parquet files under root and return what the index should say of its clips."""
    for name, camera in CAMERA_FEATURES.items():
        members: dict[str, bytes] = {}
        for clip in clips:
            if name in clip.videos:
                names = _members(FEATURE[camera], clip.clip_id)
                stamps = pa.table({"timestamp": clip.videos[name].times_us})
                members[names["video"]] = clip.videos[name].mp4
                members[names["frame_timestamps"]] = parquet_bytes(
                    stamps.append_column("frame_index", pa.array(range(stamps.num_rows), pa.int64()))
                )
        if members:
            write_zip(_chunk_path(root, FEATURE[camera], chunk), members)
    for feature, tables in (
        (EGOMOTION, {clip.clip_id: clip.egomotion for clip in clips}),
        (OBSTACLES, {clip.clip_id: clip.obstacles for clip in clips if clip.obstacles is not None}),
    ):
        files = {
            next(iter(_members(FEATURE[feature], clip_id).values())): parquet_bytes(table)
            for clip_id, table in tables.items()
        }
        write_zip(_chunk_path(root, FEATURE[feature], chunk), files)
    columns = {name: [clip.size[i] for clip in clips] for i, name in enumerate(SIZE_COLUMNS)}
    extra = {
        "wheelbase": [0.6 * clip.size[0] for clip in clips],
        "track_width": [0.8 * c.size[1] for c in clips],
    }
    sizes = pa.table({"clip_id": [clip.clip_id for clip in clips], **columns, **extra})
    write_whole(_chunk_path(root, FEATURE[DIMENSIONS], chunk), parquet_bytes(_indexed(sizes)))
    return [IndexedClip(c.clip_id, chunk, c.split, c.events, _features_of(c)) for c in clips]


def write_index(root: Path, clips: Sequence[IndexedClip]) -> None:
    """Write features.csv, presence, collection and reasoning tables, and clip_index.parquet last."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(("feature", "directory", "chunk_path", "clip_files_in_zip"))
    for feature in MINIATURE:
        rows.writerow((feature.name, feature.directory, feature.chunk_path, feature.members_json))
    write_whole(root / FEATURES_FILE, text.getvalue().encode())
    ids = pa.array([clip.clip_id for clip in clips])
    presence = {name: [name in clip.features for clip in clips] for name in FEATURE}
    write_whole(root / PRESENCE_FILE, parquet_bytes(_indexed(pa.table({"clip_id": ids, **presence}))))
    collection = pa.table({"clip_id": ids, "country": ["procedural"] * len(clips)})
    write_whole(root / COLLECTION_FILE, parquet_bytes(_indexed(collection)))
    told = [clip for clip in clips if clip.events]
    reasoning = pa.table(
        {
            "clip_id": [clip.clip_id for clip in told],
            "split": [clip.split for clip in told],
            "events": [json.dumps(clip.events) for clip in told],
        }
    )
    write_whole(root / REASONING_FILE, parquet_bytes(_indexed(reasoning)))
    index = pa.table(
        {
            "clip_id": ids,
            "split": [clip.split for clip in clips],
            "chunk": pa.array([clip.chunk for clip in clips], pa.int64()),
            "clip_is_valid": [True] * len(clips),
        }
    )
    write_whole(root / INDEX_FILE, parquet_bytes(_indexed(index)))


def parquet_bytes(table: pa.Table) -> bytes:
    """A table as the bytes of a parquet file."""
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def write_zip(path: Path, members: Mapping[str, bytes]) -> None:
    """A zip archive of these members, uncompressed (video and parquet are compressed already)."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            # A fixed date: the same clips give the same archive.
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data)
    write_whole(path, sink.getvalue())


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_bytes(data)
    aside.rename(path)


def _members(feature: Feature, clip_id: str) -> dict[str, str]:
    return {part: name.format(clip_id=clip_id) for part, name in (feature.members or {}).items()}


def _chunk_path(root: Path, feature: Feature, chunk: int) -> Path:
    return root / feature.chunk_path.format(chunk_id=chunk)


def _features_of(clip: RecordedClip) -> tuple[str, ...]:
    cameras = tuple(CAMERA_FEATURES[name] for name in clip.videos)
    return (*cameras, EGOMOTION, *((OBSTACLES,) if clip.obstacles is not None else ()), DIMENSIONS)


def _indexed(table: pa.Table) -> pa.Table:
    """Mark clip_id as the index, as pandas does, so that tools that read with pandas find it there."""
    description = {
        "index_columns": ["clip_id"],
        "column_indexes": [],
        "columns": [
            {
                "name": name,
                "field_name": name,
                "pandas_type": _pandas(kind),
                "numpy_type": _numpy(kind),
                "metadata": None,
            }
            for name, kind in zip(table.column_names, table.schema.types, strict=True)
        ],
        "pandas_version": "2.0.0",
    }
    return table.replace_schema_metadata({b"pandas": json.dumps(description).encode()})


def _pandas(kind: pa.DataType) -> str:
    return "unicode" if pa.types.is_string(kind) else "bool" if pa.types.is_boolean(kind) else str(kind)


def _numpy(kind: pa.DataType) -> str:
    return "object" if pa.types.is_string(kind) else "bool" if pa.types.is_boolean(kind) else str(kind)
