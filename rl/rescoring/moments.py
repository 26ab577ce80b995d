"""Sums of pairs that can be merged: means, spreads and the correlation of old and new values, in one pass.

Source: Chan, Golub and LeVeque 1983 (The American Statistician 37): pairwise update of centred sums, so that a
small spread around a large mean is not lost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PairMoments:
    """count of pairs; means; centred sums of squares and products; moved: sum of |new - old|."""

    count: int = 0
    old_mean: float = 0.0
    new_mean: float = 0.0
    old_square: float = 0.0
    new_square: float = 0.0
    product: float = 0.0
    moved: float = 0.0

    @classmethod
    def of(cls, old: np.ndarray, new: np.ndarray) -> PairMoments:
        """Of finite values [N] each."""
        if not len(old):
            return cls()
        x, y = old - old.mean(), new - new.mean()
        sums = (float((x * x).sum()), float((y * y).sum()), float((x * y).sum()))
        return cls(len(old), float(old.mean()), float(new.mean()), *sums, float(np.abs(new - old).sum()))

    def __add__(self, other: PairMoments) -> PairMoments:
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        dx, dy = other.old_mean - self.old_mean, other.new_mean - self.new_mean
        between = self.count * other.count / count
        return PairMoments(
            count,
            self.old_mean + dx * other.count / count,
            self.new_mean + dy * other.count / count,
            self.old_square + other.old_square + dx * dx * between,
            self.new_square + other.new_square + dy * dy * between,
            self.product + other.product + dx * dy * between,
            self.moved + other.moved,
        )

    def correlation(self) -> float | None:
        """Pearson's r, None where either side has no spread."""
        spread = math.sqrt(self.old_square * self.new_square)
        if not self.count or spread <= 1e-12 * self.count:
            return None
        return max(-1.0, min(1.0, self.product / spread))

    def row(self) -> dict[str, float | int | None]:
        """As JSON: pairs, means, standard deviations (population), mean |new - old|, correlation."""
        if not self.count:
            return {"pairs": 0}
        return {
            "pairs": self.count,
            "old_mean": self.old_mean,
            "new_mean": self.new_mean,
            "old_std": math.sqrt(self.old_square / self.count),
            "new_std": math.sqrt(self.new_square / self.count),
            "mean_abs_change": self.moved / self.count,
            "correlation": self.correlation(),
        }
