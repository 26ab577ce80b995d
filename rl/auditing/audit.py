"""All signs over one run, as a report.

Invariant: a run that is too short to judge says so; it never counts as clean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from rl.auditing.action_signs import action_collapse
from rl.auditing.columns import AuditColumns
from rl.auditing.finding import Finding
from rl.auditing.reward_signs import JUDGE, RULES, diverging_rewards, judge_against_rules, saturating_scores
from rl.auditing.text_signs import duplicate_texts, length_drift
from rl.auditing.trend import FEWEST

Sign = Callable[[AuditColumns], list[Finding]]


def signs(judge: str = JUDGE, rules: Sequence[str] = RULES) -> dict[str, Sign]:
    """Every sign by name."""
    return {
        "diverging rewards": diverging_rewards,
        "judge against rule": partial(judge_against_rules, judge=judge, rules=rules),
        "saturating scores": saturating_scores,
        "length drift": length_drift,
        "duplicate texts": duplicate_texts,
        "action collapse": action_collapse,
    }


def audit(columns: AuditColumns, judge: str = JUDGE, rules: Sequence[str] = RULES) -> list[Finding]:
    """Findings of every sign, the most severe first."""
    found = [finding for sign in signs(judge, rules).values() for finding in sign(columns)]
    return sorted(found, key=lambda finding: -finding.severity.rank)


def audit_report(
    run: str, columns: AuditColumns, judge: str = JUDGE, rules: Sequence[str] = RULES
) -> dict[str, Any]:
    """As JSON: judged is null when the run can be judged, else why not; curves: what the signs look at, by step."""
    steps = np.unique(columns.step)
    short = f"{len(steps)} steps; a trend needs {FEWEST}" if len(steps) < FEWEST else None
    findings = [] if short else audit(columns, judge, rules)
    absent = [name for name in (judge, *rules) if name not in columns.values]
    skipped = {}
    if judge in absent or not set(rules) - set(absent):
        skipped["judge against rule"] = f"the run has no {' and no '.join(absent)}"
    return {
        "run": run,
        "steps": [int(steps[0]), int(steps[-1])],
        "rollouts": len(columns),
        "not_judged": short,
        "signs": list(signs(judge, rules)),
        "skipped": skipped,
        "findings": [finding.row() for finding in findings],
        "curves": {
            **{name: _curve(columns.step, values) for name, values in columns.values.items()},
            "words": _curve(columns.step, columns.words.astype(float)),
            "acceleration": _curve(columns.step, columns.acceleration),
        },
    }


def _curve(step: np.ndarray, values: np.ndarray) -> list[tuple[int, float]]:
    """(step, mean) of the steps that have a value."""
    known = np.isfinite(values)
    steps, owner, counts = np.unique(step[known], return_inverse=True, return_counts=True)
    means = np.bincount(owner, weights=values[known], minlength=len(steps)) / counts
    return [(int(at), float(mean)) for at, mean in zip(steps, means, strict=True)]
