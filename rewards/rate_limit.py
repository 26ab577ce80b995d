"""Token bucket: how many calls and rollouts a second a server takes, and what it tells who is refused.

Invariant: over any long time no more than `rate` units a second are let through.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import grpc

# The name that gRPC's own retries use (gRFC A6), so that clients in other languages know it.
PUSHBACK = "grpc-retry-pushback-ms"


class TokenBucket:
    """Lets `rate` units a second through, after a quiet time `burst` at once (default: a second's worth).

    A batch is let in whole or not at all; one above `burst` is let in when the bucket is full, and its debt is
    waited off by those who follow, so that no batch is too large to ever be let in."""

    def __init__(
        self, rate: float, burst: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Raises ValueError unless rate and burst are above 0."""
        self.rate = rate
        self.burst = rate if burst is None else burst
        if not (self.rate > 0 and self.burst > 0):
            raise ValueError(f"a rate limit of {rate:g}/s with bursts of {self.burst:g} lets nothing through")
        self._clock = clock
        self._level, self._at = self.burst, clock()

    def take(self, units: float) -> float:
        """0 when the units are let through, else the seconds after which to ask again."""
        now = self._clock()
        self._level = min(self.burst, self._level + (now - self._at) * self.rate)
        self._at = now
        wanted = min(units, self.burst)
        if self._level >= wanted - 1e-9:
            self._level -= units
            return 0.0
        return (wanted - self._level) / self.rate


def pushback(wait_s: float) -> tuple[tuple[str, str], ...]:
    """Trailing metadata that tells a refused caller when to come back."""
    return ((PUSHBACK, str(max(1, round(1000 * wait_s)))),) if wait_s > 0 else ()


def asked_pause_s(error: grpc.RpcError) -> float:
    """Seconds that a refusing server asked to wait; 0 where it said nothing that can be read."""
    trailing = getattr(error, "trailing_metadata", lambda: None)()
    text = next((value for key, value in trailing or () if key == PUSHBACK), "")
    text = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    return int(text) / 1000.0 if text.isascii() and text.isdigit() else 0.0
