"""Lane frames of many drives at once: `rewards.lane_frame` for the rollouts of a batch.

Invariant: frame r equals lane_frame(states[r], lanes[r]) up to rounding (tested).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from rewards.lane_frame import LaneFrame, ReferenceLane
from scenes.geometry import project, wrap_angle


def lane_frames(states: np.ndarray, lanes: Sequence[ReferenceLane | None]) -> list[LaneFrame]:
    """The frames of states [R, K, 4], each drive seen from its lane; see `lane_frame.lane_frame`."""
    frames: list[LaneFrame | None] = [None] * len(states)
    by_lane: dict[int, list[int]] = defaultdict(list)
    for row, lane in enumerate(lanes):
        by_lane[id(lane)].append(row)
    while by_lane:
        _, rows = by_lane.popitem()
        lane = lanes[rows[0]]
        found = _arc_frames(states[rows]) if lane is None else _mapped(states[rows], lane)
        for row, frame in zip(rows, found, strict=True):
            frames[row] = frame
    return [frame for frame in frames if frame is not None]


def _mapped(states: np.ndarray, lane: ReferenceLane) -> list[LaneFrame]:
    s, offset = project(states[..., :2], lane.centre)
    yaw = np.interp(s, lane.length, lane.yaw)
    heading = wrap_angle(states[..., 2] - yaw)
    offset = offset - lane.gap
    bends, first, last = (yaw[:, -1] - yaw[:, 0]).tolist(), s[:, 0].tolist(), s[:, -1].tolist()
    frames = []
    for row, (begin, end, bend) in enumerate(zip(first, last, bends, strict=True)):
        ahead = [at for at in lane.stop_lines if at > begin]
        stop_line = min(ahead) - end if ahead else None
        frames.append(LaneFrame(offset[row], heading[row], bend, True, stop_line))
    if lane.beyond is not None:
        past = [row for row, end in enumerate(last) if end > lane.ends_at]
        for row, frame in zip(past, _mapped(states[past], lane.beyond), strict=True):
            frames[row] = frame
    return frames


def _arc_frames(states: np.ndarray) -> list[LaneFrame]:
    x, y, heading = states[..., 0], states[..., 1], states[..., 2]
    step = np.hypot(np.diff(x, axis=1), np.diff(y, axis=1))
    distance = np.concatenate([np.zeros((len(states), 1)), np.cumsum(step, axis=1)], axis=1)
    turned, driven = heading[:, -1] - heading[:, 0], distance[:, -1]
    rate = np.where(driven > 1.0, turned / np.maximum(driven, 1.0), 0.0)
    yaw = heading[:, :1] + rate[:, None] * distance
    middle = 0.5 * (yaw[:, 1:] + yaw[:, :-1])
    arc = [np.zeros((len(states), 1)) for _ in range(2)]
    arc_x, arc_y = (
        np.concatenate([zero, np.cumsum(step * unit, axis=1)], axis=1)
        for zero, unit in zip(arc, (np.cos(middle), np.sin(middle)), strict=True)
    )
    offset = -(x - x[:, :1] - arc_x) * np.sin(yaw) + (y - y[:, :1] - arc_y) * np.cos(yaw)
    against = wrap_angle(heading - yaw)
    return [
        LaneFrame(offset[row], against[row], bend, False, None) for row, bend in enumerate(turned.tolist())
    ]
