"""Jittered exponential back-off."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Seconds to pause before attempt n+1: uniform over (0.5, 1] of first_s · 2^(n-1), at most most_s."""

    first_s: float = 0.05
    most_s: float = 2.0

    def pause(self, attempt: int, rng: random.Random) -> float:
        """attempt counts from 1."""
        return min(self.first_s * 2.0 ** min(attempt - 1, 30), self.most_s) * rng.uniform(0.5, 1.0)
