"""Rewards that fail systematically: the verdict, what it says, and waiting for a real server to come back."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import signal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.config_file import ConfigError, load_config
from rewards.score import RolloutView, Score, Status
from rl.config import JobConfig
from rl.reward_config import PauseSection, RewardConfig
from rl.reward_fleet import RewardFleet
from rl.reward_health import RewardFailingError, RewardHealth, until_answering
from scenes.cameras import default_rig
from scenes.world.generator import WorldConfig, generate

A, B = RewardConfig(name="a", source="a"), RewardConfig(name="b", source="b")


def column(
    name: str, missing: int, of: int = 8, status: Status = Status.INFRASTRUCTURE, why: str = "refused"
):
    gone = [Score(name, None, status, explanation=why)] * missing
    return [*gone, *[Score(name, 0.0)] * (of - missing)]


def observed(*missing: int) -> RewardHealth:
    health = RewardHealth()
    for count in missing:
        health.observe({"a": column("a", count), "b": column("b", 0)})
    return health


def test_more_than_the_bound_over_the_last_groups_is_failing_and_a_scored_zero_is_not() -> None:
    assert observed(8).failing([A, B]) == (), "one group is no pattern"
    (verdict,) = observed(8, 8).failing([A, B])
    assert (verdict.name, verdict.share, verdict.groups, verdict.rollouts) == ("a", 1.0, 2, 16)
    assert observed(4, 4).failing([A, B]) == (), "half is not more than half"
    assert observed(*[0] * 20, *[8] * 4).failing([A]) == ()
    assert observed(*[0] * 20, *[8] * 5).failing([A]) != (), "only the last eight groups count"
    assert observed(8, 8).failing([B]) == (), "who is not asked about stops nothing"


def test_it_says_which_and_why_with_the_newest_causes_first() -> None:
    health = observed(8)
    health.observe({"a": column("a", 8, status=Status.DEADLINE, why="the judge is slow")})
    health.observe({"a": column("a", 8, status=Status.DEADLINE, why="no answer")})
    (verdict,) = health.failing([A])
    assert verdict.statuses == {"deadline": 16, "infrastructure": 8}
    assert verdict.explanations == ("no answer", "the judge is slow", "refused")
    assert verdict.status is Status.DEADLINE
    assert str(verdict) == (
        "reward 'a' scored too little: 100% of 24 scores over the last 3 groups are missing "
        "(16 deadline, 8 infrastructure); last causes: no answer | the judge is slow | refused"
    )


def test_forgetting_begins_anew_and_a_bound_of_one_never_pauses() -> None:
    health = observed(8, 8)
    never = RewardConfig(name="a", source="a", pause=PauseSection(missing_share=1.0))
    assert health.failing([never]) == ()
    health.forget("a")
    assert health.failing([A]) == ()
    health.forget("nobody")


GROUPS = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 6)), max_size=30)


@settings(deadline=None)
@given(GROUPS, st.integers(1, 10), st.integers(1, 10), st.floats(0.05, 1.0))
def test_the_verdict_is_the_share_over_the_window_and_survives_a_checkpoint(
    groups: list[tuple[int, int]], window: int, at_least: int, bound: float
) -> None:
    pause = PauseSection(missing_share=bound, groups=max(window, at_least), at_least=at_least)
    reward, health, sizes = RewardConfig(name="a", source="a", pause=pause), RewardHealth(), []
    for missing, size in groups:
        sizes.append((min(missing, size), size))
        health.observe({"a": column("a", *sizes[-1])})
    recent = sizes[-pause.groups :]
    expected = len(recent) >= at_least and sum(m for m, _ in recent) > bound * sum(size for _, size in recent)
    again = RewardHealth()
    again.load_state_dict(json.loads(json.dumps(health.state_dict())))
    assert bool(health.failing([reward])) is expected
    assert again.failing([reward]) == health.failing([reward])
    assert again.metrics() == health.metrics()


def test_metrics_are_shares() -> None:
    assert observed(8, 4).metrics() == {"rewards/a/recent_missing": 0.75, "rewards/b/recent_missing": 0.0}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("rewards.trajectory.pause.at_least=9", "it never pauses"),
        ("rewards.trajectory.pause.missing_share=0", "greater than 0"),
        ("rewards.trajectory.breaker.cool_down_s=60", "above breaker.most_s"),
        ("rewards.trajectory.hedge=sometimes", "same_server"),
        ("rewards.trajectory.attempt_s=0", "greater than 0"),
        ("rewards.trajectory.source=grpc://10.0.0.7/safety", "write grpc://host:port/name"),
        ("rewards.trajectory.source=grpc://h:1,h:1/safety", "names a server twice"),
    ],
)
def test_settings_that_cannot_work_are_refused(override: str, message: str) -> None:
    quickstart = Path(__file__).parents[2] / "configs" / "quickstart" / "grpo.yaml"
    with pytest.raises(ConfigError, match=message):
        load_config(JobConfig, quickstart, [override])


FAULTY = Path(__file__).parents[1] / "rewards" / "faulty_rewards.py"


def group_of(clip_id: str, number: int, text: str = "keep lane") -> list[RolloutView]:
    return [RolloutView(f"g{number}/{i}", f"g{number}", clip_id, text, False, "short") for i in range(4)]


def observed_fleet(tmp_path: Path, reward: RewardConfig, job):
    """Run `job(fleet, health, clip)` with one reward served."""

    async def main():
        clip = next(iter(generate(WorldConfig(), 0, 1, default_rig(("front_wide",))))).without_cameras()
        fleet, health = RewardFleet([reward], tmp_path, "test"), RewardHealth()
        try:
            await fleet.start()
            return await job(fleet, health, clip)
        finally:
            await fleet.close()

    return asyncio.run(main())


@pytest.mark.process
def test_a_hung_server_pauses_until_it_answers_again(tmp_path: Path) -> None:
    reward = RewardConfig(name="a", source=f"{FAULTY}:Obedient", deadline_s=1.0)
    told: list[str] = []

    async def job(fleet, health, clip):
        pid = fleet.servers["a"].pid
        os.kill(pid, signal.SIGSTOP)
        for number in range(2):
            health.observe(await fleet.score(group_of(clip.clip_id, number), clip))
        failing = health.failing([reward])

        def say(text: str) -> None:
            told.append(text)
            if "probe 1" in text:
                os.kill(pid, signal.SIGCONT)

        await until_answering(fleet, failing, [reward], say)
        health.forget("a")
        scores = await fleet.score(group_of(clip.clip_id, 1), clip)
        health.observe(scores)
        return failing, scores["a"], health.failing([reward])

    failing, scores, after = observed_fleet(tmp_path, reward, job)
    assert [(f.name, f.share) for f in failing] == [("a", 1.0)]
    assert [s.value for s in scores] == [0.5] * 4
    assert after == ()
    assert told[0].startswith("paused: reward 'a' scored too little: 100% of 8 scores")
    assert "its server's log ends" in told[0]
    assert "still missing" in told[1]
    assert "answers again" in told[-1]


@pytest.mark.process
def test_a_reward_that_stays_broken_fails_the_job_with_name_cause_and_log(tmp_path: Path) -> None:
    reward = RewardConfig(name="a", source=f"{FAULTY}:Obedient", pause=PauseSection(deadline_s=1.0))

    async def job(fleet, health, clip):
        for number in range(2):
            health.observe(await fleet.score(group_of(clip.clip_id, number, "raise"), clip))
        await until_answering(fleet, health.failing([reward]), [reward])

    with pytest.raises(RewardFailingError) as failed:
        observed_fleet(tmp_path, reward, job)
    error = pickle.loads(pickle.dumps(failed.value))
    assert (error.reward, error.status) == ("a", Status.REWARD_BUG)
    for part in (
        "reward 'a'",
        "8 reward_bug",
        "KeyError: 'no such thing'",
        "pause.deadline_s = 1 s",
        "log ends",
    ):
        assert part in str(error)
