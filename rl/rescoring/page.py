"""The report of a rescoring as one HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rl.plain_page import Raw, bars, grid, lines, page, table, tiles
from rl.rescoring.report import told_weight

WORST_COLUMNS = {
    "rollout_id": "rollout",
    "clip_id": "clip",
    "step": "step",
    "text": "text",
    "old": "old",
    "new": "new",
    "old_advantage": "old advantage",
    "new_advantage": "new advantage",
    "old_explanation": "then",
    "new_explanation": "now",
}


def rescore_page(report: Mapping[str, Any], checks: Sequence[Mapping[str, Any]]) -> str:
    """The whole document."""
    advantages, ranks = report["advantages"], report["ranks"]
    figures = {
        "rollouts": report["rollouts"],
        "advantages identical to the bit": f"{advantages['identical']} of {advantages['compared']}",
        "signs flipped": percent(advantages["sign_flip_share"]),
        "Kendall tau-b in a group, mean": ranks["kendall_mean"],
        "Spearman, mean": ranks["spearman_mean"],
        "groups reordered": percent(ranks["reordered_share"]),
        "advantages lost / gained": f"{advantages['lost']} / {advantages['gained']}",
        "groups newly below quorum": advantages["groups_dropped_anew"],
    }
    steps = report["steps"] or ["–", "–"]
    weights = ", ".join(f"{name} {told_weight(weight)}" for name, weight in report["weights"].items())
    subtitle = f"steps {steps[0]} to {steps[1]} · {report['combine']} · weights: {weights}"
    sections = [("", tiles(figures))]
    if checks:
        sections.append(("Limits", _checks(checks)))
    sections += [("Rewards", _rewards(report)), ("Which reward steers", _steering(report))]
    sections.append(("Over the run", _curves(report)))
    for name, rows in report["worst"].items():
        sections.append((f"Worst disagreements: {name}", table(rows, WORST_COLUMNS)))
    return page(f"Rescored: {report['run']}", subtitle, sections)


def percent(share: float | None) -> str:
    """ "1.25 %", a dash for nothing."""
    return "–" if share is None else f"{100 * share:.2f} %"


def _checks(checks: Sequence[Mapping[str, Any]]) -> Raw:
    rows = [
        {
            "limit": f"{check['name']} {'≥' if check['at_least'] else '≤'} {check['limit']:g}",
            "value": check["value"],
            "result": Raw('<b class="good">kept</b>' if check["ok"] else '<b class="bad">BROKEN</b>'),
        }
        for check in checks
    ]
    return table(rows)


def _rewards(report: Mapping[str, Any]) -> Raw:
    rows = []
    for name, reward in report["rewards"].items():
        scored = report["scored"][name]
        rows.append(
            {
                "reward": name,
                "source": scored["source"],
                "version": scored["version"],
                "old mean": reward.get("old_mean"),
                "new mean": reward.get("new_mean"),
                "correlation": reward.get("correlation"),
                "changed": percent(reward["changed_share"]),
                "missing then": reward["missing_before"],
                "missing now": reward["missing"],
                "why missing": "; ".join(
                    f"{status} {found['count']}: {found['example']}"
                    for status, found in reward["failures"].items()
                ),
            }
        )
    return table(rows) if rows else Raw('<div class="card muted">only recombined: the ledger\'s scores</div>')


def _steering(report: Mapping[str, Any]) -> Raw:
    rows = [
        {"reward": name, "then": percent(side["old"]), "now": percent(side["new"])}
        for name, side in report["steering"].items()
    ]
    return table(rows)


def _curves(report: Mapping[str, Any]) -> Raw:
    rows = report["by_step"]

    def points(key: str) -> list[tuple[float, float]]:
        return [(row["step"], row[key]) for row in rows if row[key] is not None]

    totals = {"then": points("old_total"), "now": points("new_total")}
    moved = {"share of flipped signs": points("sign_flip_share"), "mean |change|": points("mean_abs_change")}
    note = "tau-b of old and new advantages, groups by value"
    ranks = bars("Kendall's tau-b", report["ranks"]["kendall_histogram"], -1, 1, note)
    return grid([lines("Mean total", totals), lines("Advantages", moved), ranks])
