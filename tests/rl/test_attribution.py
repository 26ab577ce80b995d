"""What is logged is what was optimised, to the last bit; and where rewards cancel, the rollups say so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from example_run import make_clip
from scored_run import REWARDS, scored_groups

from rl.advantages import Combine, combine_group
from rl.config import AdvantageConfig
from rl.group_scoring import score_values
from rl.ledger import LedgerReader, LedgerWriter
from rl.rollout import Fate, Group
from rl.rollups import advantage_shares, cancelled_signal, step_metrics, trained_rollouts
from rl.training_batch import make_batch

CLIPS = [make_clip(number) for number in range(9)]
WEIGHTS = {reward.name: reward.weight for reward in REWARDS}


@pytest.mark.parametrize("combine", list(Combine))
@pytest.mark.parametrize("scaled", [True, False])
def test_the_ledger_holds_what_the_learner_was_handed_to_the_last_bit(
    tmp_path: Path, combine: Combine, scaled: bool
) -> None:
    groups = scored_groups(1, CLIPS, 12, 8, AdvantageConfig(combine=combine, scale_by_std=scaled))
    handed = make_batch(1, groups)
    LedgerWriter(tmp_path / "run").append(1, groups)
    rollouts = [r for group in LedgerReader(tmp_path / "run").groups(1) for r in group.rollouts]
    assert 0 < handed.trained < len(handed.rows)
    for row, rollout in zip(handed.rows, rollouts, strict=True):
        trained = rollout.fate is Fate.TRAINED
        assert (row.advantage if trained else None) == (rollout.advantage if trained else None)
        assert (row.advantage is None) == (not trained)
        if trained:
            assert sum(rollout.shares.values()) == row.advantage, "the shares explain all of it"
        assert row.token_ids.tobytes() == rollout.completion.token_ids.tobytes()


@pytest.mark.parametrize("combine", list(Combine))
def test_scores_read_back_combine_to_the_logged_total_and_shares_to_the_last_bit(
    tmp_path: Path, combine: Combine
) -> None:
    config = AdvantageConfig(combine=combine)
    LedgerWriter(tmp_path / "run").append(1, scored_groups(1, CLIPS, 12, 8, config))
    dropped = 0
    for group in LedgerReader(tmp_path / "run").groups(1):
        scores = {
            reward.name: [next(s for s in r.scores if s.reward == reward.name) for r in group.rollouts]
            for reward in REWARDS
        }
        again = combine_group(score_values(scores, REWARDS), WEIGHTS, combine)
        for index, rollout in enumerate(group.rollouts):
            if rollout.total is None:
                dropped += 1
                assert np.isnan(again.totals[index])
                continue
            assert again.totals[index] == rollout.total
            assert again.advantages[index] == rollout.advantage
            assert {name: share[index] for name, share in again.shares.items()} == rollout.shares
    assert dropped == 3, "every fourth group lost one"


def test_the_share_of_the_advantage_is_that_of_what_was_handed_over() -> None:
    groups = scored_groups(1, CLIPS, 8, 8, AdvantageConfig())
    metrics = step_metrics(groups)
    sizes = {name: sum(abs(r.shares[name]) for r in trained_rollouts(groups)) for name in WEIGHTS}
    for name, size in sizes.items():
        assert metrics[f"rewards/{name}/adv_share"] == pytest.approx(size / sum(sizes.values()))


def with_shares(group: Group, columns: dict[str, list[float]]) -> Group:
    rollouts = []
    for index, rollout in enumerate(group.rollouts):
        shares = {name: column[index] for name, column in columns.items()}
        rollouts.append(replace(rollout, shares=shares, advantage=sum(shares.values()), fate=Fate.TRAINED))
    return replace(group, rollouts=tuple(rollouts), fate=Fate.TRAINED)


def test_rewards_that_pull_against_each_other_cancel() -> None:
    (group,) = scored_groups(1, CLIPS, 1, 4, AdvantageConfig())
    up = [-1.0, -0.5, 0.5, 1.0]
    against = with_shares(group, {"a": up, "b": [-0.9 * value for value in up]})
    along = with_shares(group, {"a": up, "b": up})
    unrelated = with_shares(group, {"a": [-1.0, -1.0, 1.0, 1.0], "b": [-1.0, 1.0, -1.0, 1.0]})
    flat = with_shares(group, {"a": [0.0] * 4, "b": [0.0] * 4})
    assert cancelled_signal([against]) == 1.0
    assert cancelled_signal([along]) == cancelled_signal([unrelated]) == 0.0
    assert cancelled_signal([against, along, flat]) == 0.5, "a flat group has nothing to cancel"
    assert cancelled_signal([flat]) is None
    assert cancelled_signal([replace(against, fate=Fate.DROPPED)]) is None
    assert step_metrics([against])["groups/cancelled_signal"] == 1.0
    assert advantage_shares(list(against.rollouts))["a"] == pytest.approx(1 / 1.9)
