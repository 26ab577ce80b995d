"""Recorded road users as the agents of a clip.

Role: obstacle tracks, each sample of which is a box in the rig frame of its own time, become poses at the
model's 10 Hz in the rig frame at t0. Every sample is first placed in the fixed anchor frame by the ego pose at
its time, so that the ego vehicle's own motion does not move parked cars. Invariant: an agent is valid only
between samples of its track that lie close together; nothing is extrapolated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.spatial.transform import Rotation

from scenes.clip import Agents
from scenes.geometry import wrap_angle
from scenes.physical_ai.egomotion import GAP_US as EGO_GAP_US
from scenes.physical_ai.egomotion import UNIT, Egomotion, RigFrame, covered, yaw_of
from scenes.physical_ai.errors import DamagedInputError
from scenes.physical_ai.parquet import microseconds, numbers, read_table

TIME = "timestamp_us"
CENTRE = ("center_x", "center_y", "center_z")
SIZE = ("size_x", "size_y", "size_z")
ORIENTATION = ("orientation_x", "orientation_y", "orientation_z", "orientation_w")
CLASSES = {
    "automobile": "car",
    "other_vehicle": "car",
    "heavy_truck": "truck",
    "bus": "truck",
    "trailer": "truck",
    "person": "pedestrian",
    "stroller": "pedestrian",
    "animal": "pedestrian",
    "rider": "cyclist",
    "protruding_object": "cone",
}
"""The data set's ten classes as the clip's five (scenes.clip.Agents)."""
GAP_US = 250_000
"""Longest step between samples of a track (10 Hz) that is interpolated over."""
NEAR_M = 100.0
"""Road users that stay further away are left out, as in recorded traffic."""


@dataclass(frozen=True)
class ObstacleTrack:
    """One road user. times_us: [n] int64, increasing; positions: [n, 3] and yaws: [n] in the anchor frame;
    size: length, width, height m (median over the track)."""

    id: str
    kind: str
    size: tuple[float, float, float]
    times_us: np.ndarray
    positions: np.ndarray
    yaws: np.ndarray


def read_tracks(data: bytes, egomotion: Egomotion, what: str) -> list[ObstacleTrack]:
    """Tracks of a parquet file's bytes, in order of id. Samples at times without a known ego pose are left out.

    Raises DamagedInputError for an unknown class or frame, and for samples of a track that contradict each
    other."""
    table = read_table(data, what)
    if table.num_rows == 0:
        return []
    times = microseconds(_column(table, TIME, what), TIME, what)
    _check_frames(table, times, what)
    values = numbers(_column(table, CENTRE + SIZE + ORIENTATION, what), CENTRE + SIZE + ORIENTATION, what)
    if np.abs(np.linalg.norm(values[:, 6:], axis=1) - 1.0).max() > UNIT:
        raise DamagedInputError(f"{what}: an orientation is no unit quaternion")
    ids = np.array([str(value) for value in _column(table, "track_id", what)["track_id"].to_pylist()])
    kinds = np.array([str(value) for value in _column(table, "label_class", what)["label_class"].to_pylist()])
    unknown = sorted(set(kinds) - set(CLASSES))
    if unknown:
        raise DamagedInputError(
            f"{what} has the class {', '.join(unknown)}; known are {', '.join(CLASSES)}:"
            " add it to scenes.physical_ai.obstacles.CLASSES"
        )
    within = covered(egomotion.times_us, times, EGO_GAP_US)
    if not within.any():
        return []
    origins, turned = egomotion.at(times[within])
    boxes = Rotation.from_quat(values[within, 6:])
    positions = origins + turned.apply(values[within, :3])
    yaws = yaw_of(turned * boxes)
    return list(
        _tracks(ids[within], kinds[within], times[within], values[within, 3:6], positions, yaws, what)
    )


def _column(table: pa.Table, names: str | tuple[str, ...], what: str) -> pa.Table:
    wanted = (names,) if isinstance(names, str) else names
    missing = [name for name in wanted if name not in table.column_names]
    if missing:
        raise DamagedInputError(
            f"{what} has no column {', '.join(missing)}; it has {', '.join(table.column_names)}"
        )
    return table.select(list(wanted))


def _check_frames(table: pa.Table, times: np.ndarray, what: str) -> None:
    """Boxes must be in the rig frame of their own time, where the table says."""
    if "reference_frame" in table.column_names:
        frames = set(table["reference_frame"].to_pylist())
        if frames != {"rig"}:
            raise DamagedInputError(
                f"{what} has boxes in the frames {sorted(map(str, frames))}; only 'rig' is read"
            )
    if "reference_frame_timestamp_us" in table.column_names:
        own = microseconds(table, "reference_frame_timestamp_us", what)
        if not np.array_equal(own, times):
            raise DamagedInputError(f"{what} has boxes in the rig frame of another time than their own")


def _tracks(
    ids: np.ndarray,
    kinds: np.ndarray,
    times: np.ndarray,
    sizes: np.ndarray,
    positions: np.ndarray,
    yaws: np.ndarray,
    what: str,
) -> Iterator[ObstacleTrack]:
    order = np.lexsort((times, ids))
    starts = np.flatnonzero(np.concatenate(([True], ids[order][1:] != ids[order][:-1])))
    for rows in np.split(order, starts[1:]):
        name = str(ids[rows[0]])
        if len(set(kinds[rows])) > 1:
            raise DamagedInputError(f"{what}: track {name} changes its class: {sorted(set(kinds[rows]))}")
        if np.any(np.diff(times[rows]) == 0):
            raise DamagedInputError(f"{what}: track {name} has two boxes at one time")
        length, width, height = np.median(sizes[rows], axis=0)
        if min(length, width, height) <= 0.0:
            raise DamagedInputError(f"{what}: track {name} has a size of 0 or less")
        size = (float(length), float(width), float(height))
        yaw = np.unwrap(yaws[rows])
        yield ObstacleTrack(name, CLASSES[str(kinds[rows[0]])], size, times[rows], positions[rows], yaw)


def agents_at(
    tracks: list[ObstacleTrack], egomotion: Egomotion, frame: RigFrame, times_us: np.ndarray
) -> Agents:
    """The agents of a moment: poses [N, k, 3] of x, y, yaw at times [k] in `frame`, of those that come within
    NEAR_M of the ego vehicle."""
    ego, _ = egomotion.at(times_us)
    kept: list[ObstacleTrack] = []
    poses, valid = [], []
    for track in tracks:
        seen = covered(track.times_us, times_us, GAP_US)
        if not seen.any():
            continue
        position = np.column_stack(
            [np.interp(times_us, track.times_us, track.positions[:, axis]) for axis in range(3)]
        )
        near = np.linalg.norm(position[:, :2] - ego[:, :2], axis=1) <= NEAR_M
        if not (seen & near).any():
            continue
        upright = Rotation.from_euler("z", np.interp(times_us, track.times_us, track.yaws)[:, None])
        local, yaw = frame.local(position, upright)
        pose = np.column_stack((local[:, :2], wrap_angle(yaw)))
        pose[~seen] = np.nan
        kept.append(track)
        poses.append(pose)
        valid.append(seen)
    return Agents(
        ids=tuple(f"agent:{track.id}" for track in kept),
        classes=tuple(track.kind for track in kept),
        sizes=np.array([track.size for track in kept]).reshape(len(kept), 3),
        poses=np.array(poses).reshape(len(kept), len(times_us), 3),
        valid=np.array(valid, bool).reshape(len(kept), len(times_us)),
    )
