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

    def motions(self) -> list[Motion]:
        """The motion of every drive."""
        speed, seen = self.states[..., 3], self.frames
        shift = seen.offset - seen.offset[:, :1]
        columns = (
            speed[:, 0],
            speed[:, -1],
            speed.min(axis=1),
            speed.max(axis=1),
            shift.max(axis=1),
            -shift.min(axis=1),
            shift[:, -1],
            self.states[:, -1, 2] - self.states[:, 0, 2],
            np.abs(seen.heading[:, -1]),
            np.where(seen.mapped, np.abs(seen.offset[:, -1]), np.nan),
            self.stop_gap,
        )
        numbers, reverses = np.stack(columns, axis=1).tolist(), self.reverses.tolist()
        actions = self.pace.rows()
        return [Motion._make((a, *row, b)) for a, row, b in zip(actions, numbers, reverses, strict=True)]

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

    motion: Motion
    drives: Drives
    row: int

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
            full = _with_start(np.stack([states[i] for i in some]), np.stack([actions[i] for i in some]))
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


def _with_start(states: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """States [R, T + 1, 4] with the one at t0 in front."""
    full = np.zeros((len(states), states.shape[1] + 1, 4))
    full[:, 0, 3] = states[:, 0, 3] - actions[:, 0, 0] * STEP_S
    full[:, 1:] = states
    return full


def _measure(full: np.ndarray, lanes: Sequence[ReferenceLane | None], fronts: np.ndarray) -> Drives:
    frames = lane_frames(full, lanes)
    reverses = np.any(full[..., 3] < REVERSING_MPS, axis=-1)
    return Drives(full, longitudinal_runs(full), frames, reverses, frames.stop_line - fronts)
