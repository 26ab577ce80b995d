"""A drive seen from the lane it started in: offset from the lane centre and heading against the lane.

Role: separates what the driver steers from what the road bends. With a map the reference is the lane under
the vehicle at t0 (continued straight beyond its end); without one it is the circular arc that starts along
the vehicle's heading and turns as much per metre as the drive as a whole, which tells a lane change from a
bend but not a turn from one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenes.clip import RoadMap
from scenes.geometry import arc_length, headings, project, wrap_angle

LANE_REACH_M = 2.6
ALIGNED_RAD = 0.6
BEYOND_M = 150.0
BESIDE_M = 5.0


@dataclass(frozen=True)
class LaneFrame:
    """Over the K states of a drive, the first at t0. offset: [K] m left of the lane centre; heading: [K] rad
    against the lane; bend: rad that the lane turns over the driven part (left positive); width: m; mapped:
    whether the lane comes from a map; stop_line: m along the lane from the last state's rear axle to the first
    stop line that lay ahead at t0, negative when it was driven over, None without one."""

    offset: np.ndarray
    heading: np.ndarray
    bend: float
    width: float
    mapped: bool
    stop_line: float | None

    @property
    def shift(self) -> np.ndarray:
        """Sideways displacement [K] m since t0, left positive."""
        return self.offset - self.offset[0]


def lane_frame(states: np.ndarray, road: RoadMap | None) -> LaneFrame:
    """The frame of states [K, 4] in the clip's ego frame, the first at the origin."""
    found = None if road is None else _lane_at_origin(road)
    if road is None or found is None:
        return _arc_frame(states)
    lane, width = found
    line, gap = _longest_way(lane, road, states[-1, :2])
    s, offset = project(states[:, :2], line)
    offset = offset - gap
    directions = headings(line)
    yaw = np.interp(s, arc_length(line), directions)
    heading = wrap_angle(states[:, 2] - yaw)
    return LaneFrame(offset, heading, float(yaw[-1] - yaw[0]), width, True, _first_stop_line(road, line, s))


def _first_stop_line(road: RoadMap, line: np.ndarray, s: np.ndarray) -> float | None:
    """Distance m from the last of the driven s [K] to the first stop line across the way after the first."""
    crossed = []
    for stop in road.stop_lines:
        along, across = project(stop, line)
        if across.min() <= 0.5 and across.max() >= -0.5 and along.mean() > s[0]:
            crossed.append(float(along.mean()))
    return min(crossed) - float(s[-1]) if crossed else None


def _longest_way(lane: np.ndarray, road: RoadMap, goal: np.ndarray) -> tuple[np.ndarray, float]:
    """The line to measure against, and where the lane lies beside it (m left of it, at t0). That is the lane
    itself, unless it ends before the drive does and another that runs along it goes on."""
    own = _extended(lane)
    if project(goal, lane)[0] < arc_length(lane)[-1] - 1e-6:
        return own, 0.0
    here = lane[np.argmin(np.linalg.norm(lane, axis=-1))]
    for other in road.lanes:
        if other is lane or len(other) < 2 or not _aligned(other):
            continue
        goes_on = project(goal, other)[0] < arc_length(other)[-1] - 1e-6
        gap = float(project(here, other)[1])
        if goes_on and abs(gap) < BESIDE_M:
            return _extended(other), gap
    return own, 0.0


def _aligned(lane: np.ndarray) -> bool:
    nearest = int(np.argmin(np.linalg.norm(lane, axis=-1)))
    return abs(float(wrap_angle(headings(lane)[nearest]))) < ALIGNED_RAD


def _lane_at_origin(road: RoadMap) -> tuple[np.ndarray, float] | None:
    """The lane nearest to the origin that runs along x there, and its width; None when there is none."""
    best: tuple[float, np.ndarray, float] | None = None
    for lane, width in zip(road.lanes, road.lane_widths, strict=True):
        if len(lane) < 2:
            continue
        _, offset = project(np.zeros(2), lane)
        if _aligned(lane) and abs(offset) < LANE_REACH_M and (best is None or abs(offset) < best[0]):
            best = abs(float(offset)), lane, width
    return None if best is None else (best[1], best[2])


def _extended(lane: np.ndarray) -> np.ndarray:
    """The lane, continued straight at both ends."""
    first, last = lane[0] - lane[1], lane[-1] - lane[-2]
    before = lane[0] + BEYOND_M * first / np.linalg.norm(first)
    after = lane[-1] + BEYOND_M * last / np.linalg.norm(last)
    return np.concatenate([[before], lane, [after]])


def _arc_frame(states: np.ndarray) -> LaneFrame:
    distance = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(states[:, :2], axis=0), axis=-1))])
    turned = states[-1, 2] - states[0, 2]
    rate = turned / distance[-1] if distance[-1] > 1.0 else 0.0
    yaw = states[0, 2] + rate * distance
    middle = 0.5 * (yaw[1:] + yaw[:-1])
    step = np.diff(distance)
    x = states[0, 0] + np.concatenate([[0.0], np.cumsum(step * np.cos(middle))])
    y = states[0, 1] + np.concatenate([[0.0], np.cumsum(step * np.sin(middle))])
    offset = -(states[:, 0] - x) * np.sin(yaw) + (states[:, 1] - y) * np.cos(yaw)
    return LaneFrame(offset, wrap_angle(states[:, 2] - yaw), float(turned), 3.5, False, None)
