"""The gRPC service: validate at the edge, answer from the cache, score the rest in the worker pools.

Invariant: results[i] answers rollouts[i]; one bad item never costs another its score; a call that the client
gave up on still completes and fills the cache, so that its retry is cheap.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
import uuid
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc

from rewards.admission import Refusal, refuse
from rewards.description import Description, Mode
from rewards.lru import Lru
from rewards.rate_limit import TokenBucket
from rewards.server_metrics import ServerMetrics
from rewards.wire import reward_pb2 as pb
from rewards.wire import reward_pb2_grpc
from rewards.wire.arrays import WireError
from rewards.wire.call import Call
from rewards.wire.clips import decode_clip
from rewards.wire.codec import (
    EXPLANATION_CHARS,
    PROTOCOL,
    check_ids,
    decode_rollout,
    encode_description,
    missing_result,
)
from rewards.wire.results import STATUS_NAMES, Packed, as_cached, field, packed
from rewards.worker_pool import StoredClip, WorkerPool

log = logging.getLogger("ar1.rewards")
CODE = grpc.StatusCode
_RESULT = bytes([pb.ScoreResponse.RESULTS_FIELD_NUMBER << 3 | 2])


@dataclass(frozen=True)
class Served:
    """One reward on offer."""

    description: Description
    pool: WorkerPool


class RewardService(reward_pb2_grpc.RewardServiceServicer):
    """Serves the rewards in `served` once `warm` is set.

    clip_bytes: memory for clip context; results: how many scores are remembered for retries; rollouts: limit a
    second, None for none."""

    def __init__(
        self,
        clip_bytes: int,
        results: int,
        timeout_s: float,
        metrics: ServerMetrics,
        rollouts: TokenBucket | None = None,
    ) -> None:
        self.served: dict[str, Served] = {}
        self.warm = False
        self.instance = uuid.uuid4().hex
        self._timeout_s = timeout_s
        self._metrics = metrics
        self._rollouts = rollouts
        self._clips: Lru[str, StoredClip] = Lru(clip_bytes, lambda clip: len(clip.packed))
        self._results: Lru[bytes, bytes] = Lru(results)
        self._running: set[asyncio.Task[Any]] = set()

    def busy(self) -> int:
        """Batches being scored, those included whose callers gave up."""
        return len(self._running)

    async def Describe(  # noqa: N802
        self,
        request: pb.DescribeRequest,  # noqa: ARG002
        context: grpc.aio.ServicerContext,
    ) -> pb.DescribeResponse:
        """See reward.proto."""
        await self._until_warm(context)
        descriptions = [encode_description(served.description) for served in self.served.values()]
        return pb.DescribeResponse(protocol=PROTOCOL, instance=self.instance, rewards=descriptions)

    async def PutClips(  # noqa: N802
        self,
        request: pb.PutClipsRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002
    ) -> pb.PutClipsResponse:
        """See reward.proto."""
        results = [self._put(clip) for clip in request.clips]
        self._metrics.clips.set(len(self._clips))
        return pb.PutClipsResponse(results=results, instance=self.instance)

    async def Score(self, request: Call, context: grpc.aio.ServicerContext) -> bytes:  # noqa: N802
        """See reward.proto."""
        served = await self._checked(request.message, context, Mode.PER_ROLLOUT)
        return await self._respond(served, request, context)

    async def ScoreGroup(self, request: Call, context: grpc.aio.ServicerContext) -> bytes:  # noqa: N802
        """See reward.proto."""
        served = await self._checked(request.message, context, Mode.PER_GROUP)
        if len({(r.group_id, r.clip_id) for r in request.message.rollouts}) != 1:
            await self._refuse(context, "group", CODE.INVALID_ARGUMENT, "rollouts of more than one group")
        return await self._respond(served, request, context)

    def _put(self, message: pb.Clip) -> pb.ItemStatus:
        try:
            decode_clip(message)
        except WireError as error:
            return pb.ItemStatus(status=pb.DATA, explanation=str(error)[:EXPLANATION_CHARS])
        packed = message.SerializeToString(deterministic=True)
        self._clips.put(message.clip_id, StoredClip(packed, hashlib.sha256(packed).digest()))
        return pb.ItemStatus(status=pb.OK)

    async def _checked(
        self, request: pb.ScoreRequest, context: grpc.aio.ServicerContext, mode: Mode
    ) -> Served:
        """The reward asked for; aborts the call when it is not here or the batch is not one it takes."""
        only = next(iter(self.served)) if len(self.served) == 1 and not request.reward else request.reward
        await self._until_warm(context)
        served = self.served.get(only)
        if served is None:
            names = ", ".join(sorted(self.served))
            why = f"no reward {request.reward[:80]!r}; here: {names}"
            await self._refuse(context, "unknown_reward", CODE.NOT_FOUND, why)
        most = served.description.max_batch
        if not 1 <= len(request.rollouts) <= most:
            why = f"{len(request.rollouts)} rollouts; {only} takes 1 to {most} a call"
            await self._refuse(context, "batch", CODE.INVALID_ARGUMENT, why)
        if served.description.mode is not mode:
            why = f"{only} is scored {served.description.mode}; call the other method"
            await self._refuse(context, "mode", CODE.INVALID_ARGUMENT, why)
        if self._rollouts is not None and (wait := self._rollouts.take(len(request.rollouts))):
            why = f"over {self._rollouts.rate:g} rollouts a second"
            await self._refuse(context, "rollouts_per_s", CODE.RESOURCE_EXHAUSTED, why, wait)
        return served

    async def _until_warm(self, context: grpc.aio.ServicerContext) -> None:
        if not self.warm:
            await self._refuse(context, "loading", CODE.UNAVAILABLE, "the rewards are loading")

    async def _refuse(
        self,
        context: grpc.aio.ServicerContext,
        reason: str,
        code: grpc.StatusCode,
        why: str,
        wait_s: float = 0.0,
    ) -> NoReturn:
        await refuse(context, self._metrics, Refusal(reason, code, why, wait_s))

    async def _respond(self, served: Served, call: Call, context: grpc.aio.ServicerContext) -> bytes:
        remaining = context.time_remaining()
        budget = 4 * self._timeout_s if remaining is None else max(0.9 * remaining - 0.05, 0.0)
        results = await self._shielded(self._score(served, call, budget))
        head = pb.ScoreResponse(
            reward=served.description.name, version=served.description.version, instance=self.instance
        )
        return head.SerializeToString() + b"".join([field(_RESULT, result) for _, result in results])

    async def _shielded(self, work: Coroutine[Any, Any, list[Packed]]) -> list[Packed]:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _score(self, served: Served, call: Call, budget_s: float) -> list[Packed]:
        name, began = served.description.name, time.monotonic()
        rollouts = call.message.rollouts
        whole_group = served.description.mode is Mode.PER_GROUP
        results: list[Packed | None] = [None] * len(rollouts)
        clips: dict[str, StoredClip] = {}
        keys: dict[int, bytes] = {}
        prefix = _prefix(served.description)
        for index, rollout in enumerate(rollouts):
            refusal = self._admit(rollout, clips, whole_group)
            if refusal is None:
                keys[index] = _key(prefix, clips[rollout.clip_id].digest, call.body(index))
            else:
                results[index] = packed(refusal)
        if whole_group:
            keys = _group_keys(keys)
        self._remember(name, keys, results)
        todo = [index for index, result in enumerate(results) if result is None]
        if whole_group and len(todo) != len(rollouts):
            todo = self._group_todo(rollouts, results, keys)
        if todo:
            with self._metrics.in_flight.labels(name).track_inprogress():
                fresh = await served.pool.score(call, todo, clips, served.description.mode, budget_s)
            for index, result in zip(todo, fresh, strict=True):
                results[index] = result
                if result[0] == pb.OK:
                    self._results.put(keys[index], result[1])
        final = [result for result in results if result is not None]
        self._count(name, served.pool, final, time.monotonic() - began)
        return final

    def _group_todo(
        self, rollouts: Sequence[pb.Rollout], results: list[Packed | None], keys: dict[int, bytes]
    ) -> list[int]:
        """A group is scored whole or not at all: a rollout that cannot be scored makes its siblings missing,
        and a partly remembered group is scored again."""
        if len(keys) == len(rollouts):
            return list(range(len(rollouts))) if None in results else []
        culprit = next(i for i in range(len(rollouts)) if i not in keys)
        bad = results[culprit]
        assert bad is not None
        cause = pb.Result.FromString(bad[1]).explanation
        why = f"sibling {rollouts[culprit].rollout_id} cannot be scored: {cause}"
        for index in keys:
            results[index] = packed(missing_result(rollouts[index].rollout_id, bad[0], why))
        return []

    def _admit(
        self, rollout: pb.Rollout, clips: dict[str, StoredClip], whole_group: bool
    ) -> pb.Result | None:
        """None when the rollout can be scored as far as is seen here, else why not. Arrays are looked at where they
        are unpacked; a group's here as well, because one decides for all. Collects the clips that are needed."""
        try:
            if whole_group:
                decode_rollout(rollout)
            else:
                check_ids(rollout.rollout_id, rollout.group_id, rollout.clip_id)
        except WireError as error:
            return missing_result(rollout.rollout_id, pb.DATA, str(error))
        if rollout.clip_id not in clips:
            clip = self._clips.get(rollout.clip_id)
            if clip is None:
                why = f"clip {rollout.clip_id!r} is not held here; call PutClips and ask again"
                return missing_result(rollout.rollout_id, pb.UNKNOWN_CLIP, why)
            clips[rollout.clip_id] = clip
        return None

    def _remember(self, name: str, keys: Mapping[int, bytes], results: list[Packed | None]) -> None:
        """Fill in what was answered before."""
        known = 0
        for index, key in keys.items():
            result = self._results.get(key)
            if result is not None:
                results[index] = pb.OK, as_cached(result)
                known += 1
        if known:
            self._metrics.cached.labels(name).inc(known)

    def _count(self, name: str, pool: WorkerPool, results: Sequence[Packed], seconds: float) -> None:
        for status, number in Counter(status for status, _ in results).items():
            self._metrics.items.labels(name, STATUS_NAMES[status]).inc(number)
        self._metrics.batch_seconds.labels(name).observe(seconds)
        self._metrics.worker_restarts.labels(name).set(pool.restarts)
        self._metrics.worker_hangs.labels(name).set(pool.hangs)


def _prefix(description: Description) -> bytes:
    return hashlib.sha256(f"{description.name}\0{description.version}".encode()).digest()


def _key(prefix: bytes, clip_digest: bytes, rollout: memoryview) -> bytes:
    """Idempotency key: reward and version, and the rollout's id and content as they were packed, with its clip's,
    so that another job that counts its groups from the same number is not answered with this one's scores."""
    return prefix + clip_digest + hashlib.sha256(rollout).digest()


def _group_keys(keys: dict[int, bytes]) -> dict[int, bytes]:
    """Keys of a PER_GROUP reward: a rollout's value belongs to it and to all its siblings, in their order."""
    whole = hashlib.sha256(b"".join(keys.values())).digest()
    return {index: hashlib.sha256(key + whole).digest() for index, key in keys.items()}
