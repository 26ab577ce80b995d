"""Calls that are cut short, and what is too large: the server goes on serving."""

from __future__ import annotations

import asyncio
import time

import grpc

from rewards.conformance.probe import CODE, tell
from rewards.conformance.registry import reward_check
from rewards.conformance.result import BreachError, NotApplicableError, require
from rewards.conformance.subject import Subject, require_faultless, status_name
from rewards.wire import reward_pb2 as pb

DEADLINES_S = (0.001, 0.02, 0.2)
CANCEL_AFTER_S = (0.0, 0.005, 0.05)
OVERSIZE_BYTES = 65 * 2**20


@reward_check("interrupted/short-deadline")
async def short_deadline(subject: Subject) -> str:
    """A call with little time ends with DEADLINE items or DEADLINE_EXCEEDED; asked again it is scored."""
    clip_id = await subject.scene()
    rollouts = subject.samples.rollouts(clip_id, subject.batch(64))
    ends = []
    for deadline in DEADLINES_S:
        try:
            results = await subject.ask(rollouts, deadline)
        except grpc.aio.AioRpcError as error:
            codes = (CODE.DEADLINE_EXCEEDED, CODE.CANCELLED)
            require(error.code() in codes, f"with {deadline} s: {tell(error)}; DEADLINE_EXCEEDED is due")
            ends.append(error.code().name)
            continue
        require_faultless(results, subject.description)
        odd = {status_name(r.status) for r in results if r.status not in (pb.OK, pb.DEADLINE)}
        require(not odd, f"with {deadline} s: items {sorted(odd)}; OK and DEADLINE are due")
        ends.append(" and ".join(sorted({status_name(r.status) for r in results})))
    await subject.still_serves(clip_id)
    await subject.scored(rollouts)
    return ", ".join(f"{d:g} s: {end}" for d, end in zip(DEADLINES_S, ends, strict=True))


@reward_check("interrupted/slow-item")
async def slow_item(subject: Subject) -> str:
    """An item that takes too long is DEADLINE before the call's deadline, and costs no sibling its score."""
    text = subject.server.target.slow_text
    if text is None:
        raise NotApplicableError("no text is known over which the reward is slow; name one with --slow-text")
    clip_id = await subject.scene()
    batch = subject.samples.rollouts(clip_id, subject.batch(4))
    batch[-1].text = text
    limit, began = subject.server.target.timeout_s, time.monotonic()
    try:
        results = await subject.ask(batch, limit)
    except grpc.aio.AioRpcError as error:
        require(
            error.code() is CODE.DEADLINE_EXCEEDED, f"{tell(error)}; an answer before the deadline is due"
        )
        raise BreachError(f"no answer within {limit:g} s; DEADLINE for the slow item is due") from error
    require_faultless(results, subject.description)
    told = [status_name(r.status) for r in results]
    require(told[-1] == "DEADLINE", f"the slow item was answered {told[-1]}; DEADLINE is due")
    if not subject.per_group:
        require(set(told[:-1]) <= {"OK"}, f"the siblings of the slow item were answered {told[:-1]}")
    await subject.still_serves(clip_id)
    return f"DEADLINE after {time.monotonic() - began:.2f} of {limit:g} s, siblings {told[:-1]}"


@reward_check("interrupted/cancelled")
async def cancelled(subject: Subject) -> str:
    """Calls that the client cancels do not disturb the others."""
    clip_id = await subject.scene()
    rollouts = subject.samples.rollouts(clip_id, subject.batch(64))
    for pause in CANCEL_AFTER_S:
        limit = subject.server.target.timeout_s
        calls = [subject.probe.start(subject.request(rollouts), subject.per_group, limit) for _ in range(4)]
        await asyncio.sleep(pause)
        for call in calls:
            call.cancel()
        await asyncio.gather(*(_ended(call) for call in calls))
    await subject.still_serves(clip_id)
    await subject.scored(rollouts)
    return f"{4 * len(CANCEL_AFTER_S)} calls cancelled, then served"


async def _ended(call: grpc.aio.UnaryUnaryCall) -> None:
    """Wait until a cancelled call is over, however it ended."""
    await call.code()


@reward_check("limits/oversize")
async def oversize(subject: Subject) -> str:
    """A message above 64 MiB is RESOURCE_EXHAUSTED, and the server goes on serving."""
    clip_id = await subject.scene()
    rollout = subject.samples.rollout(clip_id)
    rollout.text = "x" * OVERSIZE_BYTES
    request = subject.request([rollout])
    code = await subject.refused(request, CODE.RESOURCE_EXHAUSTED, group=subject.per_group)
    await subject.still_serves(clip_id)
    return f"{OVERSIZE_BYTES // 2**20} MiB: {code}"


@reward_check("limits/large")
async def large(subject: Subject) -> str:
    """A message of 8 MiB is taken: more than the 4 MiB that gRPC libraries allow when nobody raises it."""
    clip = subject.samples.clip()
    clip.source = "x" * (8 * 2**20)
    answer = await subject.probe.put(clip)
    told = [status_name(r.status) for r in answer.results]
    require(told == ["OK"], f"a clip of 8 MiB was answered {told}")
    return "8 MiB taken"
