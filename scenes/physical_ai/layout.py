"""Names and paths of the PhysicalAI-Autonomous-Vehicles layout.

Role: the one place that knows what files are called; reader and writer share it. Invariant: paths come from
the data set's own features.csv, these are only the names that are looked up there.
Source: facts read off NVIDIA's loader and devkit (`physical-ai-av` 0.2); column names of obstacle tracks as
measured by third parties on the released files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

FEATURES_FILE = "features.csv"
INDEX_FILE = "clip_index.parquet"
PRESENCE_FILE = "metadata/feature_presence.parquet"
COLLECTION_FILE = "metadata/data_collection.parquet"
REASONING_FILE = "reasoning/ood_reasoning.parquet"

EGOMOTION = "egomotion"
EGOMOTION_OFFLINE = "egomotion.offline"
OBSTACLES = "obstacle.offline"
DIMENSIONS = "vehicle_dimensions"
CAMERA_FEATURES = {
    "cross_left": "camera_cross_left_120fov",
    "front_wide": "camera_front_wide_120fov",
    "cross_right": "camera_cross_right_120fov",
    "front_tele": "camera_front_tele_30fov",
}
"""The release's four cameras (scenes.clip.CAMERA_NAMES) by the names the data set gives them."""

SECOND_US = 1_000_000
STEP_US = 100_000
CLIP_US = 20 * SECOND_US
"""Every recorded clip is 20 s long; egomotion may go on, cameras and obstacle tracks do not."""


@dataclass(frozen=True)
class Feature:
    """One row of features.csv. directory: its component; chunk_path: where a chunk lies, with `{chunk_id:04d}`
    for the number; members: files of a clip inside a zip chunk by what they are, with `{clip_id}`; None for a
    parquet chunk that holds all its clips."""

    name: str
    directory: str
    chunk_path: str
    members: dict[str, str] | None

    @property
    def members_json(self) -> str:
        """`members` as features.csv holds it; empty for a parquet chunk."""
        return "" if self.members is None else json.dumps(self.members)


def _camera(name: str) -> Feature:
    members = {
        "video": f"{{clip_id}}.{name}.mp4",
        "frame_timestamps": f"{{clip_id}}.{name}.timestamps.parquet",
    }
    return Feature(name, "camera", f"camera/{name}/{name}.chunk_{{chunk_id:04d}}.zip", members)


def _label(name: str) -> Feature:
    members = {name.replace(".", "_"): f"{{clip_id}}.{name}.parquet"}
    return Feature(name, "labels", f"labels/{name}/{name}.chunk_{{chunk_id:04d}}.zip", members)


def _calibration(name: str) -> Feature:
    return Feature(name, "calibration", f"calibration/{name}/{name}.chunk_{{chunk_id:04d}}.parquet", None)


MINIATURE = (
    *map(_camera, CAMERA_FEATURES.values()),
    _label(EGOMOTION),
    _label(OBSTACLES),
    _calibration(DIMENSIONS),
)
"""The features that the writer of miniature data sets fills."""
