"""From scores to advantages: combining rewards and normalising within the group, missing scores left out.

Role: the arithmetic the learner optimises and the ledger explains. Invariants: a missing score never moves a
sibling's baseline; per-reward shares sum to the advantage; what is logged is what is optimised.
Sources: weighted sum then group normalisation, GRPO (arXiv 2402.03300) as AR1 uses it; normalise each reward
then sum, GDPO (arXiv 2601.05242).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

EPSILON = 1e-4


class Combine(StrEnum):
    """Order of summing and normalising."""

    SUM_THEN_NORMALISE = "sum_then_normalise"
    NORMALISE_THEN_SUM = "normalise_then_sum"


@dataclass(frozen=True)
class GroupAdvantages:
    """totals, advantages: [G], NaN where a rollout is left out; shares: reward name → [G], NaN likewise."""

    totals: np.ndarray
    advantages: np.ndarray
    shares: Mapping[str, np.ndarray]


def combine_group(
    values: Mapping[str, np.ndarray],
    weights: Mapping[str, float],
    method: Combine = Combine.SUM_THEN_NORMALISE,
    scale_by_std: bool = True,
) -> GroupAdvantages:
    """Advantages of one group.

    values: reward name → [G], NaN where missing; weights: reward name → weight (0 leaves a reward out). A
    rollout that misses any weighted reward is left out of totals, baselines and normalisers. Standard deviations
    are the population's, plus 1e-4. Raises ValueError when no reward has a weight.
    """
    active = {name: weight for name, weight in weights.items() if weight != 0}
    if not active:
        raise ValueError("no reward has a weight; set one above 0")
    size = len(next(iter(values.values())))
    kept = np.ones(size, bool)
    for name in active:
        kept &= np.isfinite(values[name])
    totals = np.full(size, np.nan)
    totals[kept] = sum(weight * values[name][kept] for name, weight in active.items())
    shares = {name: np.full(size, np.nan) for name in active}
    if kept.any():
        scale = float(totals[kept].std()) + EPSILON if scale_by_std else 1.0
        for name, weight in active.items():
            column = values[name][kept]
            centred = weight * (column - column.mean())
            if method is Combine.NORMALISE_THEN_SUM and scale_by_std:
                scale = float(column.std()) + EPSILON
            shares[name][kept] = centred / scale
    advantages = np.full(size, np.nan)
    advantages[kept] = sum(share[kept] for share in shares.values())
    return GroupAdvantages(totals, advantages, shares)
