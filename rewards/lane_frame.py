"""A drive seen from the lane it started in: offset from the lane centre and heading against the lane.

Role: separates what the driver steers from what the road bends. With a map the reference is the lane under
the vehicle at t0 (continued straight beyond its ends); without one it is the circular arc that starts along
the vehicle's heading and turns as much per metre as the drive as a whole, which tells a lane change from a
bend but not a turn from one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scenes.clip import RoadMap
from scenes.geometry import arc_length, project, wrap_angle

LANE_REACH_M = 2.6
ALIGNED_RAD = 0.6
BEYOND_M = 150.0
BESIDE_M = 5.0
LONGER_M = 5.0


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
    from rewards.compiled.lanes import chosen

    if road is None or not road.lanes:
        return None
    points, first = end_to_end(road.lanes)
    own, other, gap = chosen(points, first, LANE_REACH_M, ALIGNED_RAD, BESIDE_M, LONGER_M)
    if own < 0:
        return None
    stops = end_to_end(road.stop_lines)
    beyond = _prepared(points[first[other] : first[other + 1]], gap, stops, None) if other >= 0 else None
    return _prepared(points[first[own] : first[own + 1]], 0.0, stops, beyond)


def end_to_end(lines: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Lines [P_l, 2] as points [sum of P_l, 2], and where each begins: [L + 1]."""
    points = np.concatenate(lines) if lines else np.zeros((0, 2))
    return np.ascontiguousarray(points, dtype=np.float64), starts([len(line) for line in lines])


def starts(counts: Sequence[int]) -> np.ndarray:
    """Where parts of so many begin that stand end to end, and where the last ends: [L + 1]."""
    first = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=first[1:])
    return first


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


def _prepared(
    lane: np.ndarray, gap: float, stops: tuple[np.ndarray, np.ndarray], beyond: ReferenceLane | None
) -> ReferenceLane:
    from rewards.compiled.lanes import continued, crossed

    centre, length, yaw = continued(lane, BEYOND_M)
    lines = tuple(crossed(*stops, centre, length).tolist()) if len(stops[1]) > 1 else ()
    return ReferenceLane(centre, float(length[-2]), gap, length, yaw, lines, beyond)


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
