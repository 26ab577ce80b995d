"""What makes a clip or a drive unfit to be judged by rules, in one sentence that says what to mend."""

from __future__ import annotations

import math

import numpy as np

from rewards.score import RolloutView
from scenes.clip import Clip

FARTHEST_M = 1e6
"""States and actions beyond this are no drive; it also keeps every square finite."""
LEAST_STEPS = 2


def clip_fault(clip: Clip) -> str | None:
    """Why a clip's expert, road users or drivable area cannot be used; None when they can."""
    agents = clip.agents
    # A sum is finite only if every term is: one pass, and this is asked of every clip.
    if not math.isfinite(clip.ego_future.sum()):
        return f"clip {clip.clip_id!r}: the expert's future is not finite; drop the clip or refit its track"
    if not math.isfinite(agents.poses[agents.valid].sum()):
        why = (
            "a road user's pose is not finite at a step marked valid; mark the step invalid or mend the pose"
        )
        return f"clip {clip.clip_id!r}: {why}"
    if not (agents.sizes >= 0.0).all():
        return f"clip {clip.clip_id!r}: a road user's size is negative or not finite; mend the size"
    for ring in () if clip.road is None else clip.road.drivable:
        if ring.ndim != 2 or len(ring) < 3 or not math.isfinite(ring.sum()):
            why = f"a drivable polygon of shape {ring.shape}; each needs at least 3 finite points"
            return f"clip {clip.clip_id!r}: {why}"
    return None


def drive_fault(rollout: RolloutView, clip: Clip) -> str | None:
    """Why a valid rollout's drive cannot be held against its clip's expert; None when it can."""
    states, actions, steps = rollout.states, rollout.actions, len(clip.ego_future)
    assert states is not None
    assert actions is not None
    if len(states) != steps:
        return f"{len(states)} predicted steps, {steps} expert steps"
    if steps < LEAST_STEPS:
        return f"{steps} predicted steps; jerk and comfort need at least {LEAST_STEPS}"
    if states.shape != (steps, 4) or actions.shape != (steps, 2):
        return f"states {states.shape} and actions {actions.shape}; pass [{steps}, 4] and [{steps}, 2]"
    return None


def wild(states: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """[R] bool: drives [R, T, 4], [R, T, 2] with a number that is not finite or beyond FARTHEST_M."""
    # A comparison is False for NaN.
    tame = (np.abs(states) < FARTHEST_M).all(axis=(1, 2)) & (np.abs(actions) < FARTHEST_M).all(axis=(1, 2))
    return ~tame
