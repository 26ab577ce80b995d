"""One server of a reward, as the client sees it: channel, what it was given, whether it is to be trusted.

Invariant: `ask` changes nothing of the caller's: it returns what the server settled and why the rest is open, so
that two replicas may be asked the same and each answer is taken or left as a whole. It raises nothing for what a
server does.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from rewards.breaker import Breaker, BreakerConfig, Permit
from rewards.credentials import Tls, channel_credentials
from rewards.description import Description, Mode, Need
from rewards.failure import FAIR_S, Failure, failure_of, tell
from rewards.lru import Lru
from rewards.score import ClipView, Score, Status
from rewards.wire import reward_pb2 as pb
from rewards.wire.arrays import WireError
from rewards.wire.clips import encode_clip
from rewards.wire.codec import MESSAGE_BYTES, PROTOCOL, decode_description, decode_score
from rewards.wire.stub import BoundedStub
from scenes.clip import Clip

Metadata = tuple[tuple[str, str], ...]
SERVING = health_pb2.HealthCheckResponse.SERVING
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
HEALTH_S = 1.0
"""Deadline of the health check before a half-open probe: a server that hangs costs this and no rollout."""


@dataclass(frozen=True)
class ReplicaConfig:
    """server: "host:port"; reward: its name there; called: what its scores are called in the job; job: told to
    the server with each call; fair_s: a timeout counts against the server if it had this long to answer."""

    server: str
    reward: str
    called: str
    job: str = ""
    fair_s: float = FAIR_S
    tls: Tls | None = None
    breaker: BreakerConfig = field(default_factory=BreakerConfig)


@dataclass(frozen=True)
class Round:
    """What one try settled: scores by the caller's index; failure: why the others are still open."""

    scores: Mapping[int, Score]
    failure: Failure | None


class Replica:
    """metadata: asked for with every call, so that a rotated token is used at once; counts: the client's."""

    def __init__(self, config: ReplicaConfig, metadata: Callable[[], Metadata], counts: Counter[str]) -> None:
        self.config = config
        self.breaker = Breaker(config.breaker)
        self.description: Description | None = None
        self.in_flight = 0
        self.tries = 0
        self.last_failure = ""
        self._blamed_at = -math.inf
        self._metadata = metadata
        self._counts = counts
        self._instance = ""
        self._held: Lru[str, bool] = Lru(KNOWN_CLIPS)
        credentials = channel_credentials(config.server.rpartition(":")[0], config.tls)
        self._channel = (
            grpc.aio.insecure_channel(config.server, CHANNEL)
            if credentials is None
            else grpc.aio.secure_channel(config.server, credentials, CHANNEL)
        )
        self._stub = BoundedStub(self._channel)
        self._health = health_pb2_grpc.HealthStub(self._channel)

    def __str__(self) -> str:
        return f"{self.config.server}/{self.config.reward}"

    @property
    def suspect(self) -> bool:
        """Whether it failed within the last cool-down: another one is asked first, breaker open or not."""
        return time.monotonic() - self._blamed_at < self.config.breaker.cool_down_s

    async def close(self) -> None:
        """Close the channel; calls in flight end as failures."""
        await self._channel.close()

    async def unready(self, deadline_s: float) -> str:
        """Why the server cannot be used now, from one health check; empty when it says SERVING."""
        try:
            answer = await self._health.Check(health_pb2.HealthCheckRequest(), timeout=deadline_s)
        except grpc.aio.AioRpcError as error:
            return tell(error)
        return "" if answer.status == SERVING else "the server is loading its rewards, or stopping"

    async def describe(self, deadline_s: float) -> Description:
        """Ask the server what it serves. Raises AioRpcError, LookupError when it does not serve this reward
        or speaks another protocol, WireError for a need that is unknown here."""
        request = pb.DescribeRequest()
        answer = await self._stub.Describe(request, timeout=deadline_s, metadata=self._metadata())
        if answer.protocol != PROTOCOL:
            raise LookupError(f"{self} speaks protocol {answer.protocol}, this client {PROTOCOL}")
        found = {message.name: message for message in answer.rewards}
        if self.config.reward not in found:
            raise LookupError(f"{self}: the server has {sorted(found)}")
        self._note_instance(answer.instance)
        self.description = decode_description(found[self.config.reward])
        return self.description

    async def ask(
        self, permit: Permit, messages: Mapping[int, pb.Rollout], clips: ClipView, end: float, attempt: int
    ) -> Round:
        """One try at all messages, until `end` (monotonic seconds), accounted to the breaker."""
        succeeded: bool | None = None
        self.in_flight += 1
        self.tries += 1
        try:
            round_ = await self._try(permit, messages, clips, end, attempt)
            succeeded = _speaks_for(round_)
            if round_.failure is not None:
                self.last_failure = round_.failure.why
            if succeeded is not None:
                self._blamed_at = -math.inf if succeeded else time.monotonic()
            return round_
        finally:
            self.in_flight -= 1
            self.breaker.settle(permit, succeeded)

    def metrics(self) -> dict[str, float]:
        """tries, in_flight, breaker/<state, openings, probes>."""
        breaker = {f"breaker/{name}": value for name, value in self.breaker.metrics().items()}
        return {"tries": float(self.tries), "in_flight": float(self.in_flight), **breaker}

    async def _try(
        self, permit: Permit, messages: Mapping[int, pb.Rollout], clips: ClipView, end: float, attempt: int
    ) -> Round:
        began = time.monotonic()
        scores: dict[int, Score] = {}
        try:
            if permit.probe and (why := await self.unready(min(HEALTH_S, _left(end)))):
                why = f"probe: {why}"
                return Round({}, Failure(Status.INFRASTRUCTURE, why, True, blames=True))
            open_ = dict(messages)
            failure = await self._score(open_, clips, scores, end, attempt)
            if failure is None and open_:
                # The server forgot a clip between the two calls, or before them; once more is enough.
                failure = await self._score(open_, clips, scores, end, attempt)
            if failure is None and open_:
                why = "the server forgot the clip context twice in a row; give it more memory for clips"
                failure = Failure(Status.INFRASTRUCTURE, why, True)
            return Round(scores, failure)
        except grpc.aio.AioRpcError as error:
            return Round(scores, failure_of(error, end - began, self.config.fair_s))
        except LookupError as error:
            return Round(scores, Failure(Status.REFUSED, str(error), False))
        except WireError as error:
            why = f"the server's answer makes no sense: {error}"
            return Round(scores, Failure(Status.REWARD_BUG, why, False))

    async def _score(
        self,
        open_: dict[int, pb.Rollout],
        clips: ClipView,
        scores: dict[int, Score],
        end: float,
        attempt: int,
    ) -> Failure | None:
        """Context, then scores. Moves what is settled from `open_` to `scores`; a clip that the server does not
        hold leaves its rollouts open without a failure."""
        known = self.description or await self.describe(_left(end))
        await self._give_context(known, open_, clips, scores, end, attempt)
        if not open_:
            return None
        known = self.description or await self.describe(_left(end))
        answer = await self._call(known, open_, end)
        failure, scored = None, False
        for index, result in zip(list(open_), answer.results, strict=True):
            if result.status == pb.UNKNOWN_CLIP:
                self._held.drop(open_[index].clip_id)
                continue
            score = self._read(result, answer.version, attempt)
            if score.status is Status.INFRASTRUCTURE:
                failure = Failure(Status.INFRASTRUCTURE, score.explanation, True)
                continue
            scores[index] = score
            scored = True
            del open_[index]
        return failure if scored or failure is None else replace(failure, blames=True)

    def _read(self, result: pb.Result, version: str, attempt: int) -> Score:
        """One result; what makes no sense (a NaN, a value with a failure) costs this rollout and no other."""
        try:
            return decode_score(result, self.config.called, version, attempt)
        except WireError as error:
            why = f"the server's answer makes no sense: {error}"
            return missing(self.config.called, Status.REWARD_BUG, why, attempt, self.description)

    async def _call(
        self, known: Description, open_: Mapping[int, pb.Rollout], end: float
    ) -> pb.ScoreResponse:
        """The server's answer to all rollouts, in as many calls as it takes; WireError unless results and
        rollouts match one to one."""
        whole_group = known.mode is Mode.PER_GROUP
        method = self._stub.ScoreGroup if whole_group else self._stub.Score
        rollouts = list(open_.values())
        most = len(rollouts) if whole_group else known.max_batch
        whole = pb.ScoreResponse()
        for first in range(0, len(rollouts), most):
            part = rollouts[first : first + most]
            request = pb.ScoreRequest(reward=self.config.reward, rollouts=part, job=self.config.job)
            answer = await method(request, timeout=_left(end), metadata=self._metadata())
            if [r.rollout_id for r in answer.results] != [m.rollout_id for m in part]:
                given, asked = len(answer.results), len(part)
                raise WireError(f"{given} results do not match {asked} rollouts in order")
            self._note_instance(answer.instance)
            whole.MergeFrom(answer)
        return whole

    async def _give_context(
        self,
        known: Description,
        open_: dict[int, pb.Rollout],
        clips: ClipView,
        scores: dict[int, Score],
        end: float,
        attempt: int,
    ) -> None:
        """Hand over the clips that this server was not given yet; the rollouts of a clip that it cannot read are
        settled as DATA."""
        for clip_id in sorted({m.clip_id for m in open_.values()}):
            if clip_id in self._held:
                continue
            refusal = await self._put_clip(clips[clip_id], Need.IMAGES in known.needs, end)
            for index in [i for i, m in open_.items() if m.clip_id == clip_id] if refusal else []:
                why = f"clip {clip_id}: {refusal}"
                scores[index] = missing(self.config.called, Status.DATA, why, attempt, known)
                del open_[index]

    async def _put_clip(self, clip: Clip, cameras: bool, end: float) -> str:
        """Why the clip cannot be used; empty when it is on the server."""
        try:
            request = pb.PutClipsRequest(clips=[encode_clip(clip, cameras)])
        except (WireError, ValueError) as error:
            return f"cannot be sent: {error}"
        answer = await self._stub.PutClips(request, timeout=_left(end), metadata=self._metadata())
        self._counts["put_clips"] += 1
        if len(answer.results) != 1:
            raise WireError(f"{len(answer.results)} results for 1 clip")
        if answer.results[0].status != pb.OK:
            return answer.results[0].explanation
        self._note_instance(answer.instance)
        self._held.put(clip.clip_id, True)
        return ""

    def _note_instance(self, instance: str) -> None:
        """A restarted server holds no clips and may describe itself otherwise."""
        if instance != self._instance:
            if self._instance:
                self._counts["server_restarts"] += 1
                self.description = None
            self._instance = instance
            self._held = Lru(KNOWN_CLIPS)


def missing(
    reward: str, status: Status, why: str, attempts: int, description: Description | None = None
) -> Score:
    """A score that is not there."""
    version = description.version if description else ""
    return Score(reward, None, status, explanation=why, version=version, attempts=attempts)


def _speaks_for(round_: Round) -> bool | None:
    """Whether a try tells that the server works: yes, no, or nothing either way."""
    failure = round_.failure
    if failure is None:
        return True
    if failure.blames:
        return False
    return None if failure.status is Status.DEADLINE else True


def _left(end: float) -> float:
    return max(end - time.monotonic(), 0.001)
