"""The job's side of a reward server: batches, deadlines, retries, scene context on demand.

Invariant: one Score a rollout, in order, within the deadline. A server that is slow, dead, unknown or wrong
yields missing scores with the cause; it never raises into the job and never becomes a 0.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from rewards.backoff import Backoff
from rewards.credentials import Tls, channel_credentials
from rewards.description import Description, Mode, Need
from rewards.lru import Lru
from rewards.registry import REMOTE
from rewards.score import ClipView, RolloutView, Score, Status
from rewards.secret_files import secret_reader
from rewards.wire import reward_pb2 as pb
from rewards.wire.arrays import WireError
from rewards.wire.clips import encode_clip
from rewards.wire.codec import MESSAGE_BYTES, PROTOCOL, decode_description, decode_score, encode_rollout
from rewards.wire.stub import BoundedStub
from scenes.clip import Clip

CODE = grpc.StatusCode
# What may pass by itself. RESOURCE_EXHAUSTED: the server is at its limit of concurrent calls.
PASSING = {CODE.UNAVAILABLE, CODE.RESOURCE_EXHAUSTED, CODE.ABORTED, CODE.INTERNAL, CODE.CANCELLED}
REFUSALS = {
    CODE.NOT_FOUND,
    CODE.UNAUTHENTICATED,
    CODE.PERMISSION_DENIED,
    CODE.UNIMPLEMENTED,
    CODE.FAILED_PRECONDITION,
}
CHANNEL = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.use_local_subchannel_pool", 1),
]
KNOWN_CLIPS = 4_096


@dataclass(frozen=True)
class ClientConfig:
    """url: "grpc://host:port/name"; deadline_s: for a whole batch with its retries; attempts: the most tries;
    attempt_s: deadline of one try (None: what is left); concurrency: calls in flight at once; token_file or
    token_env: where the bearer token is, never the token itself; a file is read again when it changes."""

    url: str
    deadline_s: float = 30.0
    attempts: int = 30
    attempt_s: float | None = None
    concurrency: int = 16
    backoff: Backoff = field(default_factory=Backoff)
    tls: Tls | None = None
    token_file: str | None = None
    token_env: str | None = None
    job: str = ""

    @property
    def address(self) -> str:
        """host:port; ValueError when the URL is malformed."""
        rest = self.url.removeprefix(REMOTE)
        address, _, name = rest.partition("/")
        if rest == self.url or ":" not in address or not name:
            raise ValueError(f"{self.url!r} is no reward address; write grpc://host:port/name")
        return address

    @property
    def reward(self) -> str:
        """The reward's name on the server."""
        return self.url.removeprefix(REMOTE).partition("/")[2]


@dataclass(frozen=True)
class _Failure:
    """Why the last try failed, and whether another may help."""

    status: Status
    why: str
    passing: bool


_FORGOTTEN = _Failure(Status.INFRASTRUCTURE, "the server forgot the clip context", True)


class RewardClient:
    """One reward on one server. Use inside one event loop; `close` it.

    name: what the scores are called in the job (default: the reward's name on the server)."""

    def __init__(self, config: ClientConfig, name: str | None = None, seed: int = 0) -> None:
        self.config = config
        self.name = name or config.reward
        self.description: Description | None = None
        self._rng = random.Random(seed)
        self._semaphore = asyncio.Semaphore(config.concurrency)
        self._instance = ""
        self._put: Lru[str, bool] = Lru(KNOWN_CLIPS)
        self._counts: Counter[str] = Counter()
        self._seconds = 0.0
        self._token = secret_reader(config.token_file, config.token_env)
        credentials = channel_credentials(config.address.rpartition(":")[0], config.tls)
        self._channel = (
            grpc.aio.insecure_channel(config.address, CHANNEL)
            if credentials is None
            else grpc.aio.secure_channel(config.address, credentials, CHANNEL)
        )
        self._stub = BoundedStub(self._channel)
        self._health = health_pb2_grpc.HealthStub(self._channel)

    @property
    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return () if self._token is None else (("authorization", f"Bearer {self._token()}"),)

    async def close(self) -> None:
        """Close the channel; calls in flight end as missing."""
        await self._channel.close()

    async def wait_ready(self, deadline_s: float) -> Description:
        """Wait until the server says SERVING and describes the reward.

        Raises TimeoutError with the last cause, LookupError when the server has no such reward."""
        end = time.monotonic() + deadline_s
        why = "not tried"
        while (left := end - time.monotonic()) > 0:
            try:
                request = health_pb2.HealthCheckRequest()
                answer = await self._health.Check(request, timeout=min(left, 2.0))
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return await self.describe(max(end - time.monotonic(), 0.1))
                why = "the server is loading its rewards"
            except grpc.aio.AioRpcError as error:
                why = _tell(error)
            await asyncio.sleep(0.02)
        raise TimeoutError(f"{self.config.url} was not ready within {deadline_s:g} s: {why}")

    async def describe(self, deadline_s: float = 5.0) -> Description:
        """Ask the server what it serves. Raises AioRpcError, LookupError when it does not serve this reward
        or speaks another protocol, WireError for a need that is unknown here."""
        answer = await self._stub.Describe(pb.DescribeRequest(), timeout=deadline_s, metadata=self._metadata)
        if answer.protocol != PROTOCOL:
            raise LookupError(f"{self.config.url} speaks protocol {answer.protocol}, this client {PROTOCOL}")
        found = {message.name: message for message in answer.rewards}
        if self.config.reward not in found:
            raise LookupError(f"{self.config.url}: the server has {sorted(found)}")
        self._note_instance(answer.instance)
        self.description = decode_description(found[self.config.reward])
        return self.description

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
        """Counts since the start: calls, tries, retries, put_clips, cached, items/<status>, seconds."""
        return {**{name: float(count) for name, count in self._counts.items()}, "seconds": self._seconds}

    async def _score_part(self, rollouts: Sequence[RolloutView], clips: ClipView, end: float) -> list[Score]:
        """Try until every rollout has a final score, the deadline or the attempts are used up."""
        final: list[Score | None] = [None] * len(rollouts)
        messages: dict[int, pb.Rollout] = {}
        for index, rollout in enumerate(rollouts):
            if rollout.clip_id not in clips:
                final[index] = self._missing(Status.DATA, f"no clip {rollout.clip_id!r} was given", 0)
                continue
            try:
                messages[index] = encode_rollout(rollout)
            except (WireError, ValueError) as error:
                final[index] = self._missing(Status.DATA, f"cannot be sent: {error}", 0)
        last = _Failure(Status.DEADLINE, "no time was left for a try", True)
        attempt = 0
        while messages and attempt < self.config.attempts and (left := end - time.monotonic()) > 0:
            attempt += 1
            self._counts["tries"] += 1
            self._counts["retries"] += attempt > 1
            try:
                async with asyncio.timeout(left):
                    async with self._semaphore:
                        failure = await self._try(messages, final, clips, end, attempt)
            except TimeoutError:
                failure = _Failure(Status.DEADLINE, "no answer before the deadline", False)
            if failure is not None:
                last = failure
                if not failure.passing:
                    break
            if messages and attempt < self.config.attempts:
                pause = self.config.backoff.pause(attempt, self._rng)
                await asyncio.sleep(min(pause, max(end - time.monotonic(), 0.0)))
        why = f"{self.config.url}: {last.why} (attempt {attempt})"
        return [score or self._missing(last.status, why, attempt) for score in final]

    async def _try(
        self,
        messages: dict[int, pb.Rollout],
        final: list[Score | None],
        clips: ClipView,
        end: float,
        attempt: int,
    ) -> _Failure | None:
        """One round: context, then scores. Moves what is settled from `messages` to `final`; returns why the
        rest is not."""
        try:
            if self.description is None:
                await self.describe(self._timeout(end))
            await self._give_context(messages, final, clips, end, attempt)
            failure = self._settle(await self._ask(messages, end), messages, final, attempt)
            if failure is _FORGOTTEN:
                await self._give_context(messages, final, clips, end, attempt)
                failure = self._settle(await self._ask(messages, end), messages, final, attempt)
            return failure
        except grpc.aio.AioRpcError as error:
            return _failure(error)
        except LookupError as error:
            return _Failure(Status.REFUSED, str(error), False)
        except WireError as error:
            return _Failure(Status.REWARD_BUG, f"the server's answer makes no sense: {error}", False)

    def _settle(
        self,
        answer: pb.ScoreResponse,
        messages: dict[int, pb.Rollout],
        final: list[Score | None],
        attempt: int,
    ) -> _Failure | None:
        """Take over what the server answered; items with a passing fault stay for the next try."""
        if [r.rollout_id for r in answer.results] != [m.rollout_id for m in messages.values()]:
            raise WireError(f"{len(answer.results)} results do not match {len(messages)} rollouts in order")
        self._note_instance(answer.instance)
        failure = None
        for index, result in zip(list(messages), answer.results, strict=True):
            if result.status == pb.UNKNOWN_CLIP:
                self._put.drop(messages[index].clip_id)
                failure = _FORGOTTEN
                continue
            score = decode_score(result, self.name, answer.version, attempt)
            if score.status is Status.INFRASTRUCTURE and attempt < self.config.attempts:
                failure = _Failure(Status.INFRASTRUCTURE, score.explanation, True)
                continue
            final[index] = score
            del messages[index]
        return failure

    def _most(self, count: int) -> int:
        """Rollouts a call, of `count`: a group is never split."""
        known = self.description
        return max(count, 1) if known is None or known.mode is Mode.PER_GROUP else known.max_batch

    async def _ask(self, messages: dict[int, pb.Rollout], end: float) -> pb.ScoreResponse:
        """The server's answer to all messages, in as many calls as it takes."""
        per_group = self.description is not None and self.description.mode is Mode.PER_GROUP
        method = self._stub.ScoreGroup if per_group else self._stub.Score
        rollouts, most = list(messages.values()), self._most(len(messages))
        whole = pb.ScoreResponse(instance=self._instance)
        for first in range(0, len(rollouts), most):
            part = rollouts[first : first + most]
            request = pb.ScoreRequest(reward=self.config.reward, rollouts=part, job=self.config.job)
            answer = await method(request, timeout=self._timeout(end), metadata=self._metadata)
            if len(answer.results) != len(part):
                raise WireError(f"{len(answer.results)} results for {len(part)} rollouts")
            whole.MergeFrom(answer)
        return whole

    async def _give_context(
        self,
        messages: dict[int, pb.Rollout],
        final: list[Score | None],
        clips: ClipView,
        end: float,
        attempt: int,
    ) -> None:
        """Hand over the clips that this server instance was not given yet. The rollouts of a clip that the
        server cannot read become final, as DATA."""
        cameras = self.description is not None and Need.IMAGES in self.description.needs
        for clip_id in sorted({m.clip_id for m in messages.values()}):
            if clip_id in self._put:
                continue
            refusal = await self._put_clip(clips[clip_id], cameras, end)
            for index in [i for i, m in messages.items() if m.clip_id == clip_id] if refusal else []:
                final[index] = self._missing(Status.DATA, f"clip {clip_id}: {refusal}", attempt)
                del messages[index]

    async def _put_clip(self, clip: Clip, cameras: bool, end: float) -> str:
        """Why the clip cannot be used; empty when it is on the server."""
        try:
            request = pb.PutClipsRequest(clips=[encode_clip(clip, cameras)])
        except (WireError, ValueError) as error:
            return f"cannot be sent: {error}"
        answer = await self._stub.PutClips(request, timeout=self._timeout(end), metadata=self._metadata)
        self._counts["put_clips"] += 1
        if len(answer.results) != 1:
            raise WireError(f"{len(answer.results)} results for 1 clip")
        if answer.results[0].status != pb.OK:
            return answer.results[0].explanation
        self._note_instance(answer.instance)
        self._put.put(clip.clip_id, True)
        return ""

    def _note_instance(self, instance: str) -> None:
        """A restarted server holds no clips and may have another version."""
        if instance != self._instance:
            if self._instance:
                self._counts["server_restarts"] += 1
            self._instance = instance
            self._put = Lru(KNOWN_CLIPS)

    def _timeout(self, end: float) -> float:
        left = max(end - time.monotonic(), 0.001)
        return left if self.config.attempt_s is None else min(left, self.config.attempt_s)

    def _missing(self, status: Status, why: str, attempts: int) -> Score:
        version = self.description.version if self.description else ""
        return Score(self.name, None, status, explanation=why, version=version, attempts=attempts)


def _failure(error: grpc.aio.AioRpcError) -> _Failure:
    code = error.code()
    if code is CODE.DEADLINE_EXCEEDED:
        return _Failure(Status.DEADLINE, _tell(error), True)
    if code is CODE.RESOURCE_EXHAUSTED and "larger than max" in (error.details() or ""):
        return _Failure(Status.DATA, _tell(error), False)
    if code in PASSING:
        return _Failure(Status.INFRASTRUCTURE, _tell(error), True)
    if code in REFUSALS:
        return _Failure(Status.REFUSED, _tell(error), False)
    return _Failure(Status.REWARD_BUG, _tell(error), False)


def _tell(error: grpc.aio.AioRpcError) -> str:
    return f"{error.code().name}: {error.details()}"
