"""The job's side of a reward: batches, deadlines, retries, failover, hedged requests.

Invariant: one Score a rollout, in order, within the deadline. A server that is slow, dead, unknown or wrong
yields missing scores with the cause; it never raises into the job and never becomes a 0. However many servers
were asked, each rollout takes its score from one answer, once.

A call, in order: wait while every breaker is open (at most until the deadline, see rewards.replica_set); ask the
best replica, for half of what is left where another could follow; when it is slow and hedging is on, ask a second
one too; on a passing failure go to a replica that has not failed yet at once, or back off and try again.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import grpc

from rewards.client_config import ClientConfig
from rewards.description import Description, Mode
from rewards.failure import FAIR_S
from rewards.replica import Metadata, Replica, ReplicaConfig, missing
from rewards.replica_set import ReplicaSet
from rewards.rounds import Rounds, Work
from rewards.score import ClipView, RolloutView, Score, Status
from rewards.secret_files import secret_reader
from rewards.wire.arrays import WireError
from rewards.wire.codec import encode_rollout

log = logging.getLogger("ar1.rewards")


class RewardClient:
    """One reward on one server or on several that answer alike. Use inside one event loop; `close` it.

    name: what the scores are called in the job (default: the reward's name on the server)."""

    def __init__(self, config: ClientConfig, name: str | None = None, seed: int = 0) -> None:
        self.config = config
        address = config.address
        self.name = name or address.reward
        self._counts: Counter[str] = Counter()
        self._seconds = 0.0
        self._token = secret_reader(config.token_file, config.token_env)
        # Who asks for answers within less than that means it: such a timeout is the server's.
        fair_s = FAIR_S if config.attempt_s is None else min(FAIR_S, 0.9 * config.attempt_s)
        common = ReplicaConfig("", address.reward, self.name, config.job, fair_s, config.tls, config.breaker)
        self._replicas = ReplicaSet(
            [
                Replica(replace(common, server=server), self._metadata, self._counts)
                for server in address.servers
            ]
        )
        self._rounds = Rounds(config, self._replicas, self._counts, random.Random(seed))

    @property
    def description(self) -> Description | None:
        """What the servers say of the reward, once one has been asked."""
        return next((r.description for r in self._replicas.replicas if r.description is not None), None)

    async def close(self) -> None:
        """Close the channels; calls in flight end as missing."""
        await self._rounds.close()
        for replica in self._replicas.replicas:
            await replica.close()

    async def wait_ready(self, deadline_s: float) -> Description:
        """Wait until a server says SERVING and describes the reward; the others get as long as that took once
        more, then the job goes on without them (a warning names them).

        Raises TimeoutError with the last causes, LookupError when a server has no such reward or describes it
        otherwise than its replica does."""
        end = time.monotonic() + deadline_s
        began = time.monotonic()
        waits = [asyncio.create_task(self._ready(r, end)) for r in self._replicas.replicas]
        try:
            done, rest = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            while rest and not any(isinstance(task.result(), Description) for task in done):
                more, rest = await asyncio.wait(rest, return_when=asyncio.FIRST_COMPLETED)
                done |= more
            if rest:
                grace = min(time.monotonic() - began + 0.5, max(end - time.monotonic(), 0.0))
                await asyncio.wait(rest, timeout=grace)
        finally:
            for task in waits:
                task.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        return self._agreed(waits, deadline_s)

    async def describe(self, deadline_s: float = 5.0) -> Description:
        """Ask the first server that answers. Raises AioRpcError (of the last), LookupError when it does not serve
        this reward or speaks another protocol, WireError for a need that is unknown here."""
        *others, last = self._replicas.replicas
        for replica in others:
            try:
                return await replica.describe(deadline_s)
            except grpc.aio.AioRpcError as error:
                log.warning("%s: %s does not describe itself: %s", self.name, replica, error.code().name)
        return await last.describe(deadline_s)

    async def score(
        self, rollouts: Sequence[RolloutView], clips: ClipView, deadline_s: float | None = None
    ) -> list[Score]:
        """Score rollouts; a PER_GROUP reward takes one group a call. See the module's invariant."""
        began = time.monotonic()
        end = began + (self.config.deadline_s if deadline_s is None else deadline_s)
        most = self._most(len(rollouts))
        parts = [rollouts[i : i + most] for i in range(0, len(rollouts), most)]
        scored = await asyncio.gather(*(self._score_part(part, clips, end) for part in parts))
        seconds = time.monotonic() - began
        scores = [replace(score, latency_s=seconds) for part in scored for score in part]
        self._seconds += seconds
        self._counts["calls"] += 1
        self._counts.update(f"items/{score.status}" for score in scores)
        self._counts["cached"] += sum(score.cached for score in scores)
        return scores

    def metrics(self) -> dict[str, float]:
        """Counts since the start: calls, tries, retries, failovers, put_clips, server_restarts, cached,
        items/<status>, seconds, hedges/<sent, won, delay_s>, breaker/<openings, probes>; how many servers' breakers
        are not closed now (breaker/open) and how many versions of the reward they serve (versions: 2 while replicas
        are being replaced; each score names its own); with several servers also replica/<n>/… of each."""
        replicas = [replica.metrics() for replica in self._replicas.replicas]
        found = {name: float(count) for name, count in self._counts.items()} | {"seconds": self._seconds}
        found |= {f"hedges/{name}": value for name, value in self._rounds.hedger.metrics().items()}
        for name in ("openings", "probes"):
            found[f"breaker/{name}"] = sum(of_one[f"breaker/{name}"] for of_one in replicas)
        found["versions"] = float(
            len({r.description.version for r in self._replicas.replicas if r.description})
        )
        found["breaker/open"] = float(sum(of_one["breaker/state"] > 0 for of_one in replicas))
        for number, of_one in enumerate(replicas if len(replicas) > 1 else []):
            found |= {f"replica/{number}/{name}": value for name, value in of_one.items()}
        return found

    async def _score_part(self, rollouts: Sequence[RolloutView], clips: ClipView, end: float) -> list[Score]:
        """Scores of what fits one call: what cannot be sent is settled here, the rest by the servers."""
        work = Work(clips, end)
        for index, rollout in enumerate(rollouts):
            if rollout.clip_id not in clips:
                why = f"no clip {rollout.clip_id!r} was given"
                work.final[index] = missing(self.name, Status.DATA, why, 0, self.description)
                continue
            try:
                work.open[index] = encode_rollout(rollout)
            except (WireError, ValueError) as error:
                why = f"cannot be sent: {error}"
                work.final[index] = missing(self.name, Status.DATA, why, 0, self.description)
        last = await self._rounds.settle(work)
        why = f"{self.config.url}: {last.why} (attempt {work.attempt})"
        return [
            work.final.get(index) or missing(self.name, last.status, why, work.attempt, self.description)
            for index in range(len(rollouts))
        ]

    async def _ready(self, replica: Replica, end: float) -> Description | str:
        """The description, or why there was none before `end`."""
        why = "not tried"
        while (left := end - time.monotonic()) > 0:
            why = await replica.unready(min(left, 2.0))
            if not why:
                try:
                    return await replica.describe(max(end - time.monotonic(), 0.1))
                except grpc.aio.AioRpcError as error:
                    why = f"{error.code().name}: {error.details()}"
            await asyncio.sleep(0.02)
        return why

    def _agreed(self, waits: Sequence[asyncio.Task[Description | str]], deadline_s: float) -> Description:
        """The one description that all ready replicas give."""
        found: dict[str, Description] = {}
        late: dict[str, str] = {}
        for replica, task in zip(self._replicas.replicas, waits, strict=True):
            result = "it did not answer in time" if task.cancelled() else task.result()
            if isinstance(result, Description):
                found[str(replica)] = result
            else:
                late[str(replica)] = result
        if not found:
            told = "; ".join(f"{name}: {why}" for name, why in late.items())
            raise TimeoutError(f"{self.config.url} was not ready within {deadline_s:g} s: {told}")
        first, description = next(iter(found.items()))
        for name, other in found.items():
            if other != description:
                raise LookupError(
                    f"{name} (version {other.version}) describes {self.name!r} otherwise than {first} (version "
                    f"{description.version}) does; replicas must serve the same reward with the same options"
                )
        for name, why in late.items():
            log.warning("%s: going on without replica %s: %s", self.name, name, why)
        return description

    def _metadata(self) -> Metadata:
        return () if self._token is None else (("authorization", f"Bearer {self._token()}"),)

    def _most(self, count: int) -> int:
        """Rollouts a call, of `count`: a group is never split."""
        known = self.description
        return max(count, 1) if known is None or known.mode is Mode.PER_GROUP else known.max_batch
