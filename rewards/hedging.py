"""When to ask a second server because the first is slow.

A call that is not answered within the 95th percentile of recent answers is sent once more, elsewhere; the first
answer wins (J. Dean, L. A. Barroso, The Tail at Scale, CACM 56(2), 2013). Invariants: nothing is hedged before
`samples` answers were seen, and second requests are at most `most_share` of first ones, so that a server that is
slow because it is overloaded is not loaded twice.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class HedgeConfig:
    """quantile: of the last `window` answers, in (0, 1); samples: answers needed before it is used; most_share:
    second requests to first ones; same_server: also hedge to the server that is slow, where there is no other."""

    quantile: float = 0.95
    samples: int = 20
    window: int = 200
    most_share: float = 0.1
    same_server: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.quantile < 1 or not 0 < self.most_share <= 1:
            raise ValueError(f"{self}: quantile must lie in (0, 1), most_share in (0, 1]")
        if not 1 <= self.samples <= self.window:
            raise ValueError(f"{self}: samples must be at least 1 and at most window")


class Hedger:
    """Latencies of recent answers, and the account of extra requests."""

    def __init__(self, config: HedgeConfig) -> None:
        self.config = config
        self.first = 0
        self.sent = 0
        self.won = 0
        self._seconds: deque[float] = deque(maxlen=config.window)

    def delay_s(self) -> float | None:
        """Seconds to wait before a second request, by nearest rank; None: too few answers were seen."""
        if len(self._seconds) < self.config.samples:
            return None
        rank = math.ceil(self.config.quantile * len(self._seconds))
        return sorted(self._seconds)[rank - 1]

    def affordable(self) -> bool:
        """Whether one more second request stays within the share."""
        return self.sent + 1 <= self.config.most_share * self.first

    def observe(self, seconds: float) -> None:
        """From the first request to the first answer, whoever gave it."""
        self._seconds.append(seconds)

    def metrics(self) -> dict[str, float]:
        """sent, won; delay_s: the delay in use, where one is."""
        delay = self.delay_s()
        found = {"sent": float(self.sent), "won": float(self.won)}
        return found if delay is None else {**found, "delay_s": delay}
