"""Rollups: what a step's rollouts say in numbers, small enough to chart a whole run.

Role: pure functions from groups to named scalars: TRL's names, and per-reward ones beside them.
Invariant: derived from the ledger alone, so it can be rebuilt from it. A missing score is left out of every
statistic (it lowers `coverage`); a statistic of nothing is absent, never 0 or NaN.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from rewards.score import Score
from rl.rollout import Fate, Group, Rollout

ZERO_STD = 1e-6
"""A group whose values spread less gives no learning signal (rounding of float32 sums is about 1e-7)."""

CANCELLED_FRACTION = 0.25
"""A group's rewards cancel when the std of its advantages is below this fraction of the summed stds of its
per-reward shares. Two equal rewards reach it at a correlation of -0.875; unrelated rewards stay at 1/√n, above it
up to fifteen of them. Sum-then-normalise then blows up what is left, noise included, to a full advantage."""


def step_metrics(groups: Sequence[Group]) -> dict[str, float]:
    """Scalars of one step by name.

    Statistics of behaviour (`reward`, `rewards/*`, `completions/*`) are over every rollout of the groups that
    were trained or dropped: a filter must not flatter the curve. `reward_trained` and `adv_share` are over
    the rollouts that the learner was given. Cancelled groups only count in `groups/cancelled`.
    """
    ended = [group for group in groups if group.fate is not Fate.CANCELLED]
    rollouts = [rollout for group in ended for rollout in group.rollouts]
    metrics = {f"groups/{fate.value}": float(sum(g.fate is fate for g in groups)) for fate in Fate}
    metrics["rollouts/count"] = float(len(rollouts))
    metrics |= _total_metrics(ended) | _completion_metrics(rollouts)
    names = sorted({score.reward for rollout in rollouts for score in rollout.scores})
    for name in names:
        metrics |= {f"rewards/{name}/{key}": value for key, value in reward_metrics(ended, name).items()}
    metrics |= {f"rewards/{k}/adv_share": v for k, v in advantage_shares(trained_rollouts(groups)).items()}
    metrics |= _correlations(rollouts, names)
    if (cancelled := cancelled_signal(groups)) is not None:
        metrics["groups/cancelled_signal"] = cancelled
    known = [group.disagreement for group in ended if group.disagreement is not None]
    return metrics | ({"groups/disagreement": float(np.mean(known))} if known else {})


def trained_rollouts(groups: Iterable[Group]) -> list[Rollout]:
    """The rollouts that the learner was given."""
    return [
        rollout
        for group in groups
        if group.fate is Fate.TRAINED
        for rollout in group.rollouts
        if rollout.fate is Fate.TRAINED and rollout.advantage is not None
    ]


def distribution(values: Sequence[float]) -> dict[str, float]:
    """mean, std (population) and the 10th, 50th and 90th percentile; empty for no values."""
    if not len(values):
        return {}
    array = np.asarray(values, np.float64)
    p10, p50, p90 = map(float, np.percentile(array, (10, 50, 90)))
    return {"mean": float(array.mean()), "std": float(array.std()), "p10": p10, "p50": p50, "p90": p90}


def zero_variance_share(values_by_group: Iterable[Sequence[float]]) -> float | None:
    """Share of the groups with two values or more whose values are all alike; None without such groups."""
    flat = [float(np.std(values)) < ZERO_STD for values in values_by_group if len(values) > 1]
    return float(np.mean(flat)) if flat else None


def reward_metrics(groups: Sequence[Group], reward: str) -> dict[str, float]:
    """Statistics of one reward: distribution, coverage (share scored), fail_rate (share that failed of those
    asked), zero_var_frac, latency_s (mean of those not cached), cache_hit."""
    by_group = [[score for r in group.rollouts if (score := score_of(r, reward))] for group in groups]
    asked = [score for scores in by_group for score in scores]
    rollouts = sum(len(group.rollouts) for group in groups)
    values = [score.value for score in asked if score.value is not None]
    metrics = distribution(values)
    if rollouts:
        metrics["coverage"] = len(values) / rollouts
    if asked:
        metrics["fail_rate"] = 1.0 - len(values) / len(asked)
        metrics["cache_hit"] = float(np.mean([score.cached for score in asked]))
    if fresh := [score.latency_s for score in asked if not score.cached]:
        metrics["latency_s"] = float(np.mean(fresh))
    flat = zero_variance_share([[s.value for s in scores if s.value is not None] for scores in by_group])
    return metrics | ({} if flat is None else {"zero_var_frac": flat})


def advantage_shares(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """Which reward steers: mean absolute advantage share of each reward, divided by the sum over rewards.
    Empty when every share is 0 or none was recorded."""
    sizes: dict[str, float] = {}
    for rollout in rollouts:
        for name, share in rollout.shares.items():
            sizes[name] = sizes.get(name, 0.0) + abs(share)
    whole = sum(sizes.values())
    return {name: size / whole for name, size in sorted(sizes.items())} if whole > 0 else {}


def cancelled_signal(groups: Iterable[Group]) -> float | None:
    """Share of the trained groups whose rewards cancel; see CANCELLED_FRACTION.

    Shares and advantage have one scale in a group, so that their ratio is that of the weighted rewards and their
    total. Groups whose rewards are all flat have nothing to cancel and do not count; None without others."""
    found = []
    for group in groups:
        rollouts = trained_rollouts([group])
        names = {name for rollout in rollouts for name in rollout.shares}
        parts = sum(float(np.std([r.shares.get(name, 0.0) for r in rollouts])) for name in names)
        if parts > ZERO_STD:
            left = float(np.std([r.advantage for r in rollouts if r.advantage is not None]))
            found.append(left < CANCELLED_FRACTION * parts)
    return float(np.mean(found)) if found else None


def score_of(rollout: Rollout, reward: str) -> Score | None:
    """The score of one reward, None when the reward was not asked."""
    return next((score for score in rollout.scores if score.reward == reward), None)


def _total_metrics(groups: Sequence[Group]) -> dict[str, float]:
    totals = [[r.total for r in group.rollouts if r.total is not None] for group in groups]
    spread = distribution([value for values in totals for value in values])
    metrics = {"reward" if key == "mean" else f"reward/{key}": value for key, value in spread.items()}
    metrics.pop("reward/std", None)
    # TRL's reward_std is the mean spread inside a group, the signal GRPO lives on.
    if within := [float(np.std(values)) for values in totals if len(values) > 1]:
        metrics["reward_std"] = float(np.mean(within))
    if (flat := zero_variance_share(totals)) is not None:
        metrics["frac_reward_zero_std"] = flat
    trained = [r.total for r in trained_rollouts(groups) if r.total is not None]
    if trained:
        metrics["reward_trained"] = float(np.mean(trained))
    return metrics


def _completion_metrics(rollouts: Sequence[Rollout]) -> dict[str, float]:
    if not rollouts:
        return {}
    clipped = [rollout.completion.finish_reason == "length" for rollout in rollouts]
    lengths = [len(rollout.completion.token_ids) for rollout in rollouts]
    free = [r.completion.logprobs[~np.asarray(r.completion.forced, bool)] for r in rollouts]
    sampled = np.concatenate(free)
    metrics = {
        "completions/mean_length": float(np.mean(lengths)),
        "completions/p10_length": float(np.percentile(lengths, 10)),
        "completions/p90_length": float(np.percentile(lengths, 90)),
        "completions/clipped_ratio": float(np.mean(clipped)),
        "completions/validity": float(np.mean([r.completion.valid for r in rollouts])),
    }
    if sampled.size:
        metrics["sampling/mean_logprob"] = float(sampled.astype(np.float64).mean())
    return metrics


def _correlations(rollouts: Sequence[Rollout], names: Sequence[str]) -> dict[str, float]:
    """Pearson's r of each pair of rewards, and of each with completion length, over rollouts with both."""
    columns: dict[str, np.ndarray] = {}
    for name in names:
        scores = [score_of(rollout, name) for rollout in rollouts]
        columns[name] = np.array([np.nan if s is None or s.value is None else s.value for s in scores])
    columns["length"] = np.array([float(len(r.completion.token_ids)) for r in rollouts])
    metrics: dict[str, float] = {}
    for a, b in combinations(columns, 2):
        both = np.isfinite(columns[a]) & np.isfinite(columns[b])
        x, y = columns[a][both], columns[b][both]
        if len(x) > 2 and x.std() > ZERO_STD and y.std() > ZERO_STD:
            metrics[f"rewards/corr/{a}__{b}"] = float(np.corrcoef(x, y)[0, 1])
    return metrics
