"""Scoring of input that nothing is wrong with: batch sizes, order, ranges, methods, names."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import grpc

from rewards.conformance.probe import CODE, tell
from rewards.conformance.registry import reward_check
from rewards.conformance.result import BreachError, NotApplicableError, require
from rewards.conformance.subject import Subject, require_faultless

SIZES = (1, 16, 256, 4096)
CALLS = 8


def _of_size(size: int) -> Callable[[Subject], Awaitable[str]]:
    async def batch(subject: Subject) -> str:
        clip_id = await subject.scene()
        rollouts = subject.samples.rollouts(clip_id, size)
        if size > subject.description.max_batch:
            request = subject.request(rollouts)
            code = await subject.refused(request, CODE.INVALID_ARGUMENT, group=subject.per_group)
            return f"above max_batch {subject.description.max_batch}: {code}"
        began = time.monotonic()
        require_faultless(await subject.scored(rollouts), subject.description)
        return f"{size} scored in {time.monotonic() - began:.3f} s"

    batch.__doc__ = (
        f"{size} {'rollout' if size == 1 else 'rollouts'} in one call: scored in order, or INVALID_ARGUMENT "
        "above max_batch."
    )
    return batch


for _size in SIZES:
    reward_check(f"score/batch-{_size}")(_of_size(_size))


@reward_check("score/values")
async def values(subject: Subject) -> str:
    """Values are finite and within the range, components as described, latencies not negative."""
    rollouts = subject.samples.rollouts(await subject.scene(), subject.batch(64))
    results = await subject.scored(rollouts)
    require_faultless(results, subject.description)
    found = [result.value for result in results]
    named = sorted({name for result in results for name in result.components})
    span = f"[{min(found) + 0.0:.3g}, {max(found) + 0.0:.3g}]"
    return f"{len(found)} values in {span}, components {', '.join(named) or 'none'}"


@reward_check("score/order")
async def order(subject: Subject) -> str:
    """results[i] is the value of rollouts[i]: in a batch as alone."""
    if subject.per_group:
        raise NotApplicableError("the value depends on the siblings: alone it is another")
    clip_id = await subject.scene()
    kinds = range(subject.batch(5))
    alone = [await subject.settled(clip_id, kind) for kind in kinds]
    if None in alone:
        raise NotApplicableError("the reward is not deterministic: the same content got two values")
    if len(set(alone)) == 1:
        raise NotApplicableError(f"all {len(alone)} samples have the value {alone[0]}")
    batch = await subject.scored([subject.samples.rollout(clip_id, kind) for kind in kinds])
    together = [result.value for result in batch]
    require(together == alone, f"values {together} in a batch, {alone} one by one: an order is mixed up")
    return f"{len(set(alone))} different values of {len(alone)}"


@reward_check("score/mixed-clips")
async def mixed(subject: Subject) -> str:
    """One call may hold rollouts of several clips (a per-group reward refuses them)."""
    clips = [await subject.scene(), await subject.scene(other=True)]
    rollouts = [subject.samples.rollout(clip_id, kind) for clip_id in clips for kind in range(2)]
    rollouts = rollouts[: subject.batch(4)]
    if subject.per_group:
        rollouts = [subject.samples.rollout(clip_id) for clip_id in clips]
        request = subject.request(rollouts)
        code = await subject.refused(request, CODE.INVALID_ARGUMENT, group=True)
        return f"a group of two clips: {code}"
    await subject.scored(rollouts)
    return f"{len(rollouts)} scored"


@reward_check("score/concurrent")
async def concurrent(subject: Subject) -> str:
    """Calls at the same time each get their own answer, or RESOURCE_EXHAUSTED."""
    clip_id = await subject.scene()
    batches = [subject.samples.rollouts(clip_id, subject.batch(8)) for _ in range(CALLS)]
    answers = await asyncio.gather(*(_or_busy(subject, batch) for batch in batches))
    served = sum(answers)
    require(served > 0, f"none of {CALLS} calls at the same time was served")
    return f"{served} of {CALLS} calls served"


async def _or_busy(subject: Subject, batch: list) -> bool:
    try:
        await subject.scored(batch)
    except grpc.aio.AioRpcError as error:
        if error.code() is not CODE.RESOURCE_EXHAUSTED:
            raise BreachError(f"one of {CALLS} calls at the same time ended with {tell(error)}") from error
        return False
    return True


@reward_check("score/method")
async def method(subject: Subject) -> str:
    """The method of the other mode is refused with INVALID_ARGUMENT or UNIMPLEMENTED."""
    request = subject.request([subject.samples.rollout(await subject.scene())])
    codes = (CODE.INVALID_ARGUMENT, CODE.UNIMPLEMENTED)
    code = await subject.refused(request, *codes, group=not subject.per_group)
    return f"{'Score' if subject.per_group else 'ScoreGroup'}: {code}"


@reward_check("score/unknown-reward")
async def unknown_reward(subject: Subject) -> str:
    """A reward that is not served is NOT_FOUND."""
    rollout = subject.samples.rollout(await subject.scene())
    request = subject.request([rollout], reward="no such reward")
    return await subject.refused(request, CODE.NOT_FOUND, group=subject.per_group)


@reward_check("score/unnamed-reward")
async def unnamed_reward(subject: Subject) -> str:
    """An empty name means the only reward of a server; where there are several it is NOT_FOUND."""
    rollout = subject.samples.rollout(await subject.scene())
    request = subject.request([rollout], reward="")
    if len(subject.server.served.rewards) > 1:
        return await subject.refused(request, CODE.NOT_FOUND, group=subject.per_group)
    answer = await subject.probe.start(request, subject.per_group, subject.server.target.timeout_s)
    told = subject.description.name
    require(answer.reward == told, f"the answer names {answer.reward!r}, the only reward is {told!r}")
    return "answered"


@reward_check("score/empty-batch")
async def empty(subject: Subject) -> str:
    """A batch of no rollouts is INVALID_ARGUMENT."""
    return await subject.refused(subject.request([]), CODE.INVALID_ARGUMENT, group=subject.per_group)
