"""What a traffic recording holds, in its own world frame, before it is cut into clips.

Role: the hand-over from file readers to the clip builder. Metres, radians; one step is 0.1 s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


class RecordingError(ValueError):
    """A recording that cannot be read; the message names the file and the fix."""


@dataclass(frozen=True)
class Track:
    """One recorded road user. kind: a class of scenes.clip.Agents; size: length, width, height m; first:
    step of the first pose; poses: [n, 3] x, y, yaw of the box centre, without gaps; static: an obstacle
    that is there at every step, at poses[0]."""

    id: str
    kind: str
    size: tuple[float, float, float]
    first: int
    poses: np.ndarray
    static: bool = False

    def between(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Poses [stop-start, 3] (NaN where not recorded) and valid [stop-start] over steps start … stop-1."""
        steps = np.arange(start, stop)
        if self.static:
            return np.repeat(self.poses[:1], len(steps), axis=0), np.ones(len(steps), bool)
        valid = (steps >= self.first) & (steps < self.first + len(self.poses))
        poses = np.full((len(steps), 3), np.nan)
        poses[valid] = self.poses[steps[valid] - self.first]
        return poses, valid


@dataclass(frozen=True)
class Lanelet:
    """A lane segment. left, right: bounds [P, 2] in driving direction; left_mark, right_mark: kind of the
    painted line ("solid", "dashed", "kerb") or None; crosswalk: whether people walk here instead of cars
    driving."""

    id: str
    left: np.ndarray
    right: np.ndarray
    left_mark: str | None
    right_mark: str | None
    stop_line: np.ndarray | None
    crosswalk: bool


@dataclass(frozen=True)
class Light:
    """A traffic light. yaw: heading of the traffic it controls; states, durations: cycle of indices into
    scenes.clip.SIGNAL_STATES and steps each lasts; offset: step at which a cycle starts."""

    id: str
    position: tuple[float, float]
    yaw: float
    states: tuple[int, ...]
    durations: tuple[int, ...]
    offset: int

    def at(self, steps: np.ndarray) -> np.ndarray:
        """State [n] uint8 at steps [n]."""
        ends = np.cumsum(self.durations)
        phase = (steps - self.offset) % ends[-1]
        return np.array(self.states, np.uint8)[np.searchsorted(ends, phase, side="right")]


@dataclass(frozen=True)
class RoadSign:
    """A sign. kind: "stop" or "speed_limit"; yaw: heading of the traffic it addresses."""

    id: str
    kind: str
    position: tuple[float, float]
    yaw: float


@dataclass(frozen=True)
class Recording:
    """One file: name, tracks and the road under them."""

    name: str
    tracks: tuple[Track, ...]
    lanelets: tuple[Lanelet, ...]
    lights: tuple[Light, ...]
    signs: tuple[RoadSign, ...]
