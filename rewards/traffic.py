"""The road users of many clips as one table, so that rollouts of different clips are scored together.

Role: what `rewards.collision` holds predicted drives against. Invariants: a row is one road user, the rows of
clip c are start[c] … start[c + 1] - 1, and no row is padding; a step at which `counted` is False takes part in
nothing, whatever its pose holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scenes.clip import Clip


@dataclass(frozen=True)
class Traffic:
    """A road users over T steps. start: [C + 1]; moving: [A, T, 6] x, y, cos, sin of box centres and velocity m/s
    along the heading, NaN where a single observation tells none; half: [A, 2] half length and width m; counted:
    [A, T]."""

    start: np.ndarray
    moving: np.ndarray
    half: np.ndarray
    counted: np.ndarray


def traffic(clips: Sequence[Clip], steps: int) -> Traffic:
    """The traffic over the last `steps` steps of clips [C], each with an expert future of as many.

    Steps at which the expert's own box overlaps a road user's are not counted: there the annotation is wrong."""
    counts = np.array([len(clip.agents.ids) for clip in clips], dtype=np.intp)
    start = np.concatenate([[0], np.cumsum(counts)])
    busy = [clip for clip in clips if clip.agents.ids]
    owner = np.repeat(np.arange(len(clips)), counts)
    if not busy:
        nobody = np.zeros((0, steps), dtype=bool)
        return Traffic(start, np.zeros((0, steps, 6)), np.zeros((0, 2)), nobody)
    poses = np.concatenate([_latest(clip.agents.poses, steps + 1, np.nan) for clip in busy])
    valid = np.concatenate([_latest(clip.agents.valid, steps + 1, False) for clip in busy])
    sizes = np.concatenate([clip.agents.sizes[:, :2] for clip in busy]).astype(np.float64)
    experts = np.stack([clip.ego_future for clip in clips])
    egos = np.array([clip.ego_size for clip in clips], dtype=np.float64)
    from rewards.compiled.encounters import observed

    moving, counted = observed(poses, valid, sizes, owner, experts, egos)
    return Traffic(start, moving, 0.5 * sizes, counted)


def joined(parts: Sequence[Traffic]) -> Traffic:
    """The traffic of several batches of clips over the same steps, as one; at least one."""
    counts = np.concatenate([np.diff(part.start) for part in parts])
    return Traffic(
        np.concatenate([[0], np.cumsum(counts)]),
        np.concatenate([part.moving for part in parts]),
        np.concatenate([part.half for part in parts]),
        np.concatenate([part.counted for part in parts]),
    )


def speeds(poses: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Speed [A, K] m/s along the heading of poses [A, K, 3]: the difference of the two neighbouring positions
    that are valid, of one and the pose itself where the other is not; NaN where neither is."""
    from rewards.compiled import encounters as compiled

    return compiled.speeds(np.asarray(poses, dtype=np.float64), np.asarray(valid, dtype=bool))


def _latest(values: np.ndarray, steps: int, missing: float | bool) -> np.ndarray:
    """The last `steps` of values [N, K, ...]; where K is smaller, `missing` stands in front."""
    kept = values[:, max(values.shape[1] - steps, 0) :]
    short = steps - kept.shape[1]
    if not short:
        return kept
    front = np.full((len(values), short, *values.shape[2:]), missing, dtype=values.dtype)
    return np.concatenate([front, kept], axis=1)
