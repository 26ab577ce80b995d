"""Intervals for evaluation figures: percentile bootstrap over clips.

Invariant: clips, not rollouts, are resampled, because rollouts of one clip are not independent; paired
differences resample both arms with the same clips.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float

    def row(self) -> list[float]:
        """[mean, low, high], the form of summary.json."""
        return [self.mean, self.low, self.high]


def bootstrap(values: np.ndarray, resamples: int = 2000, seed: int = 0) -> Interval:
    """Mean over clips [N] with its 95 % percentile interval. Raises ValueError for no or non-finite values."""
    values = np.asarray(values, float)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError("bootstrap needs at least one value and only finite ones")
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    for index in range(resamples):
        means[index] = values[rng.integers(0, len(values), len(values))].mean()
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(values.mean()), float(low), float(high))


def paired(before: np.ndarray, after: np.ndarray, resamples: int = 2000, seed: int = 0) -> Interval:
    """Interval of the mean of after - before over the same clips. Raises ValueError when lengths differ."""
    before, after = np.asarray(before, float), np.asarray(after, float)
    if before.shape != after.shape:
        raise ValueError(f"paired figures need the same clips, got {before.shape} and {after.shape}")
    return bootstrap(after - before, resamples, seed)
