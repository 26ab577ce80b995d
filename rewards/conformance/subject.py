"""What a check is given: the server, or one reward of it with a scene that is already put.

Invariant: `ask` returns only answers that have one result a rollout, in order; anything else is a breach,
whichever check came across it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import grpc

from rewards.conformance.probe import CODE, Probe, Target, tell
from rewards.conformance.result import BreachError, require
from rewards.conformance.samples import Samples
from rewards.wire import reward_pb2 as pb

EXPLANATION_BYTES = 8 * 2**10
SLACK = 1e-9


@dataclass(frozen=True)
class ServerUnderTest:
    """served: what it described itself as."""

    target: Target
    probe: Probe
    served: pb.DescribeResponse


@dataclass(frozen=True)
class Subject:
    """One reward of a server. Its sample scene is put anew by `scene`."""

    server: ServerUnderTest
    description: pb.Description
    samples: Samples

    @property
    def probe(self) -> Probe:
        """The connection."""
        return self.server.probe

    @property
    def per_group(self) -> bool:
        """Whether siblings are scored together."""
        return self.description.mode == pb.PER_GROUP

    def batch(self, wanted: int) -> int:
        """`wanted` rollouts, or as many as one call takes."""
        return min(wanted, self.description.max_batch)

    async def scene(self, clip_id: str | None = None, other: bool = False) -> str:
        """Put a well-formed clip (see Samples.clip); returns its id."""
        clip = self.samples.clip(clip_id, other)
        answer = await self.probe.put(clip)
        require(len(answer.results) == 1, f"PutClips answered {len(answer.results)} results for 1 clip")
        status = answer.results[0]
        require(
            status.status == pb.OK,
            f"a good clip was refused: {status_name(status.status)}, {status.explanation!r}",
        )
        return clip.clip_id

    def request(self, rollouts: Sequence[pb.Rollout], reward: str | None = None) -> pb.ScoreRequest:
        """A request for this reward, or for another name."""
        name = self.description.name if reward is None else reward
        return pb.ScoreRequest(reward=name, rollouts=rollouts, job="conformance")

    async def ask(self, rollouts: Sequence[pb.Rollout], timeout_s: float | None = None) -> list[pb.Result]:
        """Score by the method of the reward's mode; one result a rollout, in order.

        Raises BreachError for an answer that does not match the question, AioRpcError when there is none."""
        limit = self.server.target.timeout_s if timeout_s is None else timeout_s
        answer = await self.probe.start(self.request(rollouts), self.per_group, limit)
        given, wanted = [r.rollout_id for r in answer.results], [r.rollout_id for r in rollouts]
        require(len(given) == len(wanted), f"{len(given)} results for {len(wanted)} rollouts")
        require(given == wanted, "results are not in the order of the rollouts (by rollout_id)")
        require(
            (answer.reward, answer.version) == (self.description.name, self.description.version),
            f"the answer says {answer.reward!r} version {answer.version!r}, Describe said "
            f"{self.description.name!r} version {self.description.version!r}",
        )
        return list(answer.results)

    async def scored(self, rollouts: Sequence[pb.Rollout]) -> list[pb.Result]:
        """`ask`, for rollouts that nothing is wrong with: all are OK, or a breach says what came instead."""
        results = await self.ask(rollouts)
        bad = [r for r in results if r.status != pb.OK]
        if bad:
            counts = Counter(status_name(r.status) for r in results)
            raise BreachError(
                f"well-formed rollouts were not scored: {dict(counts)}; first: {bad[0].explanation!r}"
            )
        return results

    async def settled(self, clip_id: str, kind: int) -> float | None:
        """The value of one content by itself, asked under two fresh ids; None when they differ, that is when
        the reward is not deterministic."""
        alone = [await self.scored([self.samples.rollout(clip_id, kind)]) for _ in range(2)]
        values = {result.value for (result,) in alone}
        return values.pop() if len(values) == 1 else None

    async def refused(self, request: pb.ScoreRequest, *codes: grpc.StatusCode, group: bool) -> str:
        """The call must end with one of the codes; returns which."""
        wanted = " or ".join(code.name for code in codes)
        try:
            answer = await self.probe.start(request, group, self.server.target.timeout_s)
        except grpc.aio.AioRpcError as error:
            require(error.code() in codes, f"the call ended with {tell(error)}; {wanted} is due")
            return error.code().name
        raise BreachError(f"the call was answered with {len(answer.results)} results; {wanted} is due")

    async def still_serves(self, clip_id: str) -> None:
        """A fresh rollout is scored, whatever came before; while the server makes room (RESOURCE_EXHAUSTED)
        nothing is wrong with it, but within the deadline it has to answer."""
        end = time.monotonic() + self.server.target.timeout_s
        while True:
            try:
                await self.scored([self.samples.rollout(clip_id)])
                return
            except grpc.aio.AioRpcError as error:
                if error.code() is not CODE.RESOURCE_EXHAUSTED or time.monotonic() > end:
                    raise BreachError(f"afterwards the server no longer serves: {tell(error)}") from error
            await asyncio.sleep(0.1)


def status_name(status: int) -> str:
    """The contract's name of an item status, or the number of one that it does not know."""
    return pb.Status.Name(status) if status in pb.Status.values() else f"status {status}"  # type: ignore[arg-type]


def faults(result: pb.Result, description: pb.Description) -> list[str]:
    """What is wrong with one result by itself: value, range, components, explanation."""
    found = []
    final = (pb.OK, pb.INFRASTRUCTURE, pb.DATA, pb.REWARD_BUG, pb.DEADLINE, pb.REFUSED, pb.UNKNOWN_CLIP)
    if result.status not in final:
        found.append(f"{status_name(result.status)} is no status of an answer")
    if result.HasField("value") != (result.status == pb.OK):
        there = "a value" if result.HasField("value") else "no value"
        found.append(f"status {status_name(result.status)} with {there}; a value is present exactly when OK")
    if result.HasField("value"):
        found += _outside("value", result.value, description.low, description.high)
    ranges = {c.name: (c.low, c.high) for c in description.components}
    for name, number in result.components.items():
        if ranges and name not in ranges:
            found.append(f"component {name!r} was not described")
        else:
            low, high = ranges.get(name, (-math.inf, math.inf))
            found += _outside(f"component {name!r}", number, low, high)
    if result.status != pb.OK and not result.explanation:
        found.append(f"{status_name(result.status)} without an explanation")
    if len(result.explanation.encode()) > EXPLANATION_BYTES:
        found.append(
            f"an explanation of {len(result.explanation.encode())} bytes; at most {EXPLANATION_BYTES}"
        )
    if not (math.isfinite(result.latency_s) and result.latency_s >= 0):
        found.append(f"latency_s is {result.latency_s}")
    return found


def _outside(what: str, number: float, low: float, high: float) -> list[str]:
    if not math.isfinite(number):
        return [f"{what} is {number}: report a failure as a status without a value"]
    if not low - SLACK <= number <= high + SLACK:
        return [f"{what} {number} is outside the described range [{low}, {high}]"]
    return []


def require_faultless(results: Sequence[pb.Result], description: pb.Description) -> None:
    """Breach with the first faulty result, and how many there are."""
    faulty = [(r.rollout_id, found) for r in results if (found := faults(r, description))]
    if faulty:
        raise BreachError(
            f"{len(faulty)} of {len(results)} results are faulty; first: {'; '.join(faulty[0][1])}"
        )
