"""A drive seen from the lane it started in: offset from the lane centre and heading against the lane.

Role: separates what the driver steers from what the road bends. With a map the reference is the lane under
the vehicle at t0 (continued straight beyond its ends); without one it is the circular arc that starts along
the vehicle's heading and turns as much per metre as the drive as a whole, which tells a lane change from a
bend but not a turn from one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scenes.clip import RoadMap
from scenes.geometry import arc_length, project, wrap_angle

LANE_REACH_M = 2.6
ALIGNED_RAD = 0.6
BEYOND_M = 150.0
BESIDE_M = 5.0
ORIGIN = np.zeros((1, 2))


@dataclass(frozen=True)
class ReferenceLane:
    """The lane at t0, prepared once a clip. centre: [P, 2] its centre line; ends_at: m along `centre` from
    where on it is only a straight continuation; gap: m that the lane lies left of `centre` (0 unless another
    lane stands in for it); length, yaw: [P] m and rad along `centre`; stop_lines: m along `centre`; beyond: the
    lane beside that goes on where this one ends, or None."""

    centre: np.ndarray
    ends_at: float
    gap: float
    length: np.ndarray
    yaw: np.ndarray
    stop_lines: tuple[float, ...]
    beyond: ReferenceLane | None


@dataclass(frozen=True)
class LaneFrame:
    """Over the K states of a drive, the first at t0. offset: [K] m left of the lane centre; heading: [K] rad
    against the lane; bend: rad that the lane turns over the driven part (left positive); mapped: whether the
    lane comes from a map; stop_line: m along the lane from the last state's rear axle to the first stop line
    that lay ahead at t0, negative when it was driven over, None without one."""

    offset: np.ndarray
    heading: np.ndarray
    bend: float
    mapped: bool
    stop_line: float | None

    # The rules ask for these many times a drive.
    @cached_property
    def shift(self) -> np.ndarray:
        """Sideways displacement [K] m since t0, left positive."""
        return self.offset - self.offset[0]

    @cached_property
    def reach(self) -> tuple[float, float]:
        """Largest sideways displacement m since t0: to the left, to the right."""
        return float(self.shift.max()), -float(self.shift.min())


def reference_lane(road: RoadMap | None) -> ReferenceLane | None:
    """The lane nearest to the origin that runs along x there; None without a map or such a lane."""
    from rewards.compiled.lanes import measured, nearest_point, projected

    if road is None:
        return None
    known = [(line, measured(line)) for line in map(_line, road.lanes) if len(line) > 1]
    fit = [(one, far) for one, far in known if far[-1] > 0.0 and _aligned(one, nearest_point(one))]
    lanes, lengths = [one for one, _ in fit], [far for _, far in fit]
    offsets = [abs(projected(ORIGIN, *pair)[0, 1]) for pair in zip(lanes, lengths, strict=True)]
    if not lanes or min(offsets) > LANE_REACH_M:
        return None
    chosen = int(np.argmin(offsets))
    own, length = lanes.pop(chosen), lengths.pop(chosen)[-1]
    here = own[nearest_point(own)]
    beyond = None
    for other, along in zip(lanes, lengths, strict=True):
        if along[-1] <= length + 5.0:
            continue
        gap = float(projected(here[None], other, along)[0, 1])
        if abs(gap) < BESIDE_M:
            beyond = _prepared(other, gap, road, None)
            break
    return _prepared(own, 0.0, road, beyond)


def lane_frame(states: np.ndarray, lane: ReferenceLane | None) -> LaneFrame:
    """The frame of states [K, 4] in the clip's ego frame, the first at the origin."""
    if lane is None:
        return _arc_frame(states)
    s, offset = project(states[:, :2], lane.centre)
    if lane.beyond is not None and s[-1] > lane.ends_at:
        return lane_frame(states, lane.beyond)
    yaw = np.interp(s, lane.length, lane.yaw)
    heading = wrap_angle(states[:, 2] - yaw)
    ahead = [at for at in lane.stop_lines if at > s[0]]
    stop_line = min(ahead) - float(s[-1]) if ahead else None
    return LaneFrame(offset - lane.gap, heading, float(yaw[-1] - yaw[0]), True, stop_line)


def _line(points: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(points, dtype=np.float64)


def _aligned(lane: np.ndarray, nearest: int) -> bool:
    """Whether a lane runs along x at its point nearest to the origin."""
    step = lane[min(nearest + 1, len(lane) - 1)] - lane[max(nearest - 1, 0)]
    return abs(math.atan2(step[1], step[0])) < ALIGNED_RAD


def _prepared(lane: np.ndarray, gap: float, road: RoadMap, beyond: ReferenceLane | None) -> ReferenceLane:
    from rewards.compiled.lanes import continued, projected

    centre, length, yaw = continued(lane, BEYOND_M)
    stops = []
    for line in road.stop_lines:
        seen = projected(_line(line), centre, length)
        if seen[:, 1].min() <= 0.5 and seen[:, 1].max() >= -0.5:
            stops.append(float(seen[:, 0].mean()))
    return ReferenceLane(centre, float(length[-2]), gap, length, yaw, tuple(stops), beyond)


def _arc_frame(states: np.ndarray) -> LaneFrame:
    distance = arc_length(states[:, :2])
    turned = states[-1, 2] - states[0, 2]
    rate = turned / distance[-1] if distance[-1] > 1.0 else 0.0
    yaw = states[0, 2] + rate * distance
    middle = 0.5 * (yaw[1:] + yaw[:-1])
    step = np.diff(distance)
    x = states[0, 0] + np.concatenate([[0.0], np.cumsum(step * np.cos(middle))])
    y = states[0, 1] + np.concatenate([[0.0], np.cumsum(step * np.sin(middle))])
    offset = -(states[:, 0] - x) * np.sin(yaw) + (states[:, 1] - y) * np.cos(yaw)
    return LaneFrame(offset, wrap_angle(states[:, 2] - yaw), float(turned), False, None)
