"""Collision and time to collision of predicted ego states with the logged futures of other road users.

Time to collision at a step: the seconds until the ego's box and a road user's would overlap if both kept the
speed and the heading that they have at that step; 0 where they overlap, the horizon where they would not within
it. Source: J. C. Hayward, Near-miss determination through use of a scale of danger, Highway Research Record 384,
1972; here for oriented boxes in the plane and solved exactly (`rewards.contact`). A sieve of circles leaves the few
pairs that can meet within the horizon (`rewards.compiled.encounters`).
Invariant: a collision at a step implies a time to collision of 0 there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rewards.traffic import Traffic, traffic
from scenes.clip import Clip


class Encounters(NamedTuple):
    """collision: [R, T] bool; seconds: [R, T] time to collision, at most the horizon."""

    collision: np.ndarray
    seconds: np.ndarray


def encounters(
    states: np.ndarray,
    clip: np.ndarray,
    sizes: np.ndarray,
    others: Traffic,
    margin_m: float = 0.0,
    horizon_s: float = 3.0,
) -> Encounters:
    """Collisions and times to collision of states [R, T, 4], row r driven in clip[r] of `others` by an ego of
    sizes [R, 4] (`Clip.ego_size`), whose box is grown by `margin_m` on every side."""
    from rewards.compiled import encounters as compiled

    found = compiled.encounters(
        np.ascontiguousarray(states, dtype=np.float64),
        clip,
        sizes,
        others.start,
        others.moving,
        others.half,
        others.counted,
        float(margin_m),
        float(horizon_s),
    )
    return Encounters(*found)


def collides(states: np.ndarray, clip: Clip, margin_m: float = 0.0) -> np.ndarray:
    """[B] bool: the ego box, grown by `margin_m` on every side, overlaps a road user's box at some step.

    states: [B, T, 4] in the clip's frame, T the clip's future steps. Steps at which the expert's own box
    overlaps a road user's are not counted against a prediction: there the annotation is wrong."""
    others = traffic([clip], states.shape[-2])
    sizes = np.tile(np.asarray(clip.ego_size, dtype=np.float64), (len(states), 1))
    found = encounters(states, np.zeros(len(states), dtype=np.intp), sizes, others, margin_m)
    return np.asarray(found.collision.any(axis=-1))
