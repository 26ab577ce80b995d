"""One process of a rescoring: ledger parts in, a tally out.

Invariant: advantages come from `rl.group_scoring.finish_group`, the function that the job optimised with; there
is no second implementation of them here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rewards.score import Score, Status
from rl.group_scoring import finish_group, view
from rl.ledger import rewards_of
from rl.rescoring.columns import read_groups, read_weights
from rl.rescoring.plan import RescorePlan
from rl.rescoring.scorer import Scorer
from rl.rescoring.tally import Tally
from rl.reward_config import RewardConfig
from rl.reward_plan import RewardPlan
from rl.rollout import Fate, Group


class PartRescorer:
    """Rescores parts of one run; keeps its rewards between calls."""

    def __init__(self, plan: RescorePlan) -> None:
        self._plan = plan
        self._scorer = Scorer(plan)

    def __call__(self, paths: Sequence[Path]) -> Tally:
        """The tally of some parts. Cancelled groups are left out: they were never combined."""
        groups, recorded = [], {}
        for path in paths:
            told = rewards_of(path)
            for group in read_groups(path):
                if group.fate is not Fate.CANCELLED and group.rollouts:
                    groups.append(group)
                    recorded[group.group_id] = RewardPlan.from_state_dict(told).at(group.step) if told else ()
        columns = self._scorer.score([view(rollout) for group in groups for rollout in group.rollouts])
        tally = Tally(self._plan.asked, self._plan.top)
        tally.versions = self._scorer.versions
        weights = {name: w for path in paths for name, w in read_weights(path).items()}
        pairs = []
        first = 0
        for group in groups:
            last = first + len(group.rollouts)
            new = {name: scores[first:last] for name, scores in columns.items()}
            order = [score.reward for score in group.rollouts[0].scores]
            logged = weights.get(group.group_id, {})
            rewards = self._plan.in_force(order, logged, recorded[group.group_id])
            tally.note_weights(rewards)
            pairs.append((group, self.recombine(group, new, rewards)))
            first = last
        tally.add(pairs)
        return tally

    def recombine(
        self, group: Group, new: Mapping[str, list[Score]], rewards: Sequence[RewardConfig] | None = None
    ) -> Group:
        """The group as the job would have finished it. new: scores of the rewards scored anew; rewards: those in
        force (default: the plan's)."""
        rewards = self._plan.rewards if rewards is None else rewards
        scores = {
            reward.name: new[reward.name] if reward.name in new else _logged(group, reward.name)
            for reward in rewards
        }
        blank = [
            replace(r, total=None, advantage=None, shares={}, fate=Fate.TRAINED, fate_reason=None)
            for r in group.rollouts
        ]
        return finish_group(group.step, group.version, blank, scores, rewards, self._plan.advantage)


def _logged(group: Group, reward: str) -> list[Score]:
    """The ledger's scores of a reward; one that was not asked then is missing."""
    found = []
    for rollout in group.rollouts:
        score = next((score for score in rollout.scores if score.reward == reward), None)
        why = f"the ledger has no score of {reward!r} at this step; score it anew with --reward"
        found.append(score or Score(reward, None, Status.DATA, explanation=why))
    return found
