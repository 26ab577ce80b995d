"""Rollups say what the rollouts say, and nothing about what is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from example_run import WEIGHTS, make_clip, make_group, make_step

from rewards.score import Score, Status
from rl.rollout import Fate, Group, Rollout
from rl.rollup_table import RollupTable
from rl.rollups import advantage_shares, step_metrics, trained_rollouts, zero_variance_share

CLIPS = [make_clip(number) for number in range(4)]


def with_values(group: Group, reward: str, values: list[float | None]) -> Group:
    """The group with one reward replaced: None is a deadline missed."""
    rollouts: list[Rollout] = []
    for rollout, value in zip(group.rollouts, values, strict=True):
        score = Score(reward, value) if value is not None else Score(reward, None, Status.DEADLINE)
        others = tuple(s for s in rollout.scores if s.reward != reward)
        rollouts.append(replace(rollout, scores=(*others, score)))
    return replace(group, rollouts=tuple(rollouts))


def test_a_reward_is_summed_up_from_its_scored_rollouts_alone() -> None:
    group = with_values(make_group(1, 0, CLIPS[0]), "reasoning", [0.2, None, 0.4, 0.4, None, 1.0, 0.0, 0.4])
    metrics = step_metrics([group])
    scored = [0.2, 0.4, 0.4, 1.0, 0.0, 0.4]
    assert metrics["rewards/reasoning/mean"] == pytest.approx(np.mean(scored))
    assert metrics["rewards/reasoning/std"] == pytest.approx(np.std(scored))
    assert metrics["rewards/reasoning/p90"] == pytest.approx(np.percentile(scored, 90))
    assert metrics["rewards/reasoning/coverage"] == pytest.approx(6 / 8)
    assert metrics["rewards/reasoning/fail_rate"] == pytest.approx(2 / 8)
    assert metrics["rewards/reasoning/zero_var_frac"] == 0.0


def test_a_reward_that_never_answered_has_coverage_zero_and_no_mean() -> None:
    metrics = step_metrics([with_values(make_group(1, 0, CLIPS[0]), "reasoning", [None] * 8)])
    assert metrics["rewards/reasoning/coverage"] == 0.0
    assert metrics["rewards/reasoning/fail_rate"] == 1.0
    assert "rewards/reasoning/mean" not in metrics
    assert "rewards/reasoning/zero_var_frac" not in metrics
    assert all(np.isfinite(list(metrics.values())))


def test_the_logged_total_is_the_optimised_total() -> None:
    groups = make_step(1, CLIPS)
    trained = trained_rollouts(groups)
    assert 0 < len(trained) < sum(len(group.rollouts) for group in groups)
    assert step_metrics(groups)["reward_trained"] == pytest.approx(np.mean([r.total for r in trained]))
    for rollout in trained:
        combined = sum(
            WEIGHTS[score.reward] * score.value for score in rollout.scores if score.value is not None
        )
        assert rollout.total == pytest.approx(combined)
        assert rollout.advantage == pytest.approx(sum(rollout.shares.values()))


def test_dropped_groups_count_for_behaviour_and_cancelled_ones_do_not() -> None:
    groups = [make_group(1, number, CLIPS[0]) for number in range(3)]
    mixed = [groups[0], replace(groups[1], fate=Fate.DROPPED), replace(groups[2], fate=Fate.CANCELLED)]
    metrics = step_metrics(mixed)
    assert [metrics[f"groups/{fate.value}"] for fate in Fate] == [1.0, 1.0, 1.0]
    totals = [r.total for group in groups[:2] for r in group.rollouts]
    assert metrics["reward"] == pytest.approx(np.mean([total for total in totals if total is not None]))
    assert metrics["reward_trained"] == pytest.approx(np.mean([r.total for r in groups[0].rollouts]))
    assert metrics["rollouts/count"] == 16.0


def test_advantage_shares_add_up_to_one_and_a_shadow_reward_has_none() -> None:
    shares = advantage_shares(trained_rollouts(make_step(1, CLIPS)))
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["comfort"] == 0.0
    assert advantage_shares([]) == {}
    flat = [replace(r, shares=dict.fromkeys(WEIGHTS, 0.0)) for r in make_group(1, 0, CLIPS[0]).rollouts]
    assert advantage_shares(flat) == {}


def test_groups_without_spread() -> None:
    assert zero_variance_share([[1.0, 1.0], [0.0, 1.0], [0.5], []]) == 0.5
    assert zero_variance_share([[1.0], []]) is None
    flat = replace(
        make_group(1, 0, CLIPS[0]),
        rollouts=tuple(replace(r, total=0.4) for r in make_group(1, 0, CLIPS[0]).rollouts),
    )
    assert step_metrics([flat])["frac_reward_zero_std"] == 1.0
    assert step_metrics([flat])["reward_std"] == pytest.approx(0.0)


def test_correlation_sees_a_conflict_between_rewards() -> None:
    values = [0.1, 0.9, 0.3, 0.5, 0.7, 0.2, 0.6, 0.4]
    group = with_values(make_group(1, 0, CLIPS[0]), "reasoning", list(values))
    group = with_values(group, "comfort", [1 - value for value in values])
    metrics = step_metrics([group])
    assert metrics["rewards/corr/comfort__reasoning"] == pytest.approx(-1.0)


def test_a_step_of_nothing_says_only_how_many_groups_there_were() -> None:
    empty = Group("g", 1, "clip", 0, (), Fate.CANCELLED, "stopped")
    assert step_metrics([empty]) == {
        "groups/trained": 0.0,
        "groups/dropped": 0.0,
        "groups/cancelled": 1.0,
        "rollouts/count": 0.0,
    }


def test_the_table_comes_back_and_can_go_back(tmp_path: Path) -> None:
    table = RollupTable()
    for step in (1, 2, 4):
        table.put(step, {"reward": step / 10, f"only/{step}": 1.0})
    table.save(tmp_path / "rollups.parquet")
    series = RollupTable.load(tmp_path / "rollups.parquet").series()
    assert series["reward"][0].tolist() == [1, 2, 4]
    assert series["reward"][1].tolist() == [0.1, 0.2, 0.4]
    assert series["only/2"][0].tolist() == [2]
    with pytest.raises(ValueError, match="not after"):
        table.put(3, {"reward": 0.0})
    assert table.discard_after(2)
    assert not table.discard_after(2)
    table.put(3, {"reward": 0.3})
    assert table.steps() == [1, 2, 3]
