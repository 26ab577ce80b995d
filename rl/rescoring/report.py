"""The report of a rescoring, as plain JSON, and the limits that make it a test.

Role: figures for people and for CI. Invariant: a figure that nothing was counted for is null, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rl.rescoring.plan import RescorePlan
from rl.rescoring.tally import StepTally, Tally


@dataclass(frozen=True)
class Limits:
    """What a reward release may change, None for no limit. sign_flips: share of compared advantages; changed:
    share of scores of any reward scored anew; missing: share of its scores that are missing; kendall: the
    lowest mean tau-b of old and new ranks in a group; mean_shift: largest |new mean - old mean| of a reward."""

    sign_flips: float | None = None
    changed: float | None = None
    missing: float | None = None
    kendall: float | None = None
    mean_shift: float | None = None


def report_of(run: str, plan: RescorePlan, tally: Tally, seconds: float) -> dict[str, Any]:
    """Everything that a rescoring found, as JSON."""
    steps = sorted(tally.steps)
    return {
        "run": run,
        "steps": [steps[0], steps[-1]] if steps else None,
        "groups": tally.counts["groups"],
        "rollouts": tally.counts["rollouts"],
        "seconds": round(seconds, 3),
        "combine": str(plan.advantage.combine),
        "weights": {name: low if low == high else [low, high] for name, (low, high) in tally.weights.items()},
        "scored": {
            reward.name: {
                "source": reward.source,
                "options": reward.args,
                "version": tally.versions.get(reward.name),
            }
            for reward in plan.rewards
            if reward.name in plan.asked
        },
        "advantages": _advantages(tally),
        "ranks": _ranks(tally),
        "rewards": {name: _reward(tally, name) for name in tally.rewards},
        "steering": steering(tally.shares),
        "by_step": [_step(step, tally.steps[step]) for step in steps],
        "worst": {name: [d.row() for d in worst.kept] for name, worst in tally.worst.items()},
    }


def told_weight(weight: float | list[float]) -> str:
    """ "0.5", or "0 to 1" of a weight that changed while the run lived."""
    return f"{weight[0]:g} to {weight[1]:g}" if isinstance(weight, list) else f"{weight:g}"


def steering(shares: Mapping[str, list[float]]) -> dict[str, dict[str, float | None]]:
    """Each reward's part of the sum of |advantage share|, before and after."""
    old, new = (sum(pair[side] for pair in shares.values()) for side in (0, 1))
    return {
        name: {"old": pair[0] / old if old else None, "new": pair[1] / new if new else None}
        for name, pair in sorted(shares.items())
    }


def checks(report: Mapping[str, Any], limits: Limits) -> list[dict[str, Any]]:
    """One entry a limit and reward: name, value, limit, ok. A value that is null breaches its limit: nothing
    was compared, so nothing is known to be unchanged."""
    found = []
    advantages, ranks = report["advantages"], report["ranks"]
    if limits.sign_flips is not None:
        found.append(_check("sign flips", advantages["sign_flip_share"], limits.sign_flips))
    if limits.kendall is not None:
        found.append(_check("kendall", ranks["kendall_mean"], limits.kendall, at_least=True))
    for name, reward in report["rewards"].items():
        for what, limit in (
            ("changed_share", limits.changed),
            ("missing_share", limits.missing),
            ("mean_shift", limits.mean_shift),
        ):
            if limit is not None:
                found.append(_check(f"{name} {what.replace('_', ' ')}", reward[what], limit))
    return found


def _check(name: str, value: float | None, limit: float, at_least: bool = False) -> dict[str, Any]:
    ok = value is not None and (value >= limit if at_least else value <= limit)
    return {"name": name, "value": value, "limit": limit, "at_least": at_least, "ok": ok}


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _advantages(tally: Tally) -> dict[str, Any]:
    counts = tally.counts
    return {
        "compared": counts["compared"],
        "identical": counts["identical"],
        "sign_flips": counts["sign_flips"],
        "sign_flip_share": _share(counts["sign_flips"], counts["compared"]),
        "lost": counts["advantage_lost"],
        "gained": counts["advantage_gained"],
        "groups_dropped_anew": counts["groups_dropped_anew"],
        **tally.advantages.row(),
    }


def _ranks(tally: Tally) -> dict[str, Any]:
    groups = tally.counts["ranked_groups"]
    return {
        "groups": groups,
        "reordered_share": _share(tally.counts["reordered_groups"], groups),
        "reversed_share": _share(tally.counts["reversed_groups"], groups),
        "kendall_mean": _share(tally.sums["tau"], groups),
        "spearman_mean": _share(tally.sums["rho"], groups),
        "kendall_histogram": tally.tau_histogram.tolist(),
    }


def _reward(tally: Tally, name: str) -> dict[str, Any]:
    reward = tally.rewards[name]
    row = reward.moments.row()
    old, new = row.get("old_mean"), row.get("new_mean")
    missing = sum(reward.failures.values())
    return {
        **row,
        "changed": reward.changed,
        "changed_share": _share(reward.changed, reward.moments.count),
        "mean_shift": None if old is None or new is None else abs(new - old),
        "missing_before": reward.missing_before,
        "missing": missing,
        "missing_share": _share(missing, reward.rollouts),
        "failures": {
            status: {"count": count, "example": reward.causes.get(status, "")}
            for status, count in sorted(reward.failures.items())
        },
    }


def _step(step: int, at: StepTally) -> dict[str, Any]:
    known = at.totals.count > 0
    return {
        "step": step,
        "compared": at.compared,
        "sign_flip_share": _share(at.flips, at.compared),
        "mean_abs_change": _share(at.moved, at.compared),
        "old_total": at.totals.old_mean if known else None,
        "new_total": at.totals.new_mean if known else None,
    }
