"""Lane frames of many drives at once: `rewards.lane_frame` for the rollouts of a batch.

Role: the lanes of a batch laid end to end for the compiled loop (`rewards.compiled.lanes`).
Invariant: row r equals lane_frame(states[r], lanes[r]) up to rounding (tested).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rewards.lane_frame import LaneFrame, ReferenceLane, end_to_end, starts


@dataclass(frozen=True)
class LaneFrames:
    """R lane frames as columns; see LaneFrame. offset, heading: [R, K]; bend: [R]; mapped: [R] bool; stop_line:
    [R], NaN without one."""

    offset: np.ndarray
    heading: np.ndarray
    bend: np.ndarray
    mapped: np.ndarray
    stop_line: np.ndarray

    def row(self, row: int) -> LaneFrame:
        """The frame of one drive."""
        stop = float(self.stop_line[row])
        return LaneFrame(
            self.offset[row],
            self.heading[row],
            float(self.bend[row]),
            bool(self.mapped[row]),
            stop if stop == stop else None,
        )


def lane_frames(states: np.ndarray, lanes: Sequence[ReferenceLane | None]) -> LaneFrames:
    """The frames of states [R, K, 4], each drive seen from its lane; see `lane_frame.lane_frame`."""
    from rewards.compiled.lanes import frames

    place: dict[int, int] = {}
    known: list[ReferenceLane] = []
    rows = np.array([-1 if lane is None else _place(lane, place, known) for lane in lanes], dtype=np.int64)
    beyond = [-1 if lane.beyond is None else place[id(lane.beyond)] for lane in known]
    points, first = end_to_end([lane.centre for lane in known])
    offset, heading, bend, stop = frames(
        states,
        rows,
        first,
        points,
        _joined([lane.length for lane in known]),
        _joined([lane.yaw for lane in known]),
        np.array([lane.ends_at for lane in known], dtype=np.float64),
        np.array([lane.gap for lane in known], dtype=np.float64),
        np.array(beyond, dtype=np.int64),
        starts([len(lane.stop_lines) for lane in known]),
        np.array([at for lane in known for at in lane.stop_lines], dtype=np.float64),
    )
    return LaneFrames(offset, heading, bend, rows >= 0, stop)


def _place(lane: ReferenceLane, place: dict[int, int], known: list[ReferenceLane]) -> int:
    """Where a lane stands among the known ones, which it and what lies beyond it join."""
    found = place.get(id(lane))
    if found is None:
        if lane.beyond is not None:
            _place(lane.beyond, place, known)
        found = place[id(lane)] = len(known)
        known.append(lane)
    return found


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays) if arrays else np.zeros(0)
