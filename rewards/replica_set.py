"""Which replica to ask next, or how long to wait for one.

Rule: among the servers that are not refused and whose breaker admits a call, one that has not failed in this call
before one that has, one that has failed no call within its cool-down before one that has, then the one with the
fewest calls in flight, then in turn. When every breaker is open, a call waits for the next probe if that is due
before its deadline, and else fails at once with the reason: waiting longer could not help it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rewards.breaker import Permit, State
from rewards.failure import Failure
from rewards.replica import Replica
from rewards.score import Status

POLL_S = 0.05
"""How often a waiting call looks whether the probe of another one has ended."""


@dataclass(frozen=True)
class Admission:
    """Leave to ask one replica; whoever holds it must call `replica.ask(permit, …)`."""

    replica: Replica
    permit: Permit


@dataclass(frozen=True)
class Standing:
    """What a call has learned of the replicas: failed ones are asked last, refused ones not again."""

    failed: frozenset[Replica] = frozenset()
    refused: frozenset[Replica] = frozenset()


class ReplicaSet:
    """The replicas of one reward, in the order of its address."""

    def __init__(self, replicas: Sequence[Replica]) -> None:
        self.replicas = tuple(replicas)
        self._turn = 0

    def admit(self, standing: Standing = Standing(), barred: Collection[Replica] = ()) -> Admission | None:
        """The best replica that may be asked now, or None."""
        ready = self._ready(standing, barred)
        if not ready:
            return None
        count = len(self.replicas)
        place = {replica: (n - self._turn) % count for n, replica in enumerate(self.replicas)}
        best = min(ready, key=lambda r: (r in standing.failed, r.suspect, r.in_flight, place[r]))
        permit = best.breaker.admit()
        if permit is None:
            raise AssertionError("a breaker that was due admits")
        self._turn = (self.replicas.index(best) + 1) % count
        return Admission(best, permit)

    def fresh(self, standing: Standing) -> bool:
        """Whether a replica that has not failed in this call may be asked now."""
        return any(replica not in standing.failed for replica in self._ready(standing))

    async def until_due(self, standing: Standing, end: float) -> Failure | None:
        """Return None once a replica may be asked, or why none may before `end` (monotonic seconds)."""
        while (why := self._hopeless(standing, end)) is None:
            if self._ready(standing):
                return None
            due = min(r.breaker.due_s() for r in self.replicas if r not in standing.refused)
            await asyncio.sleep(min(max(due, 0.001), POLL_S, max(end - time.monotonic(), 0.001)))
        return Failure(Status.INFRASTRUCTURE, why, False)

    def _ready(self, standing: Standing, barred: Collection[Replica] = ()) -> list[Replica]:
        return [
            r
            for r in self.replicas
            if r not in standing.refused and r not in barred and r.breaker.due_s() <= 0.0
        ]

    def _hopeless(self, standing: Standing, end: float) -> str | None:
        """Why nothing can be asked before `end`; None while a probe is due or under way by then."""
        left = end - time.monotonic()
        waits = {r: r.breaker.due_s() for r in self.replicas if r not in standing.refused}
        probing = any(r.breaker.state is State.HALF_OPEN for r in waits)
        if left > 0 and (probing or any(wait < left for wait in waits.values())):
            return None
        told = "; ".join(
            f"{r.config.server} "
            + ("is being probed" if math.isinf(wait) else f"is due for a probe in {wait:.1f} s")
            + f", last: {r.last_failure or 'not asked'}"
            for r, wait in waits.items()
        )
        return f"no server may be asked before the deadline (circuit breaker open): {told}"
