"""One group's bookkeeping: policies for missing scores, quorum, fates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from policy.completion import Completion
from rewards.score import Score, Status
from rl.config import AdvantageConfig
from rl.group_scoring import RewardFailedError, finish_group, make_rollouts, score_values
from rl.reward_config import GateConfig, RewardConfig
from rl.rollout import Fate, Group
from rl.training_batch import make_batch

IDS = np.arange(5, dtype=np.int32)
COMPLETION = Completion(
    token_ids=IDS,
    logprobs=np.full(5, -1.0, np.float32),
    versions=np.zeros(5, np.int32),
    forced=np.zeros(5, bool),
    finish_reason="stop",
    text="keep lane",
    bins=None,
    valid=False,
    reason="?",
)
REWARDS = (RewardConfig(name="a", source="a"), RewardConfig(name="b", source="b", weight=0.5))


def missing(name: str) -> Score:
    return Score(name, None, Status.INFRASTRUCTURE, explanation="connection refused")


def group(a: list[float | None], policy: str = "drop_rollout", quorum: float = 0.75) -> Group:
    rollouts = make_rollouts("s00001-g000", "clip", 7, [COMPLETION] * len(a), [None] * len(a))
    scores = {
        "a": [missing("a") if value is None else Score("a", value) for value in a],
        "b": [Score("b", 1.0)] * len(a),
    }
    rewards = (REWARDS[0].model_copy(update={"on_failure": policy}), REWARDS[1])
    return finish_group(1, 3, rollouts, scores, rewards, AdvantageConfig(quorum=quorum))


def test_a_missing_score_drops_its_rollout_and_keeps_the_cause() -> None:
    result = group([0.0, 1.0, None, 3.0])
    assert result.fate is Fate.TRAINED
    lost = result.rollouts[2]
    assert lost.fate is Fate.DROPPED
    assert lost.fate_reason == "missing score: a"
    assert lost.total is None
    assert lost.scores[0].explanation == "connection refused"
    assert lost.scores[1].value == 1.0, "what was scored stays in the ledger"
    assert [r.total for r in result.rollouts if r.total is not None] == [0.5, 1.5, 3.5]


def test_below_quorum_the_group_is_dropped() -> None:
    result = group([0.0, 1.0, None, None])
    assert result.fate is Fate.DROPPED
    assert result.fate_reason == "2 of 4 rollouts scored, quorum is 3"
    assert all(rollout.fate is Fate.DROPPED for rollout in result.rollouts)


def test_drop_group_and_neutral_and_fail_job() -> None:
    assert group([0.0, 1.0, 2.0, None], "drop_group").fate is Fate.DROPPED
    neutral = group([0.0, 1.0, 5.0, None], "neutral")
    assert neutral.rollouts[3].shares["a"] == pytest.approx(0.0)
    assert neutral.rollouts[3].scores[0].value is None, "the ledger never shows the stand-in as a score"
    with pytest.raises(RewardFailedError, match="connection refused"):
        group([0.0, None], "fail_job")


def test_a_gated_reward_counts_only_where_the_other_passes() -> None:
    gate = GateConfig(reward="b", at_least=0.4, otherwise=-1.0)
    rewards = (RewardConfig(name="a", source="a", gate=gate), RewardConfig(name="b", source="b"))
    scores = {
        "a": [Score("a", 1.0), Score("a", 1.0), missing("a"), Score("a", 1.0)],
        "b": [Score("b", 0.4), Score("b", 0.3), Score("b", 0.0), missing("b")],
    }
    values = score_values(scores, rewards)
    np.testing.assert_array_equal(values["a"], [1.0, -1.0, np.nan, np.nan])
    np.testing.assert_array_equal(values["b"], [0.4, 0.3, 0.0, np.nan])


def test_seeds_and_ids_name_each_rollout() -> None:
    rollouts = group([0.0, 1.0]).rollouts
    assert [r.rollout_id for r in rollouts] == ["s00001-g000/0", "s00001-g000/1"]
    assert [r.seed for r in rollouts] == [7, 8]


def test_a_batch_keeps_its_shape_when_rollouts_drop() -> None:
    batch = make_batch(1, [group([0.0, 1.0, None, 3.0]), replace(group([0.0, 1.0, 2.0, 3.0]), group_id="x")])
    assert len(batch.rows) == 8
    assert batch.trained == 7
    assert batch.rows[2].advantage is None


def test_a_step_without_any_rollout_is_an_error() -> None:
    with pytest.raises(ValueError, match="no rollout left"):
        make_batch(1, [group([None, None, None, 1.0])])
