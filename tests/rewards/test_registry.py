"""From a name to a reward, and functions as rewards."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from reward_scenes import make_clip, rollout

from rewards.adapters import FunctionReward, TrlFunctionReward, columns, source_version
from rewards.batch import Guard, score_batch
from rewards.description import Mode, Need, describe
from rewards.lru import Lru
from rewards.registry import RewardSource, known, resolve
from rewards.score import Score, Status

FAULTY = str(Path(__file__).with_name("faulty_rewards.py"))
CLIPS = {"c0": make_clip()}


def test_shipped_names_resolve_and_describe_themselves():
    for name in ("trajectory", "consistency", "reasoning"):
        said = describe(resolve(RewardSource(name)))
        assert (said.name, math.isfinite(said.low), math.isfinite(said.high)) == (name, True, True)
        assert said.doc
        assert name in known()
    assert describe(resolve(RewardSource("reasoning"))).needs == (Need.TEXT, Need.LABEL)


def test_a_name_of_the_jobs_own_and_options():
    reward = resolve(RewardSource("trajectory", "ride", {"collision": 3.0}))
    assert (reward.name, reward.score([rollout()], CLIPS)[0].reward) == ("ride", "ride")
    assert reward.low == pytest.approx(-5.29)


@pytest.mark.parametrize(
    ("target", "kind", "complaint"),
    [
        ("trajectry", LookupError, "did you mean 'trajectory'"),
        ("zzz", LookupError, "import path"),
        ("no.such.module:thing", ImportError, "no"),
        ("rewards.trajectory:Nothing", AttributeError, "Nothing"),
        ("missing_file.py:thing", ImportError, "no Python file"),
        (f"{FAULTY}:NOT_A_REWARD", TypeError, "neither a reward nor a function"),
        (f"{FAULTY}:broken_factory", RuntimeError, "model file"),
        ("grpc://127.0.0.1:1/x", LookupError, "remote"),
    ],
)
def test_a_wrong_name_says_what_to_do(target, kind, complaint):
    with pytest.raises(kind, match=complaint):
        resolve(RewardSource(target))


def test_functions_classes_and_factories_are_told_apart():
    assert type(resolve(RewardSource(f"{FAULTY}:plain"))) is FunctionReward
    assert type(resolve(RewardSource(f"{FAULTY}:trl_style"))) is TrlFunctionReward
    assert resolve(RewardSource(f"{FAULTY}:factory", options={"scale": 4.0})).high == 4.0
    assert describe(resolve(RewardSource(f"{FAULTY}:Siblings"))).mode is Mode.PER_GROUP


def test_a_trl_function_gets_columns_by_name_and_none_is_missing():
    seen = {}

    def reward(prompts, completions, reference, ego_future, **rest):
        seen.update(rest, prompts=prompts, reference=reference, steps=len(ego_future[0]))
        return [1.0, None, math.inf][: len(completions)]

    views = [rollout(number, "a b") for number in range(3)]
    scores = TrlFunctionReward(reward, low=0.0, high=1.0).score(views, CLIPS)
    assert [s.value for s in scores] == [1.0, None, None]
    assert [s.status for s in scores] == [Status.OK, Status.DATA, Status.REWARD_BUG]
    assert seen["prompts"] == ["c0"] * 3
    assert (seen["steps"], seen["group_id"]) == (64, ["g0"] * 3)
    assert set(columns(views, CLIPS)) > {"rollout_id", "actions", "states", "longitudinal", "lateral", "clip"}


def test_a_function_that_answers_too_few_is_a_bug():
    def reward(rollouts, clips):
        assert clips
        return [1.0] * (len(rollouts) - 1)

    with pytest.raises(ValueError, match="1 values for 2 rollouts"):
        FunctionReward(reward).score([rollout(0), rollout(1)], CLIPS)


def test_the_version_of_a_function_follows_its_source():
    def one(rollouts, clips):
        return [1.0 for _ in rollouts if clips]

    def two(rollouts, clips):
        return [2.0 for _ in rollouts if clips]

    assert source_version(one) == FunctionReward(one).version != source_version(two)


class Picky:
    """Fails as a batch when any text is "bad"."""

    name, version, low, high = "picky", "1", 0.0, 1.0

    def score(self, rollouts, clips):
        assert clips
        if any(r.text == "bad" for r in rollouts):
            raise SystemExit("quit")
        return [Score(self.name, 1.0) for _ in rollouts]


def test_a_batch_that_fails_is_scored_one_by_one():
    reward = Picky()
    views = [rollout(0), rollout(1, "bad"), rollout(2)]
    scores = score_batch(Guard(), reward, describe(reward), views, CLIPS)
    assert [s.value for s in scores] == [1.0, None, 1.0]
    assert scores[1].status is Status.REWARD_BUG
    assert "SystemExit: quit at test_registry.py" in scores[1].explanation


def test_the_lru_forgets_the_oldest_and_keeps_its_size():
    cache: Lru[str, int] = Lru(10, size=lambda value: value)
    assert cache.put("a", 4) == []
    assert cache.put("b", 4) == []
    assert cache.get("a") == 4
    assert cache.put("c", 4) == ["b"]
    assert ("b" in cache, cache.used, len(cache)) == (False, 8, 2)
    assert cache.put("huge", 99) == ["a", "c"]
    assert cache.get("huge") == 99
    cache.drop("huge")
    assert (cache.used, len(cache)) == (0, 0)
    with pytest.raises(ValueError, match="at least 1"):
        Lru(0)
