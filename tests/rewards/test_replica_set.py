"""Which replica is asked next, and when a call stops waiting for one. No server runs here: nobody is called."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from rewards.breaker import BreakerConfig, State
from rewards.replica import Replica, ReplicaConfig
from rewards.replica_set import ReplicaSet, Standing
from rewards.score import Status

SHUT = BreakerConfig(failures=1, cool_down_s=50.0, most_s=50.0)


def with_replicas(count: int, job: Callable[[ReplicaSet, list[Replica]], Awaitable[None]]) -> None:
    async def main() -> None:
        configs = [ReplicaConfig(f"127.0.0.1:{n + 1}", "words", "words", breaker=SHUT) for n in range(count)]
        replicas = [Replica(config, lambda: (), Counter()) for config in configs]
        await job(ReplicaSet(replicas), replicas)
        for replica in replicas:
            await replica.close()

    asyncio.run(main())


def chosen(
    replicas: ReplicaSet, standing: Standing | None = None, barred: tuple[Replica, ...] = ()
) -> Replica | None:
    """Who is asked; the call tells nothing about the server."""
    admission = replicas.admit(standing or Standing(), barred)
    if admission is None:
        return None
    admission.replica.breaker.settle(admission.permit, None)
    return admission.replica


def break_(replica: Replica) -> None:
    permit = replica.breaker.admit()
    assert permit is not None
    replica.breaker.settle(permit, False)
    assert replica.breaker.state is State.OPEN


def test_equals_take_turns_and_the_least_loaded_goes_first() -> None:
    async def job(replicas: ReplicaSet, all_: list[Replica]) -> None:
        a, b, c = all_
        assert [chosen(replicas) for _ in range(6)] == [a, b, c, a, b, c]
        a.in_flight, b.in_flight, c.in_flight = 2, 1, 2
        assert [chosen(replicas) for _ in range(3)] == [b, b, b]

    with_replicas(3, job)


def test_failed_ones_come_last_and_refused_barred_and_open_ones_not_at_all() -> None:
    async def job(replicas: ReplicaSet, all_: list[Replica]) -> None:
        a, b, c = all_
        a.in_flight = 9
        failed = Standing(failed=frozenset({b, c}))
        assert chosen(replicas, failed) is a
        assert replicas.fresh(failed)
        refused = Standing(failed=frozenset({b, c}), refused=frozenset({a}))
        assert not replicas.fresh(refused)
        assert {chosen(replicas, refused) for _ in range(4)} == {b, c}
        assert chosen(replicas, refused, (b, c)) is None
        break_(b)
        assert {chosen(replicas, refused) for _ in range(4)} == {c}

    with_replicas(3, job)


def test_waiting_ends_with_the_reason_when_no_probe_is_due_in_time() -> None:
    async def job(replicas: ReplicaSet, all_: list[Replica]) -> None:
        a, b = all_
        assert await replicas.until_due(Standing(), time.monotonic() + 5.0) is None
        break_(a)
        assert await replicas.until_due(Standing(), time.monotonic() + 5.0) is None
        failure = await replicas.until_due(Standing(refused=frozenset({b})), time.monotonic() + 5.0)
        assert failure is not None
        assert (failure.status, failure.passing) == (Status.INFRASTRUCTURE, False)
        assert "127.0.0.1:1 is due for a probe in" in failure.why
        assert "127.0.0.1:2" not in failure.why

    with_replicas(2, job)
