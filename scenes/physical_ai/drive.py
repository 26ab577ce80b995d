"""A 20 s drive made of moments of the procedural world.

Role: gives miniature data sets their ego motion and road users. Each moment is a clip of the world (1.5 s of
history, 6.4 s of future) at its own time; between moments, before and after them the vehicle goes on at its
speed. Invariant: within a moment's window the drive passes through the world clip's own states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from scenes.clip import Agents, Clip
from scenes.geometry import to_frame, transform
from scenes.trajectory import FUTURE_STEPS, HISTORY_STEPS, STEP_S

BEFORE_S, AFTER_S = 1.0, 22.0
"""Egomotion begins before the cameras do and goes on after them, as in the recordings."""
TAIL_S = 0.3
"""How much longer than its window a road user is recorded, at constant velocity."""
WINDOW = np.arange(-(HISTORY_STEPS - 1), FUTURE_STEPS + 1) * STEP_S
"""Times [H+T] s of a clip's steps around its t0."""


@dataclass(frozen=True)
class Drive:
    """times: [n] s; states: [n, 4] x, y, yaw, v in the drive's frame, yaw without jumps; moments: t0 s of each
    world clip; origins: [M, 3] its ego pose at t0; clips: the world clips."""

    times: np.ndarray
    states: np.ndarray
    moments: tuple[float, ...]
    origins: np.ndarray
    clips: tuple[Clip, ...]

    def at(self, times: np.ndarray) -> np.ndarray:
        """States [k, 4] of x, y, yaw, v at times [k] s."""
        x, y, yaw, v = self.states.T
        along = np.column_stack((v * np.cos(yaw), v * np.sin(yaw)))
        xy = CubicHermiteSpline(self.times, np.column_stack((x, y)), along)(times)
        rest = [np.interp(times, self.times, values) for values in (yaw, v)]
        return np.column_stack((xy, *rest))


def join(clips: Sequence[Clip], moments: Sequence[float]) -> Drive:
    """The drive of these clips at these times (s, multiples of 0.1, windows apart). Raises ValueError when
    windows overlap."""
    times: list[np.ndarray] = []
    states: list[np.ndarray] = []
    origins: list[np.ndarray] = []
    for clip, t0 in zip(clips, moments, strict=True):
        window = np.concatenate((clip.ego_history, clip.ego_future))
        window[:, 2] = np.unwrap(window[:, 2])
        at = t0 + WINDOW
        if times and at[0] <= times[-1][-1]:
            raise ValueError(f"moments {moments} s: windows overlap; put them 8 s or more apart")
        place = np.zeros(3)
        if times:
            place = _placed(states[-1][-1], window[0], at[0] - times[-1][-1])
        states.append(_moved(window, place))
        times.append(at)
        origins.append(place)
    lead, tail = np.array([-BEFORE_S]), np.array([AFTER_S])
    first, last = states[0][0], states[-1][-1]
    return Drive(
        np.concatenate((lead, *times, tail)),
        np.concatenate(
            (_coast(first, -BEFORE_S - times[0][0]), *states, _coast(last, AFTER_S - times[-1][-1]))
        ),
        tuple(moments),
        np.array(origins),
        tuple(clips),
    )


def _coast(state: np.ndarray, seconds: float) -> np.ndarray:
    """The state [1, 4] after coasting straight on for `seconds` (before, where negative)."""
    x, y, yaw, v = state
    return np.array([[x + v * seconds * np.cos(yaw), y + v * seconds * np.sin(yaw), yaw, v]])


def _placed(last: np.ndarray, first: np.ndarray, gap_s: float) -> np.ndarray:
    """Pose of the next clip's frame so that it begins gap_s after `last`, straight on at the mean speed."""
    x, y, yaw, v = last
    way = 0.5 * (v + first[3]) * gap_s
    turn = yaw - first[2]
    start = np.array([x + way * np.cos(yaw), y + way * np.sin(yaw)])
    return np.array([*(start - transform(first[:2], np.array([0.0, 0.0, turn]))), turn])


def _moved(states: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """States [n, 4] of a local frame at `pose`, in the outer frame."""
    return np.column_stack((transform(states[:, :2], pose), states[:, 2] + pose[2], states[:, 3]))


@dataclass(frozen=True)
class Sample:
    """Samples of one road user: times [n] s and boxes [n, 3] of x, y, yaw in the ego frame of each time."""

    id: str
    kind: str
    size: tuple[float, float, float]
    times: np.ndarray
    boxes: np.ndarray


def road_users(drive: Drive, rate_hz: float = 10.0) -> list[Sample]:
    """Every road user of every moment, sampled out of step with each other as a recording's tracks are."""
    out = []
    for number, (clip, t0, origin) in enumerate(zip(drive.clips, drive.moments, drive.origins, strict=True)):
        agents = clip.agents
        for index, name in enumerate(agents.ids):
            phase = (0.037 * (index + 1)) % (1.0 / rate_hz)
            times = np.arange(t0 + WINDOW[0] - TAIL_S + phase, t0 + WINDOW[-1] + TAIL_S, 1.0 / rate_hz)
            world = _track(agents, index, t0 + WINDOW, times)
            placed = np.column_stack((transform(world[:, :2], origin), world[:, 2] + origin[2]))
            ego = drive.at(times)[:, :3]
            boxes = np.column_stack((to_frame(placed[:, :2], ego), placed[:, 2] - ego[:, 2]))
            size = tuple(float(value) for value in agents.sizes[index])
            out.append(Sample(f"{number}:{name}", agents.classes[index], size, times, boxes))  # type: ignore[arg-type]
    return out


def _track(agents: Agents, index: int, steps: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Poses [k, 3] of an agent at times [k], in its clip's frame; straight on at both ends."""
    poses = agents.poses[index].copy()
    poses[:, 2] = np.unwrap(poses[:, 2])
    out = np.column_stack([np.interp(times, steps, poses[:, axis]) for axis in range(3)])
    for end, inner, beyond in ((0, 1, times < steps[0]), (-1, -2, times > steps[-1])):
        velocity = (poses[end, :2] - poses[inner, :2]) / (steps[end] - steps[inner])
        out[beyond, :2] = poses[end, :2] + (times[beyond, None] - steps[end]) * velocity
    return out
