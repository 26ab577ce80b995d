"""Servers that are killed, hang, flap, poison or expire, with real processes and real signals: what the client
reports. In every test no rollout is lost or counted twice."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from reward_scenes import make_clip, rollout

from rewards.backoff import Backoff
from rewards.breaker import BreakerConfig
from rewards.client import RewardClient
from rewards.client_config import ClientConfig
from rewards.credentials import Tls
from rewards.hedging import HedgeConfig
from rewards.launch import LaunchConfig, SupervisedServer
from rewards.registry import RewardSource
from rewards.score import Score, Status
from rewards.server import ServerConfig

pytestmark = pytest.mark.process
HERE = Path(__file__).parent
CLIPS = {"c0": make_clip("c0")}
QUICK = BreakerConfig(failures=3, cool_down_s=0.2, most_s=0.5)
WORDS = "one two three"


def batch(first: int = 0, count: int = 4) -> list:
    return [rollout(n, WORDS) for n in range(first, first + count)]


def url(*servers) -> str:
    return f"grpc://{','.join(server.address for server in servers)}/words"


def run(address: str, job: Callable[[RewardClient], Awaitable[object]], ready: bool = True, **options):
    """Run `job(client)`; returns its result and the client's metrics."""

    async def main():
        defaults = {"deadline_s": 20.0, "breaker": QUICK, "backoff": Backoff(0.01, 0.1)}
        client = RewardClient(ClientConfig(address, **{**defaults, **options}))
        try:
            if ready:
                await client.wait_ready(20.0)
            return await job(client), client.metrics()
        finally:
            await client.close()

    return asyncio.run(main())


def accounted(metrics: dict[str, float], rollouts: int) -> Counter[str]:
    """Scores by status, after checking that there are as many as rollouts."""
    found = Counter({n.removeprefix("items/"): int(v) for n, v in metrics.items() if n.startswith("items/")})
    assert sum(found.values()) == rollouts
    return found


async def until(condition: Callable[[], bool], again: Callable[[], Awaitable[object]]) -> None:
    """Repeat `again` until `condition`, for at most 20 s."""
    end = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < end, "it did not come about within 20 s"
        await again()
        await asyncio.sleep(0.05)


def test_kill_one_of_two_and_every_rollout_is_scored_by_the_other(unreliable):
    a, b = unreliable(), unreliable()

    async def job(client):
        async def one(n: int) -> list[Score]:
            if n == 10:
                a.process.kill()
                a.process.wait()
            return await client.score(batch(4 * n), CLIPS)

        scored = []
        for first in range(0, 40, 5):
            scored += await asyncio.gather(*(one(n) for n in range(first, first + 5)))
        return [score for part in scored for score in part]

    scores, metrics = run(url(a, b), job)
    assert [s.value for s in scores] == [3.0] * 160
    assert accounted(metrics, 160) == {"ok": 160}
    assert metrics["failovers"] > 0
    assert metrics["breaker/openings"] > 0
    assert metrics["replica/0/breaker/state"] > 0
    assert metrics["replica/1/breaker/state"] == 0
    assert set(b.scored()) | set(a.scored()) == {f"g0/{n}" for n in range(160)}


def test_a_killed_replica_that_comes_back_is_used_again(tmp_path):
    source = RewardSource(f"{HERE / 'faulty_rewards.py'}:Obedient")
    servers = [SupervisedServer(LaunchConfig(ServerConfig((source,)), tmp_path / name)) for name in "ab"]
    with servers[0] as a, servers[1] as b:

        async def job(client):
            await client.score(batch(), CLIPS)
            await client.score(batch(), CLIPS)
            os.kill(a.pid, signal.SIGKILL)
            count = 0

            async def again():
                nonlocal count
                count += 4
                scores = await client.score(batch(1_000 + count), CLIPS)
                assert [s.value for s in scores] == [0.5] * 4

            await until(lambda: client.metrics()["breaker/open"] > 0, again)
            await until(lambda: client.metrics()["breaker/open"] == 0, again)
            await until(lambda: client.metrics().get("server_restarts", 0) == 1, again)
            return count

        count, metrics = run(f"grpc://{a.address},{b.address}/obedient", job)
    assert accounted(metrics, 8 + count) == {"ok": 8 + count}
    assert metrics["breaker/probes"] >= 1
    assert metrics["put_clips"] == 3


@pytest.mark.slow
def test_a_replica_that_hangs_costs_half_the_deadline_until_its_breaker_opens(unreliable):
    a, b = unreliable(), unreliable()

    async def job(client):
        os.kill(a.process.pid, signal.SIGSTOP)
        parts = await asyncio.gather(*(client.score(batch(4 * n), CLIPS) for n in range(8)))
        shut = client.metrics()
        after = await client.score(batch(100), CLIPS)
        os.kill(a.process.pid, signal.SIGCONT)
        await until(lambda: client.metrics()["breaker/open"] == 0, lambda: client.score(batch(200, 1), CLIPS))
        return [s for part in (*parts, after) for s in part], shut

    (scores, shut), metrics = run(url(a, b), job, deadline_s=4.0)
    assert [s.value for s in scores] == [3.0] * 36
    assert shut["breaker/open"] == 1
    assert shut["failovers"] >= QUICK.failures
    assert accounted(metrics, int(sum(v for n, v in metrics.items() if n.startswith("items/")))).keys() == {
        "ok"
    }


def test_the_only_server_hangs_and_the_scores_are_missing_by_deadline_with_what_was_waited_for(unreliable):
    a = unreliable()

    async def job(client):
        before = await client.score(batch(0), CLIPS)
        os.kill(a.process.pid, signal.SIGSTOP)
        during = await client.score(batch(4), CLIPS, deadline_s=1.5)
        os.kill(a.process.pid, signal.SIGCONT)
        return before, during, await client.score(batch(4), CLIPS)

    (before, during, after), metrics = run(url(a), job)
    assert [s.value for s in before + after] == [3.0] * 8
    assert {(s.value, s.status) for s in during} == {(None, Status.DEADLINE)}
    assert all("DEADLINE_EXCEEDED" in s.explanation or "waiting for" in s.explanation for s in during)
    assert accounted(metrics, 12) == {"ok": 8, "deadline": 4}


def test_when_every_breaker_is_open_and_no_probe_is_due_calls_fail_at_once_with_the_reason(unreliable):
    a, b = unreliable(), unreliable()
    shut = BreakerConfig(failures=2, cool_down_s=300.0, most_s=300.0)

    async def job(client):
        for server in (a, b):
            server.process.kill()
            server.process.wait()
        first = await client.score(batch(0), CLIPS)
        return first, await client.score(batch(4), CLIPS)

    (first, second), metrics = run(url(a, b), job, breaker=shut, deadline_s=60.0)
    assert {(s.value, s.status) for s in first + second} == {(None, Status.INFRASTRUCTURE)}
    assert {s.attempts for s in first} == {4}, "two tries open each breaker; then there is nobody to ask"
    assert {s.attempts for s in second} == {0}
    for server in (a, b):
        assert f"{server.address} is due for a probe in" in second[0].explanation
    assert "UNAVAILABLE" in second[0].explanation
    assert accounted(metrics, 8) == {"infrastructure": 8}
    assert (metrics["breaker/openings"], metrics["breaker/open"], metrics["tries"]) == (2, 2, 4)


def test_an_open_breaker_is_waited_for_when_its_probe_is_due_before_the_deadline(tmp_path):
    source = RewardSource(f"{HERE / 'faulty_rewards.py'}:Obedient")
    with SupervisedServer(LaunchConfig(ServerConfig((source,)), tmp_path)) as server:

        async def job(client):
            os.kill(server.pid, signal.SIGKILL)
            return await client.score(batch(), CLIPS)

        scores, metrics = run(f"grpc://{server.address}/obedient", job, deadline_s=30.0)
    assert [s.value for s in scores] == [0.5] * 4
    assert metrics["breaker/openings"] >= 1
    assert metrics["breaker/probes"] >= 1
    assert metrics["breaker/open"] == 0


def test_every_second_call_fails_and_every_rollout_is_scored(unreliable):
    a = unreliable(fail_every=2)

    async def job(client):
        parts = [await client.score(batch(4 * n), CLIPS) for n in range(25)]
        return [s for part in parts for s in part]

    scores, metrics = run(url(a), job)
    assert [s.value for s in scores] == [3.0] * 100
    assert accounted(metrics, 100) == {"ok": 100}
    assert metrics["retries"] == 24
    assert metrics["breaker/openings"] == 0
    assert a.scored() == [f"g0/{n}" for n in range(100)], "none was computed twice"


def test_a_flapping_replica_is_covered_by_the_other(unreliable):
    a, b = unreliable(fail_every=2), unreliable()

    async def job(client):
        parts = await asyncio.gather(*(client.score(batch(4 * n), CLIPS) for n in range(25)))
        return [s for part in parts for s in part]

    scores, metrics = run(url(a, b), job)
    assert [s.value for s in scores] == [3.0] * 100
    assert accounted(metrics, 100) == {"ok": 100}
    assert metrics["failovers"] > 0
    assert sorted(a.scored() + b.scored()) == sorted(f"g0/{n}" for n in range(100))


def test_a_busy_server_is_asked_again_when_it_says_and_its_breaker_stays_closed(unreliable):
    a = unreliable(busy_every=2, pushback_ms=50)

    async def job(client):
        return [s for n in range(10) for s in await client.score(batch(4 * n), CLIPS)]

    scores, metrics = run(url(a), job, breaker=BreakerConfig(failures=1))
    assert [s.value for s in scores] == [3.0] * 40
    assert metrics["retries"] == 9
    assert metrics["breaker/openings"] == 0


def test_nan_for_one_item_costs_that_item(unreliable):
    a = unreliable(nan="poison")
    views = [rollout(0, WORDS), rollout(1, "poison"), rollout(2, WORDS)]
    scores, metrics = run(url(a), lambda client: client.score(views, CLIPS))
    assert [s.value for s in scores] == [3.0, None, 3.0]
    assert scores[1].status is Status.REWARD_BUG
    assert "not finite" in scores[1].explanation
    assert accounted(metrics, 3) == {"ok": 2, "reward_bug": 1}
    assert metrics["tries"] == 1, "a bug is not asked again"


def test_items_that_failed_for_want_of_infrastructure_are_asked_again(unreliable):
    a = unreliable(failed_items=2)
    scores, metrics = run(url(a), lambda client: client.score(batch(), CLIPS))
    assert [(s.value, s.attempts) for s in scores] == [(3.0, 3)] * 4
    assert accounted(metrics, 4) == {"ok": 4}


def test_a_reward_that_says_what_failed_is_believed(tmp_path):
    source = RewardSource(f"{HERE / 'judging_rewards.py'}:judged")
    with SupervisedServer(LaunchConfig(ServerConfig((source,)), tmp_path)) as server:
        views = [rollout(0, "fine"), rollout(1, f"once:{tmp_path / 'seen'}"), rollout(2, "unreadable")]
        scores, metrics = run(f"grpc://{server.address}/judged", lambda client: client.score(views, CLIPS))
    assert [s.value for s in scores] == [1.0, 1.0, None]
    assert (scores[2].status, scores[1].attempts) == (Status.DATA, 2)
    assert "no judge can read this" in scores[2].explanation
    assert accounted(metrics, 3) == {"ok": 2, "data": 1}


def test_a_killed_scoring_process_is_asked_again_and_its_siblings_keep_their_scores(tmp_path):
    source = RewardSource(f"{HERE / 'faulty_rewards.py'}:Obedient", options={"slow_s": 1.0})
    config = ServerConfig((source,), timeout_s=30.0)
    with SupervisedServer(LaunchConfig(config, tmp_path)) as server:

        async def job(client):
            call = asyncio.create_task(client.score(batch(), CLIPS))
            await asyncio.sleep(0.5)
            children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
            os.kill(int(children[0]), signal.SIGKILL)
            return await call

        scores, metrics = run(f"grpc://{server.address}/obedient", job)
    assert [s.value for s in scores] == [0.5] * 4
    assert accounted(metrics, 4) == {"ok": 4}


def test_the_first_answer_of_a_hedged_pair_wins_and_counts_once(unreliable):
    a, b = unreliable(slow_every=12, slow_s=8.0), unreliable()

    async def job(client):
        parts = [await client.score(batch(4 * n), CLIPS) for n in range(60)]
        return [s for part in parts for s in part]

    scores, metrics = run(url(a, b), job, hedge=HedgeConfig(most_share=0.3), deadline_s=60.0)
    assert [s.value for s in scores] == [3.0] * 240
    assert accounted(metrics, 240) == {"ok": 240}
    assert metrics["hedges/won"] >= 1
    assert metrics["hedges/won"] <= metrics["hedges/sent"] <= 0.3 * metrics["tries"]


def test_a_server_that_lost_a_hedge_is_asked_again_only_when_it_has_answered(unreliable):
    a, b = unreliable(slow_every=30, slow_s=8.0), unreliable()

    async def job(client):
        for n in range(60):
            await client.score(batch(4 * n), CLIPS)
            if client.metrics()["replica/0/in_flight"]:
                # A pair whose answers come almost together also leaves one, for a moment.
                await asyncio.sleep(0.5)
            if client.metrics()["replica/0/in_flight"]:
                break
        busy = client.metrics()
        for n in range(60, 70):
            await client.score(batch(4 * n), CLIPS)
        after = client.metrics()
        end = time.monotonic() + 30.0
        while client.metrics()["replica/0/in_flight"]:
            assert time.monotonic() < end
            await asyncio.sleep(0.1)
        for n in range(70, 74):
            await client.score(batch(4 * n), CLIPS)
        return busy, after, client.metrics()

    (busy, after, end), _ = run(url(a, b), job, hedge=HedgeConfig(most_share=1.0), deadline_s=60.0)
    assert busy["hedges/won"] >= 1
    assert after["replica/0/tries"] == busy["replica/0/tries"]
    assert after["replica/1/tries"] >= busy["replica/1/tries"] + 10
    assert end["replica/0/tries"] > after["replica/0/tries"]


def test_a_lone_server_is_hedged_only_when_asked_for(unreliable):
    a = unreliable(slow_every=30, slow_s=3.0)

    async def job(client):
        return [s for n in range(35) for s in await client.score(batch(n, 1), CLIPS)]

    for hedge, sent in ((HedgeConfig(), False), (HedgeConfig(same_server=True), True)):
        scores, metrics = run(url(a), job, hedge=hedge)
        assert [s.value for s in scores] == [3.0] * 35
        assert (metrics["hedges/sent"] > 0) is sent


def test_replicas_must_describe_the_same_reward(unreliable):
    a, b = unreliable(), unreliable(version="2")
    with pytest.raises(LookupError, match=r"version 2.*otherwise than"):
        run(url(a, b), lambda client: client.score(batch(), CLIPS))


def test_a_replica_that_is_down_at_the_start_is_named_and_gone_without(unreliable, caplog):
    a, b = unreliable(), unreliable()
    a.process.kill()
    a.process.wait()
    with caplog.at_level(logging.WARNING, "ar1.rewards"):
        scores, metrics = run(url(a, b), lambda client: client.score(batch(), CLIPS))
    assert [s.value for s in scores] == [3.0] * 4
    assert f"going on without replica {a.address}" in caplog.text
    assert accounted(metrics, 4) == {"ok": 4}


def test_an_expired_certificate_is_refused_at_once_and_a_valid_replica_takes_over(unreliable, tmp_path):
    pytest.importorskip("cryptography", reason="makes the certificates")
    from reward_certificates import Authority

    authority, day = Authority(tmp_path), timedelta(days=1)
    expired = dict(zip(("cert", "key"), authority.issue("expired", -2 * day, -day), strict=True))
    valid = dict(zip(("cert", "key"), authority.issue("valid", -day, day), strict=True))
    a, b, tls = unreliable(**expired), unreliable(**valid), Tls(ca=authority.ca)

    async def job(client):
        return await client.score(batch(), CLIPS)

    alone, metrics = run(url(a), job, ready=False, tls=tls)
    assert {(s.value, s.status, s.attempts) for s in alone} == {(None, Status.REFUSED, 1)}
    assert "certificate has expired" in alone[0].explanation
    assert accounted(metrics, 4) == {"refused": 4}
    together, metrics = run(url(a, b), job, ready=False, tls=tls)
    assert [(s.value, s.attempts) for s in together] == [(3.0, 2)] * 4
    assert accounted(metrics, 4) == {"ok": 4}
    assert (metrics["failovers"], metrics["breaker/openings"]) == (1, 0)


def test_a_cancelled_call_gives_back_its_probe_and_its_place(unreliable):
    a = unreliable()
    shut = BreakerConfig(failures=1, cool_down_s=0.3, most_s=0.3)

    async def job(client):
        os.kill(a.process.pid, signal.SIGSTOP)
        await client.score(batch(0), CLIPS, deadline_s=0.7)
        await until(lambda: client.metrics()["breaker/open"] == 1, lambda: asyncio.sleep(0))
        await asyncio.sleep(0.35)
        probing = asyncio.create_task(client.score(batch(0), CLIPS))
        await until(lambda: client.metrics()["breaker/probes"] == 1, lambda: asyncio.sleep(0))
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)
        os.kill(a.process.pid, signal.SIGCONT)
        return await client.score(batch(0), CLIPS)

    scores, metrics = run(url(a), job, breaker=shut, concurrency=1)
    assert [s.value for s in scores] == [3.0] * 4
    assert metrics["breaker/open"] == 0
    assert accounted(metrics, 8) == {"deadline": 4, "ok": 4}
