"""Run the checks against a server, one after another, each within its time limit.

Invariant: one result a check and reward, in the order of `checks`; a server that does not even describe
itself fails that check, and the others are skipped because of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from difflib import get_close_matches
from functools import partial

import grpc

# Importing a family enters its checks in the registry.
from rewards.conformance import (
    access,
    clips,
    describing,
    groups,
    idempotency,
    interruption,
    malformed,
    scoring,
)
from rewards.conformance.probe import CODE, Probe, Target, tell
from rewards.conformance.registry import CHECKS, Check
from rewards.conformance.result import BreachError, CheckResult, NotApplicableError, Outcome
from rewards.conformance.samples import Samples
from rewards.conformance.subject import ServerUnderTest, Subject
from rewards.wire import reward_pb2 as pb

FAMILIES = (describing, access, clips, scoring, groups, malformed, idempotency, interruption)
"""In the order in which they run."""
CALLS_PER_CHECK = 12
Report = Callable[[CheckResult], None]


def check_server(target: Target, only: Sequence[str] = (), report: Report | None = None) -> list[CheckResult]:
    """Run the checks; blocks until all have ended. only: names of checks, or beginnings of names, to run
    instead of all; report: called with each result as it comes.

    Raises ValueError for a malformed address or plain text beyond loopback, LookupError when the server does
    not serve `target.reward` or no check has a name of `only`, FileNotFoundError for a certificate that is
    not there."""
    return asyncio.run(_run(target, checks(only), report or (lambda _: None)))


def checks(only: Sequence[str] = ()) -> list[Check]:
    """The checks that have a name or a beginning of `only` (default: all), in the order in which they run.
    LookupError for one that no check has."""
    every = [check for family in FAMILIES for check in CHECKS.values() if check.family == family.__name__]
    names = [check.name for check in every]
    chosen: set[str] = set() if only else set(names)
    for wanted in only:
        found = [wanted] if wanted in names else [name for name in names if name.startswith(wanted)]
        if not found:
            near = get_close_matches(wanted, names, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "; `ar1 reward check --list` shows them"
            raise LookupError(f"no check is called {wanted!r}{hint}")
        chosen.update(found)
    return [check for check in every if check.name in chosen]


async def _run(target: Target, chosen: list[Check], report: Report) -> list[CheckResult]:
    results: list[CheckResult] = []

    def note(result: CheckResult) -> None:
        results.append(result)
        report(result)

    async with Probe(target, token=target.token) as probe:
        began = time.monotonic()
        served = await _described(probe)
        if isinstance(served, str):
            seconds = time.monotonic() - began
            note(CheckResult("describe/server", "", Outcome.FAILED, served, seconds))
            why = "the server did not describe itself"
            for check in chosen:
                if check.name != "describe/server":
                    note(CheckResult(check.name, "", Outcome.SKIPPED, why, 0.0))
            return results
        server = ServerUnderTest(target, probe, served)
        for check, reward, run in _plan(server, chosen):
            note(await _one(check, reward, run, CALLS_PER_CHECK * target.timeout_s))
    return results


async def _described(probe: Probe) -> pb.DescribeResponse | str:
    """What the server says it is, waiting while it loads; or why there is no answer."""
    end = time.monotonic() + probe.timeout_s
    while True:
        try:
            return await probe.describe()
        except grpc.aio.AioRpcError as error:
            if error.code() is CODE.UNAUTHENTICATED:
                return f"{tell(error)}: give the server's token with --token-file"
            if error.code() is not CODE.UNAVAILABLE or time.monotonic() > end:
                return tell(error)
        await asyncio.sleep(0.1)


def _plan(
    server: ServerUnderTest, chosen: list[Check]
) -> Iterator[tuple[Check, str, Callable[[], Awaitable[str]]]]:
    """What to run: the server's checks, then each reward's."""
    named = {description.name: description for description in server.served.rewards}
    wanted = server.target.reward
    if wanted is not None and wanted not in named:
        raise LookupError(f"the server has no reward {wanted!r}; it has {', '.join(sorted(named))}")
    for check in chosen:
        if check.on_server is not None:
            yield check, "", partial(check.on_server, server)
    for name, description in named.items():
        if wanted not in (None, name):
            continue
        subject = Subject(server, description, Samples(pb.IMAGES in description.needs))
        for check in chosen:
            if check.on_reward is not None:
                yield check, name, partial(check.on_reward, subject)


async def _one(check: Check, reward: str, run: Callable[[], Awaitable[str]], limit_s: float) -> CheckResult:
    began = time.monotonic()
    try:
        async with asyncio.timeout(limit_s):
            outcome, detail = Outcome.PASSED, await run()
    except BreachError as breach:
        outcome, detail = Outcome.FAILED, str(breach)
    except NotApplicableError as reason:
        outcome, detail = Outcome.SKIPPED, str(reason)
    except grpc.aio.AioRpcError as error:
        outcome, detail = Outcome.FAILED, f"a call ended with {tell(error)}; an answer is due"
    except TimeoutError:
        outcome, detail = Outcome.FAILED, f"not finished within {limit_s:g} s"
    return CheckResult(check.name, reward, outcome, detail, time.monotonic() - began)
