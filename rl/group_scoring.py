"""From completions and scores to a group with advantages and a fate: pure bookkeeping of one group.

Invariants: a missing score is never a number; what it does to its rollout or group is the configured policy; a
group ends exactly once, with a reason when it is not trained.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from policy.completion import Completion
from rewards.score import RolloutView, Score
from rl.advantages import combine_group
from rl.config import AdvantageConfig
from rl.reward_config import RewardConfig
from rl.rollout import Fate, Group, Rollout
from scenes.trajectory import Trajectory


class RewardFailedError(RuntimeError):
    """A reward whose policy is fail_job did not score a rollout."""


def view(rollout: Rollout) -> RolloutView:
    """What a reward sees of a rollout."""
    completion, trajectory = rollout.completion, rollout.trajectory
    return RolloutView(
        rollout_id=rollout.rollout_id,
        group_id=rollout.group_id,
        clip_id=rollout.clip_id,
        text=completion.text,
        valid=completion.valid,
        reason=completion.reason,
        actions=None if trajectory is None else trajectory.actions,
        states=None if trajectory is None else trajectory.states,
        tokens=len(completion.token_ids),
        version=int(completion.versions[0]) if len(completion.versions) else 0,
    )


def make_rollouts(
    group_id: str,
    clip_id: str,
    seed: int,
    completions: Sequence[Completion],
    trajectories: Sequence[Trajectory | None],
) -> tuple[Rollout, ...]:
    """Unscored rollouts of one group."""
    return tuple(
        Rollout(f"{group_id}/{index}", group_id, index, clip_id, seed + index, completion, trajectory)
        for index, (completion, trajectory) in enumerate(zip(completions, trajectories, strict=True))
    )


def unscored(rollouts: Sequence[Rollout]) -> tuple[Rollout, ...]:
    """The rollouts as they were before they were scored, to score them again."""
    return tuple(
        replace(r, scores=(), total=None, advantage=None, shares={}, fate=Fate.TRAINED, fate_reason=None)
        for r in rollouts
    )


def score_values(
    scores: Mapping[str, Sequence[Score]], rewards: Sequence[RewardConfig]
) -> dict[str, np.ndarray]:
    """reward → [G] values as they are combined, NaN where missing; a "neutral" reward's gaps become its scored
    siblings' mean, a gated reward counts as its gate's `otherwise` where the gate does not pass."""
    values = {}
    for reward in rewards:
        column = np.array([np.nan if s.value is None else s.value for s in scores[reward.name]], float)
        if reward.on_failure == "neutral" and np.isnan(column).any():
            scored = column[~np.isnan(column)]
            column = np.where(np.isnan(column), scored.mean() if scored.size else 0.0, column)
        values[reward.name] = column
    return _gated(values, rewards)


def _gated(values: dict[str, np.ndarray], rewards: Sequence[RewardConfig]) -> dict[str, np.ndarray]:
    result = dict(values)
    for reward in rewards:
        if reward.gate is not None:
            judge = values[reward.gate.reward]
            passed = np.where(judge >= reward.gate.at_least, values[reward.name], reward.gate.otherwise)
            lost = np.isnan(judge) | np.isnan(values[reward.name])
            result[reward.name] = np.where(lost, np.nan, passed)
    return result


def finish_group(
    step: int,
    version: int,
    rollouts: Sequence[Rollout],
    scores: Mapping[str, Sequence[Score]],
    rewards: Sequence[RewardConfig],
    config: AdvantageConfig,
) -> Group:
    """Attach scores, totals, advantages and fates. Raises RewardFailedError for a fail_job reward's gap."""
    values = score_values(scores, rewards)
    _refuse_failures(scores, rewards)
    weights = {reward.name: reward.weight for reward in rewards}
    result = combine_group(values, weights, config.combine, config.scale_by_std)
    kept = np.isfinite(result.advantages)
    gates = {reward.gate.reward for reward in rewards if reward.gate is not None and reward.weight}
    needed = gates | {name for name, weight in weights.items() if weight}
    reason = _drop_reason(kept, scores, rewards, config.quorum)
    done = []
    for index, rollout in enumerate(rollouts):
        of_rollout = tuple(scores[reward.name][index] for reward in rewards)
        rollout = replace(rollout, scores=of_rollout)
        if not kept[index]:
            missing = [score.reward for score in of_rollout if score.value is None and score.reward in needed]
            why = f"missing score: {', '.join(missing)}"
            rollout = replace(rollout, fate=Fate.DROPPED, fate_reason=why)
        else:
            shares = {name: float(share[index]) for name, share in result.shares.items()}
            rollout = replace(
                rollout,
                total=float(result.totals[index]),
                advantage=float(result.advantages[index]),
                shares=shares,
            )
        if reason is not None:
            rollout = replace(rollout, fate=Fate.DROPPED, fate_reason=reason)
        done.append(rollout)
    first = rollouts[0]
    fate = Fate.TRAINED if reason is None else Fate.DROPPED
    return Group(first.group_id, step, first.clip_id, version, tuple(done), fate, reason, weights=weights)


def _refuse_failures(scores: Mapping[str, Sequence[Score]], rewards: Sequence[RewardConfig]) -> None:
    for reward in rewards:
        failed = [score for score in scores[reward.name] if score.value is None]
        if reward.on_failure == "fail_job" and failed:
            raise RewardFailedError(
                f"reward {reward.name}, whose policy is fail_job, failed {len(failed)} rollouts "
                f"({failed[0].status}: {failed[0].explanation})"
            )


def _drop_reason(
    kept: np.ndarray, scores: Mapping[str, Sequence[Score]], rewards: Sequence[RewardConfig], quorum: float
) -> str | None:
    for reward in rewards:
        if reward.on_failure == "drop_group" and any(score.value is None for score in scores[reward.name]):
            return f"reward {reward.name} missed a rollout and its policy is drop_group"
    needed = max(2, math.ceil(quorum * len(kept)))
    if kept.sum() < needed:
        return f"{int(kept.sum())} of {len(kept)} rollouts scored, quorum is {needed}"
    return None
