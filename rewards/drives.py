"""What many predicted trajectories do: `rewards.drive` for a whole batch.

Role: the vectorised path of the consistency reward; only the finished `Drive`s are built one by one.
Invariant: drive r equals measure(states[r], actions[r], lanes[r], fronts[r]) up to rounding (tested).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from rewards.comfort import REVERSING_MPS
from rewards.drive import Drive
from rewards.lane_frame import ReferenceLane
from rewards.lane_frame_batch import lane_frames
from rewards.meta_action_batch import lateral_batch, longitudinal_batch
from scenes.trajectory import STEP_S

CHUNK = 512
"""Drives measured at once; memory is bounded by it, whatever the batch."""


def measure_batch(
    states: Sequence[np.ndarray],
    actions: Sequence[np.ndarray],
    lanes: Sequence[ReferenceLane | None],
    fronts: Sequence[float],
) -> list[Drive]:
    """The drive of each states [T, 4] and actions [T, 2] in its clip's lane; fronts: see `drive.front_m`. Horizons
    may differ."""
    drives: list[Drive | None] = [None] * len(states)
    by_steps: dict[int, list[int]] = defaultdict(list)
    for index, one in enumerate(states):
        by_steps[len(one)].append(index)
    for indices in by_steps.values():
        for first in range(0, len(indices), CHUNK):
            some = indices[first : first + CHUNK]
            full = _with_start(np.stack([states[i] for i in some]), np.stack([actions[i] for i in some]))
            found = _measure(full, [lanes[i] for i in some], [fronts[i] for i in some])
            for index, drive in zip(some, found, strict=True):
                drives[index] = drive
    return [drive for drive in drives if drive is not None]


def _with_start(states: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """States [R, T + 1, 4] with the one at t0 in front."""
    start = np.zeros((len(states), 1, 4))
    start[:, 0, 3] = states[:, 0, 3] - actions[:, 0, 0] * STEP_S
    return np.concatenate([start, states], axis=1)


def _measure(full: np.ndarray, lanes: Sequence[ReferenceLane | None], fronts: Sequence[float]) -> list[Drive]:
    turned = (full[:, -1, 2] - full[:, 0, 2]).tolist()
    reverses = np.any(full[..., 3] < REVERSING_MPS, axis=-1)
    columns = zip(
        full,
        longitudinal_batch(full),
        lateral_batch(full),
        turned,
        lane_frames(full, lanes),
        reverses,
        fronts,
        strict=True,
    )
    return [
        Drive(
            states=states,
            longitudinal=longitudinal,
            lateral=lateral,
            turned=turn,
            frame=frame,
            reverses=bool(reverse),
            stop_gap=None if frame.stop_line is None else frame.stop_line - front,
        )
        for states, longitudinal, lateral, turn, frame, reverse, front in columns
    ]
