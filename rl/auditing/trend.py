"""Whether a quantity drifts over a run: a robust slope with its interval, and how far it went.

Source: Theil-Sen slope with the 95 % interval of Sen 1968 (scipy.stats.theilslopes), over the means of steps. It
bears outlying steps. Neighbouring steps are not quite independent, so the interval is a little too narrow: no sign
rests on it alone, each also asks for a change that matters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

FEWEST = 10
"""Below ten points the interval of a slope says next to nothing."""
MOST = 100
"""Steps are pooled into at most this many points, since the slope's cost is quadratic."""
WINDOW = 0.2
"""Early and late are the first and the last fifth of the run."""


@dataclass(frozen=True)
class Trend:
    """slope: change over the whole run by the fitted line, [low, high] its 95 % interval; early, late: means
    over the first and last fifth."""

    slope: float
    low: float
    high: float
    early: float
    late: float

    @property
    def change(self) -> float:
        return self.late - self.early

    def rises(self, least: float) -> bool:
        """The interval excludes 0 and late is above early by at least `least`."""
        return self.low > 0 and self.change >= least

    def falls(self, least: float) -> bool:
        """The interval excludes 0 and late is below early by at least `least`."""
        return self.high < 0 and -self.change >= least

    def evidence(self, name: str) -> dict[str, float]:
        """Early, late and the slope's interval, under names that start with `name`."""
        return {
            f"{name} early": self.early,
            f"{name} late": self.late,
            f"{name} slope low": self.low,
            f"{name} slope high": self.high,
        }


def trend(step: np.ndarray, values: np.ndarray) -> Trend | None:
    """Trend of values [N] (NaN left out) over step [N]; None with fewer than ten steps that have one."""
    known = np.isfinite(values)
    if not known.any():
        return None
    steps, owner = np.unique(step[known], return_inverse=True)
    bins = min(len(steps), MOST)
    if bins < FEWEST:
        return None
    owner = owner * bins // len(steps)
    count = np.bincount(owner, minlength=bins)
    means = np.bincount(owner, weights=values[known], minlength=bins) / count
    # Over time from 0 to 1, so that a slope is a change over the run.
    fit = stats.theilslopes(means, np.linspace(0.0, 1.0, bins), 0.95)
    early, late = windows(step[known])
    held = values[known]
    return Trend(
        float(fit.slope),
        float(fit.low_slope),
        float(fit.high_slope),
        float(held[early].mean()),
        float(held[late].mean()),
    )


def windows(step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[N] bool each: rows of the first and of the last fifth of the steps, one step at least."""
    steps = np.unique(step)
    size = max(int(len(steps) * WINDOW), 1)
    return step <= steps[size - 1], step >= steps[-size]
