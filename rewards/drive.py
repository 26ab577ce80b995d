"""What a predicted trajectory does, in the terms that reasoning text uses.

Role: the evidence side of the consistency reward: meta-actions on both axes and a few net quantities.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from rewards.comfort import REVERSING_MPS
from rewards.lane_frame import LaneFrame, ReferenceLane, lane_frame
from rewards.meta_actions import (
    LateralAction,
    LongitudinalAction,
    Segment,
    lateral_segments,
    longitudinal_segments,
)
from scenes.clip import Clip
from scenes.trajectory import STEP_S

STANDSTILL_MPS = 0.3


class Motion(NamedTuple):
    """The numbers that the rules look at. actions: longitudinal meta-actions in order; start, final, lowest,
    highest: speeds m/s; left, right: largest sideways displacement m since t0 to either side; shift: m left at the
    end; turned: net heading change rad; settled: heading against the lane at the end, rad, without sign; off: m
    from the lane centre at the end, NaN without a map; reverses, stop_gap: see Drive, NaN without a line."""

    actions: tuple[LongitudinalAction | LateralAction, ...]
    start: float
    final: float
    lowest: float
    highest: float
    left: float
    right: float
    shift: float
    turned: float
    settled: float
    off: float
    stop_gap: float
    reverses: bool

    @property
    def motion(self) -> Motion:
        """Itself: the rules take a drive or its motion."""
        return self


@dataclass(frozen=True)
class Drive:
    """states: [K, 4] with t0 first; longitudinal and lateral: meta-action segments; turned: net heading change
    rad, left positive; frame: the drive seen from its lane; reverses: it drives backwards at some step;
    stop_gap: m from the front bumper at the end to the first stop line on the way, None without one."""

    states: np.ndarray
    longitudinal: tuple[Segment, ...]
    lateral: tuple[Segment, ...]
    turned: float
    frame: LaneFrame
    reverses: bool
    stop_gap: float | None

    @property
    def speed(self) -> np.ndarray:
        """[K] m/s."""
        return self.states[:, 3]

    def whole(self) -> Drive:
        """Itself: what is checked is a drive, or a row of `rewards.drives` that can become one."""
        return self

    @cached_property
    def motion(self) -> Motion:
        """The numbers that the rules look at."""
        speed, frame = self.speed, self.frame
        left, right = frame.reach
        return Motion(
            actions=tuple(segment.action for segment in self.longitudinal),
            start=float(speed[0]),
            final=float(speed[-1]),
            lowest=float(speed.min()),
            highest=float(speed.max()),
            left=left,
            right=right,
            shift=float(frame.shift[-1]),
            turned=self.turned,
            settled=abs(float(frame.heading[-1])),
            off=abs(float(frame.offset[-1])) if frame.mapped else math.nan,
            stop_gap=math.nan if self.stop_gap is None else self.stop_gap,
            reverses=self.reverses,
        )

    def window(self, start: int, end: int, in_lane: bool = True) -> Drive:
        """Ticks start … end - 1 as a drive of their own, with its first state for t0. in_lane: seen from the
        lane at t0; without, from where the window itself sets out (after a turn that lane means nothing)."""
        states, last = self.states[start : end + 1], end == len(self.states) - 1
        if in_lane:
            seen = self.frame
            heading = seen.heading[start : end + 1]
            turned = float(states[-1, 2] - states[0, 2])
            bend = turned - float(heading[-1] - heading[0])
            offset = seen.offset[start : end + 1]
            frame = LaneFrame(offset, heading, bend, seen.mapped, seen.stop_line if last else None)
        else:
            frame = lane_frame(states, None)
        return Drive(
            states=states,
            longitudinal=_clipped(self.longitudinal, start, end),
            lateral=_clipped(self.lateral, start, end),
            turned=float(states[-1, 2] - states[0, 2]),
            frame=frame,
            reverses=bool((states[:, 3] < REVERSING_MPS).any()),
            stop_gap=self.stop_gap if last else None,
        )


def _clipped(segments: tuple[Segment, ...], start: int, end: int) -> tuple[Segment, ...]:
    inside = (Segment(s.action, max(s.start, start), min(s.end, end)) for s in segments)
    return tuple(segment for segment in inside if segment.ticks > 0)


def with_start(states: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """States [T + 1, 4] with the one at t0 in front: the origin, at the speed that the first action left."""
    start = np.array([0.0, 0.0, 0.0, states[0, 3] - actions[0, 0] * STEP_S])
    return np.concatenate([start[None], states])


def front_m(clip: Clip) -> float:
    """Distance m from the ego's rear axle to its front bumper."""
    length, _, _, offset = clip.ego_size
    return offset + 0.5 * length


def measure(
    states: np.ndarray, actions: np.ndarray, lane: ReferenceLane | None = None, front: float = 0.0
) -> Drive:
    """The drive of states [T, 4] and actions [T, 2] in the clip's ego frame; front: see `front_m`."""
    full = with_start(states, actions)
    frame = lane_frame(full, lane)
    return Drive(
        states=full,
        longitudinal=tuple(longitudinal_segments(full)),
        lateral=tuple(lateral_segments(full)),
        turned=float(full[-1, 2] - full[0, 2]),
        frame=frame,
        reverses=bool((full[:, 3] < REVERSING_MPS).any()),
        stop_gap=None if frame.stop_line is None else frame.stop_line - front,
    )
