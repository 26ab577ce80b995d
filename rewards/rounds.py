"""The tries of one call: which replica, for how long, and what follows a failure.

Invariant: `settle` ends before the work's deadline; an answer is taken over as a whole and only for rollouts that
are still open, so that a late second answer can neither change a score nor count one twice.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from rewards.client_config import ClientConfig
from rewards.failure import Failure
from rewards.hedging import HedgeConfig, Hedger
from rewards.replica import Replica, Round
from rewards.replica_set import Admission, ReplicaSet, Standing
from rewards.score import ClipView, Score, Status
from rewards.wire import reward_pb2 as pb

RESERVE = 0.05
"""Share of the time left, at most RESERVE seconds, kept back from a try: its own deadline must come before the
call's, or a hang would look like a call that was cancelled and the breaker would never hear of it."""

LEAST_S = 0.06
"""Seconds without which a try is pointless: a server keeps 50 ms and a tenth for itself (rewards.service)."""


@dataclass
class Work:
    """Rollouts on their way. end: monotonic seconds; open and final: by index in the batch; standing: what was
    learned of the replicas; asked: the last one that failed; waiting: for what, so that a timeout can say it."""

    clips: ClipView
    end: float
    open: dict[int, pb.Rollout] = field(default_factory=dict)
    final: dict[int, Score] = field(default_factory=dict)
    attempt: int = 0
    standing: Standing = field(default_factory=Standing)
    asked: Replica | None = None
    waiting: str = ""

    def take(self, scores: Mapping[int, Score]) -> None:
        """Settle what is still open."""
        for index, score in scores.items():
            if self.open.pop(index, None) is not None:
                self.final[index] = score

    @property
    def left_s(self) -> float:
        """Seconds until the deadline."""
        return self.end - time.monotonic()


class Rounds:
    """Retries, failover and hedging for all calls of one client."""

    def __init__(
        self, config: ClientConfig, replicas: ReplicaSet, counts: Counter[str], rng: random.Random
    ) -> None:
        self.hedger = Hedger(config.hedge or HedgeConfig())
        self._config = config
        self._replicas = replicas
        self._counts = counts
        self._rng = rng
        self._semaphore = asyncio.Semaphore(config.concurrency)
        self._left: dict[asyncio.Task[Round], Replica] = {}

    async def settle(self, work: Work) -> Failure:
        """Try until every rollout has a final score, the deadline has come or nothing more can help; returns why
        the rest, if any, is open."""
        last = Failure(Status.DEADLINE, "no time was left for a try", True)
        while work.open and work.attempt < self._config.attempts and work.left_s > LEAST_S:
            try:
                async with asyncio.timeout(work.left_s):
                    failure = await self._once(work)
            except TimeoutError:
                before = f"; before: {last.why}" if work.attempt > 1 else ""
                return Failure(
                    Status.DEADLINE, f"the deadline came while waiting for {work.waiting}{before}", False
                )
            if failure is not None:
                last = failure
                if not failure.passing or not await self._pause(work, failure):
                    break
        return last

    async def _once(self, work: Work) -> Failure | None:
        """One try; None when it settled all or has not happened yet."""
        work.waiting = "a server whose circuit breaker lets a call through"
        if (hopeless := await self._replicas.until_due(work.standing, work.end)) is not None:
            return hopeless
        work.waiting = f"one of {self._config.concurrency} places for calls in flight"
        async with self._semaphore:
            admission = self._replicas.admit(work.standing)
            if admission is None:
                return None
            work.attempt += 1
            self._counts["tries"] += 1
            self._counts["retries"] += work.attempt > 1
            self._counts["failovers"] += bool(work.standing.failed) and (
                admission.replica not in work.standing.failed
            )
            work.waiting = f"an answer from {admission.replica.config.server}"
            winner, answer = await self._first_answer(work, admission)
        work.take(answer.scores)
        return None if answer.failure is None else self._after(work, winner, answer.failure)

    def _after(self, work: Work, winner: Admission, failure: Failure) -> Failure:
        """Remember whose failure it was; a refusal is final only when no other replica is left to ask."""
        standing, replica = work.standing, winner.replica
        work.asked = replica
        work.standing = replace(standing, failed=standing.failed | {replica})
        if failure.status is Status.REFUSED:
            work.standing = replace(work.standing, refused=standing.refused | {replica})
            return replace(failure, passing=len(work.standing.refused) < len(self._replicas.replicas))
        return failure

    async def _pause(self, work: Work, failure: Failure) -> bool:
        """Back off, unless a replica that has not failed yet may be asked at once. False: the server asked for a
        longer pause than there is time for."""
        if not work.open or self._replicas.fresh(work.standing):
            return True
        if failure.pause_s >= work.left_s:
            return False
        if work.asked is not None:
            # All have failed by now: from here on only the last one is avoided.
            work.standing = replace(work.standing, failed=frozenset({work.asked}))
        pause = max(self._config.backoff.pause(work.attempt, self._rng), failure.pause_s)
        await asyncio.sleep(min(pause, max(work.left_s, 0.0)))
        return True

    async def _first_answer(self, work: Work, first: Admission) -> tuple[Admission, Round]:
        """The first answer of one replica, or of two where hedging is due."""
        began = time.monotonic()
        self.hedger.first += 1
        delay = self._hedge_delay()
        if delay is None:
            answer = await self._ask(work, first)
            if answer.failure is None:
                self.hedger.observe(time.monotonic() - began)
            return first, answer
        tasks = {asyncio.create_task(self._ask(work, first), name=f"ask {first.replica}"): first}
        try:
            done, _ = await asyncio.wait(tasks, timeout=delay)
            if not done and (second := self._second(work, first)) is not None:
                self.hedger.sent += 1
                tasks[asyncio.create_task(self._ask(work, second), name=f"hedge {second.replica}")] = second
            winner = await _first_good(list(tasks))
            self._leave({task: asked.replica for task, asked in tasks.items() if not task.done()})
        finally:
            await _cancelled([task for task in tasks if task not in self._left])
        answer = winner.result()
        failed = {tasks[task].replica for task in tasks if task.done() and task.result().failure is not None}
        work.standing = replace(work.standing, failed=work.standing.failed | failed)
        if answer.failure is None:
            self.hedger.observe(time.monotonic() - began)
            self.hedger.won += tasks[winner] is not first
        return tasks[winner], answer

    def _leave(self, slow: Mapping[asyncio.Task[Round], Replica]) -> None:
        """Let a request whose answer is no longer needed end by itself: its server is busy with it all the same,
        counts as busy and is blamed only as long as the request lives."""
        for task, replica in slow.items():
            self._left[task] = replica
            task.add_done_callback(self._left.pop)

    async def close(self) -> None:
        """Cancel what was left to end by itself."""
        await _cancelled(list(self._left))

    async def _ask(self, work: Work, admission: Admission) -> Round:
        end = time.monotonic() + self._granted_s(work, admission)
        # A copy: a hedged pair is asked the same, whatever is settled meanwhile.
        return await admission.replica.ask(admission.permit, dict(work.open), work.clips, end, work.attempt)

    def _granted_s(self, work: Work, admission: Admission) -> float:
        left = max(work.left_s, 0.001)
        granted = left - RESERVE * min(left, 1.0)
        others = replace(work.standing, failed=work.standing.failed | {admission.replica})
        if self._replicas.fresh(others):
            granted /= 2.0
        return granted if self._config.attempt_s is None else min(granted, self._config.attempt_s)

    def _hedge_delay(self) -> float | None:
        config = self._config.hedge
        if config is None or (len(self._replicas.replicas) < 2 and not config.same_server):
            return None
        return self.hedger.delay_s()

    def _second(self, work: Work, first: Admission) -> Admission | None:
        if not self.hedger.affordable():
            return None
        other = self._replicas.admit(work.standing, barred=[first.replica, *self._left.values()])
        if other is None and self.hedger.config.same_server:
            other = self._replicas.admit(work.standing)
        return other


async def _first_good(tasks: list[asyncio.Task[Round]]) -> asyncio.Task[Round]:
    """The first task that ends without a failure, or the last to end; each has a deadline of its own."""
    waiting = set(tasks)
    while True:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        good = [task for task in done if task.result().failure is None]
        if good or not waiting:
            return (good or list(done))[0]


async def _cancelled(tasks: Collection[asyncio.Task[Round]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
