"""What many predicted trajectories do: `rewards.drive` for a whole batch.

Role: the vectorised path of the consistency reward: columns for all, a `Drive` only for those who ask.
Invariant: drive r equals measure(states[r], actions[r], lanes[r], fronts[r]) up to rounding (tested).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rewards.comfort import REVERSING_MPS
from rewards.drive import Drive, Motion
from rewards.lane_frame import ReferenceLane
from rewards.lane_frame_batch import LaneFrames, lane_frames
from rewards.meta_action_batch import Runs, lateral_runs, longitudinal_runs
from scenes.trajectory import STEP_S

CHUNK = 512
"""Drives measured at once; memory is bounded by it, whatever the batch."""


@dataclass(frozen=True)
class Drives:
    """R drives of one horizon as columns; see Drive. states: [R, K, 4] with t0 first; pace: longitudinal
    meta-actions; stop_gap: [R] m, NaN without a line."""

    states: np.ndarray
    pace: Runs
    frames: LaneFrames
    reverses: np.ndarray
    stop_gap: np.ndarray

    @cached_property
    def way(self) -> Runs:
        """Lateral meta-actions: only texts of several steps ask for them."""
        return lateral_runs(self.states)

    @cached_property
    def numbers(self) -> np.ndarray:
        """[R, 11] the numbers of Motion, from start to stop_gap."""
        from rewards.compiled.verdicts import numbers

        seen = self.frames
        return numbers(self.states, seen.offset, seen.heading, seen.mapped, self.stop_gap)

    def motion(self, row: int) -> Motion:
        """The motion of one drive."""
        return Motion._make((self.pace.row(row), *self.numbers[row].tolist(), bool(self.reverses[row])))

    def drive(self, row: int) -> Drive:
        """One drive with all its segments."""
        states, gap = self.states[row], float(self.stop_gap[row])
        return Drive(
            states=states,
            longitudinal=self.pace.segments(row),
            lateral=self.way.segments(row),
            turned=float(states[-1, 2] - states[0, 2]),
            frame=self.frames.row(row),
            reverses=bool(self.reverses[row]),
            stop_gap=gap if gap == gap else None,
        )


@dataclass(frozen=True)
class DriveRow:
    """One drive of many: its motion, and the rest on demand."""

    drives: Drives
    row: int

    @cached_property
    def motion(self) -> Motion:
        """The numbers that the rules look at."""
        return self.drives.motion(self.row)

    def whole(self) -> Drive:
        """The drive with all its segments."""
        return self.drives.drive(self.row)


def measure_columns(
    states: Sequence[np.ndarray],
    actions: Sequence[np.ndarray],
    lanes: Sequence[ReferenceLane | None],
    fronts: Sequence[float],
) -> Iterator[tuple[list[int], Drives]]:
    """The drives of each states [T, 4] and actions [T, 2] in its clip's lane, some at a time: which, and what they
    do. fronts: see `drive.front_m`. Horizons may differ."""
    by_steps: dict[int, list[int]] = defaultdict(list)
    for index, one in enumerate(states):
        by_steps[len(one)].append(index)
    for indices in by_steps.values():
        for first in range(0, len(indices), CHUNK):
            some = indices[first : first + CHUNK]
            full = _with_start([states[i] for i in some], [actions[i] for i in some])
            yield some, _measure(full, [lanes[i] for i in some], np.array([fronts[i] for i in some]))


def measure_batch(
    states: Sequence[np.ndarray],
    actions: Sequence[np.ndarray],
    lanes: Sequence[ReferenceLane | None],
    fronts: Sequence[float],
) -> list[Drive]:
    """As `measure_columns`, each drive as an object, in order."""
    found: dict[int, Drive] = {}
    for some, drives in measure_columns(states, actions, lanes, fronts):
        found.update((index, drives.drive(row)) for row, index in enumerate(some))
    return [found[index] for index in range(len(states))]


def _with_start(states: Sequence[np.ndarray], actions: Sequence[np.ndarray]) -> np.ndarray:
    """States [R, T + 1, 4] with the one at t0 in front."""
    full = np.zeros((len(states), len(states[0]) + 1, 4))
    # Unlike np.stack this looks at no array by itself.
    full[:, 1:] = np.concatenate(states).reshape(len(states), -1, 4)
    full[:, 0, 3] = full[:, 1, 3] - np.concatenate([taken[:1, 0] for taken in actions]) * STEP_S
    return full


def _measure(full: np.ndarray, lanes: Sequence[ReferenceLane | None], fronts: np.ndarray) -> Drives:
    frames = lane_frames(full, lanes)
    reverses = np.any(full[..., 3] < REVERSING_MPS, axis=-1)
    return Drives(full, longitudinal_runs(full), frames, reverses, frames.stop_line - fronts)
