"""A circuit breaker for one server: stop asking what keeps failing, ask again now and then.

closed ──too many failures──▶ open ──cool-down over, one call let through──▶ half-open
closed ◀────────────────────────────── it succeeded ─────────────────────────── │
                              open ◀── it failed: twice the cool-down ───────── │

Invariants: while open nothing passes before the cool-down is over, and then one call at a time; only the outcome
of a call that was admitted in the present state counts, so that stragglers from before an opening neither close
nor reopen it. No I/O and no clock of its own: the caller injects one.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What a breaker lets through: everything, one call, nothing."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


@dataclass(frozen=True)
class BreakerConfig:
    """Opens after `failures` in a row, or when more than `share` of the last `window` tries failed.

    cool_down_s: until the first probe; doubles with each probe that fails, to at most_s. Our choice of values:
    five refusals in a row are no accident, a local server is back after 1 to 2 s, and the longest cool-down is
    the default deadline of a batch, so that a call rarely ends without a probe."""

    failures: int = 5
    share: float = 0.6
    window: int = 20
    cool_down_s: float = 1.0
    most_s: float = 30.0

    def __post_init__(self) -> None:
        if self.failures < 1 or self.window < 1 or not 0 < self.share <= 1:
            raise ValueError(f"{self}: failures and window must be at least 1, share in (0, 1]")
        if not 0 < self.cool_down_s <= self.most_s < math.inf:
            raise ValueError(f"{self}: cool_down_s must be above 0 and at most most_s")


@dataclass(frozen=True)
class Permit:
    """Leave to make one call; give it back through `Breaker.settle`. probe: it decides over a half-open breaker."""

    epoch: int
    probe: bool


class Breaker:
    """admit → call → settle. Not thread-safe: one event loop."""

    def __init__(self, config: BreakerConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self.config = config
        self.openings = 0
        self.probes = 0
        self.state = State.CLOSED
        self._clock = clock
        self._epoch = 0
        self._in_a_row = 0
        self._recent: deque[bool] = deque(maxlen=config.window)
        self._failed_probes = 0
        self._due = 0.0

    def due_s(self) -> float:
        """Seconds until `admit` may say yes: 0 now, infinite while a probe is under way."""
        if self.state is State.HALF_OPEN:
            return math.inf
        return max(self._due - self._clock(), 0.0) if self.state is State.OPEN else 0.0

    def admit(self) -> Permit | None:
        """Leave for one call, or None."""
        if self.due_s() > 0.0:
            return None
        if self.state is State.OPEN:
            self._enter(State.HALF_OPEN)
            self.probes += 1
        return Permit(self._epoch, self.state is State.HALF_OPEN)

    def settle(self, permit: Permit, succeeded: bool | None) -> None:
        """How the call ended; None: it tells nothing about the server (it was cancelled)."""
        if permit.epoch != self._epoch:
            return
        if permit.probe:
            self._settle_probe(succeeded)
        elif succeeded is not None:
            self._in_a_row = 0 if succeeded else self._in_a_row + 1
            self._recent.append(succeeded)
            if not succeeded and (self._in_a_row >= self.config.failures or self._too_many()):
                self._open()

    def metrics(self) -> dict[str, float]:
        """state: 0 closed, 1 half-open, 2 open; openings and probes since the start."""
        number = float(list(State).index(self.state))
        return {"state": number, "openings": float(self.openings), "probes": float(self.probes)}

    def _settle_probe(self, succeeded: bool | None) -> None:
        if succeeded is None:
            self._enter(State.OPEN)
        elif succeeded:
            self._failed_probes = 0
            self._in_a_row = 0
            self._recent.clear()
            self._enter(State.CLOSED)
        else:
            self._failed_probes += 1
            self._open()

    def _too_many(self) -> bool:
        failed = self._recent.count(False)
        return len(self._recent) == self.config.window and failed > self.config.share * self.config.window

    def _open(self) -> None:
        cool_down = min(self.config.cool_down_s * 2.0 ** min(self._failed_probes, 60), self.config.most_s)
        self._due = self._clock() + cool_down
        self.openings += 1
        self._enter(State.OPEN)

    def _enter(self, state: State) -> None:
        self.state = state
        self._epoch += 1
