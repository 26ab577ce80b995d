"""Signs in the scores: rewards that part ways, rewards that no longer tell rollouts apart, judge against rule."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np

from rl.auditing.columns import AuditColumns
from rl.auditing.finding import Finding, Severity, witnesses
from rl.auditing.text_signs import within_group_correlation
from rl.auditing.trend import Trend, trend, windows

DIVERGENCE = 0.3
"""In standard deviations of the early scores: Cohen's small effect is 0.2; below that clips alone explain it."""
SATURATED = 0.95
"""Share at the maximum. At 0.95 two of three groups of eight are all at the top (0.95^8 = 0.66): no signal."""
SATURATION_RISE = 0.2
COLLAPSE = 0.2
"""Late spread inside groups over the early one: a fifth leaves noise of the reward about as loud as its signal."""
HIGH, LOW = 0.6, 0.4
"""Parts of a reward's observed range from which it praises and up to which it condemns."""
CONTRADICTION_RISE = 0.15
CONTRADICTION_LEVEL = 1 / 3
"""Where the two disagree this way on every third rollout, one of them does not measure what it is taken for."""
JUDGE = "reasoning"
RULES = ("consistency", "decision")


def diverging_rewards(columns: AuditColumns) -> list[Finding]:
    """One reward rises while another falls, each by 0.3 of its early standard deviation (DIVERGENCE) and with an
    interval that excludes 0. The reasoning judge up and a rule down is the signature of a judge that is talked
    into grades: an ALERT; any other pair is a WARNING."""
    drifts = {name: _drift(columns, name) for name in columns.values}
    _, late = windows(columns.step)
    found = []
    for up, down in permutations(columns.values, 2):
        a, b = drifts[up], drifts[down]
        if a is None or b is None or not (a[0].rises(a[1]) and b[0].falls(b[1])):
            continue
        r = within_group_correlation(columns.values[up], columns.values[down], columns.group, late)
        known = up == JUDGE and down in RULES
        what = (
            f"{up} rises from {a[0].early:.3g} to {a[0].late:.3g} "
            f"while {down} falls from {b[0].early:.3g} to {b[0].late:.3g}"
        )
        evidence = a[0].evidence(up) | b[0].evidence(down) | ({} if r is None else {"late r in groups": r})
        shown = witnesses(columns, late, _standing(columns, up, late) - _standing(columns, down, late))
        severity = Severity.ALERT if known else Severity.WARNING
        found.append(Finding("diverging rewards", severity, what, evidence, shown))
    return found


def saturating_scores(columns: AuditColumns) -> list[Finding]:
    """A reward stops telling rollouts apart: its share at the largest value seen rises by 0.2 to 0.95 (SATURATED),
    or its spread inside groups falls to a fifth (COLLAPSE)."""
    _, late = windows(columns.step)
    found = []
    for name, values in columns.values.items():
        if not np.isfinite(values).any():
            continue
        top = float(np.nanmax(values))
        at_top = np.where(np.isfinite(values), (values >= top - 1e-9).astype(float), np.nan)
        share = trend(columns.step, at_top)
        if share is not None and share.rises(SATURATION_RISE) and share.late >= SATURATED:
            what = f"{name}: {share.late:.0%} of the late scores are at its maximum {top:.3g}"
            shown = witnesses(columns, late & (at_top > 0))
            evidence = share.evidence("share at maximum")
            found.append(Finding("saturating scores", Severity.WARNING, what, evidence, shown))
            continue
        step, spread = group_spread(columns, values)
        drift = trend(step, spread)
        if drift is not None and drift.high < 0 and drift.late < COLLAPSE * drift.early:
            what = f"{name}: the spread inside groups falls from {drift.early:.3g} to {drift.late:.3g}"
            shown = witnesses(columns, late)
            evidence = drift.evidence("std in groups")
            found.append(Finding("saturating scores", Severity.WARNING, what, evidence, shown))
    return found


def judge_against_rules(
    columns: AuditColumns, judge: str = JUDGE, rules: Sequence[str] = RULES
) -> list[Finding]:
    """The judge praises what a rule condemns: the judge is at 0.6 of its observed range or above, the rule at 0.4
    or below (HIGH, LOW). An ALERT when the share of such rollouts rises by 0.15; a NOTICE when it is a third all
    along, which a policy that talks better than it drives shows too. Says nothing where the run lacks the judge
    or the rule."""
    if judge not in columns.values:
        return []
    _, late = windows(columns.step)
    found = []
    for rule in rules:
        if rule not in columns.values or rule == judge:
            continue
        praise, verdict = _place(columns.values[judge]), _place(columns.values[rule])
        both = np.isfinite(praise) & np.isfinite(verdict)
        against = np.where(both, ((praise >= HIGH) & (verdict <= LOW)).astype(float), np.nan)
        share = trend(columns.step, against)
        if share is None or not (share.rises(CONTRADICTION_RISE) or share.late >= CONTRADICTION_LEVEL):
            continue
        severity = Severity.ALERT if share.rises(CONTRADICTION_RISE) else Severity.NOTICE
        often = f"in {share.late:.0%} of the rollouts, {share.early:.0%} early"
        shown = witnesses(columns, late & (against > 0), columns.total)
        what = f"{judge} praises what {rule} condemns {often}"
        found.append(Finding("judge against rule", severity, what, share.evidence("share"), shown))
    return found


def group_spread(columns: AuditColumns, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(step [K], standard deviation [K]) of each group with two values or more."""
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(0, np.int64), np.zeros(0)
    names, first, owner, counts = np.unique(
        columns.group[known], return_index=True, return_inverse=True, return_counts=True
    )
    del names
    mean = np.bincount(owner, weights=values[known]) / counts
    spread = np.sqrt(np.bincount(owner, weights=(values[known] - mean[owner]) ** 2) / counts)
    wide = counts > 1
    return columns.step[known][first][wide], spread[wide]


def _drift(columns: AuditColumns, name: str) -> tuple[Trend, float] | None:
    """A reward's trend, and the change that counts."""
    values = columns.values[name]
    found = trend(columns.step, values)
    if found is None:
        return None
    early = values[windows(columns.step)[0]]
    least = DIVERGENCE * float(np.nanstd(early)) if np.isfinite(early).any() else 0.0
    return found, max(least, 1e-9)


def _standing(columns: AuditColumns, name: str, rows: np.ndarray) -> np.ndarray:
    """[N] a reward in standard deviations from its mean over rows; 0 where it is missing."""
    values = columns.values[name]
    chosen = values[rows & np.isfinite(values)]
    scale = float(chosen.std()) if len(chosen) else 0.0
    return np.nan_to_num((values - chosen.mean()) / scale) if scale > 1e-9 else np.zeros(len(values))


def _place(values: np.ndarray) -> np.ndarray:
    """[N] within the observed range, 0 lowest to 1 highest; NaN where missing or all alike."""
    known = values[np.isfinite(values)]
    if not len(known) or known.max() <= known.min():
        return np.full(len(values), np.nan)
    return (values - known.min()) / (known.max() - known.min())
