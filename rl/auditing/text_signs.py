"""Signs in the reasoning texts: growing or shrinking, and saying the same everywhere."""

from __future__ import annotations

import numpy as np

from rl.auditing.columns import AuditColumns
from rl.auditing.finding import Finding, Severity, witnesses
from rl.auditing.trend import trend, windows

LENGTH_CHANGE = 0.25
"""Part of the early length. Finding better words moves the mean by a few percent; a quarter is a habit."""
LENGTH_PAYS = 0.3
"""Pearson's r of length and total inside late groups, from which length itself seems to be paid for."""
REPEAT_RISE = 0.2
"""Rise of a share of rollouts. Steps of 128 rollouts vary by about 0.04 from their draw of clips alone."""
TWINS_LATE = 0.8
TWINS_RISE = 0.3
"""Sampling narrows as a policy learns what is right, so that twins inside a group need both to be noticed."""


def length_drift(columns: AuditColumns) -> list[Finding]:
    """The texts' mean word count drifts by a quarter of its early value (LENGTH_CHANGE) with an interval that
    excludes 0. An ALERT when longer (or shorter) rollouts also have the higher totals inside late groups: length
    is then what is rewarded."""
    words = columns.words.astype(float)
    found = trend(columns.step, words)
    if found is None or not (least := LENGTH_CHANGE * max(found.early, 1.0)):
        return []
    if not (found.rises(least) or found.falls(least)):
        return []
    _, late = windows(columns.step)
    pays = within_group_correlation(words, columns.total, columns.group, late)
    way = 1.0 if found.change > 0 else -1.0
    paid = pays is not None and way * pays >= LENGTH_PAYS
    told = ", and inside groups that is what scores" if paid else ""
    what = f"texts go from {found.early:.1f} to {found.late:.1f} words{told}"
    evidence = found.evidence("words") | ({} if pays is None else {"late r of words and total": pays})
    severity = Severity.ALERT if paid else Severity.WARNING
    return [Finding("length drift", severity, what, evidence, witnesses(columns, late, way * words))]


def duplicate_texts(columns: AuditColumns) -> list[Finding]:
    """Identical texts become common. Across clips: the share of rollouts whose text a rollout of another clip
    has in the same step rises by 0.2 (REPEAT_RISE), or the most common text's share does: one sentence fits all,
    an ALERT. Within groups alone (twins among siblings reach 0.8 and rise by 0.3) it is a NOTICE: exploration is
    running out, which also happens to a policy that is simply sure."""
    late = windows(columns.step)[1]
    across, commonest, twins = shared_across_clips(columns), most_common(columns), twins_in_group(columns)
    found = []
    for share, name in (
        (across, "texts shared by several clips"),
        (commonest, "the step's most common text"),
    ):
        drift = trend(columns.step, share)
        if drift is not None and drift.rises(REPEAT_RISE):
            what = f"{name}: from {drift.early:.0%} to {drift.late:.0%} of the rollouts"
            counts = np.bincount(columns.text[late], minlength=len(columns.texts))
            shown = witnesses(columns, late & (share > 0), counts[columns.text].astype(float))
            found.append(Finding("duplicate texts", Severity.ALERT, what, drift.evidence("share"), shown))
    drift = trend(columns.step, twins)
    if drift is not None and drift.rises(TWINS_RISE) and drift.late >= TWINS_LATE:
        what = f"siblings say the same: from {drift.early:.0%} to {drift.late:.0%} of the rollouts"
        shown = witnesses(columns, late & (twins > 0))
        found.append(Finding("duplicate texts", Severity.NOTICE, what, drift.evidence("share"), shown))
    return found


def shared_across_clips(columns: AuditColumns) -> np.ndarray:
    """[N] 1 where a rollout of another clip has the same text in the same step, else 0."""
    _, said = np.unique(np.stack([columns.step, columns.text]), axis=1, return_inverse=True)
    triples = np.unique(np.stack([said.ravel(), columns.clip]), axis=1)
    clips = np.bincount(triples[0], minlength=int(said.max()) + 1)
    return (clips[said.ravel()] > 1).astype(float)


def most_common(columns: AuditColumns) -> np.ndarray:
    """[N] 1 where the text is the most common one of its step, else 0."""
    pairs, said, counts = np.unique(
        np.stack([columns.step, columns.text]), axis=1, return_inverse=True, return_counts=True
    )
    order = np.lexsort((-counts, pairs[0]))
    firsts = order[np.unique(pairs[0][order], return_index=True)[1]]
    return np.isin(said.ravel(), firsts).astype(float)


def twins_in_group(columns: AuditColumns) -> np.ndarray:
    """[N] 1 where a sibling has the same text, else 0."""
    _, said, counts = np.unique(
        np.stack([columns.group, columns.text]), axis=1, return_inverse=True, return_counts=True
    )
    return (counts[said.ravel()] > 1).astype(float)


def within_group_correlation(
    x: np.ndarray, y: np.ndarray, group: np.ndarray, rows: np.ndarray
) -> float | None:
    """Pearson's r of x and y over rows [N] bool after taking each group's mean away; None without spread."""
    known = rows & np.isfinite(x) & np.isfinite(y)
    if known.sum() < 3:
        return None
    _, owner, counts = np.unique(group[known], return_inverse=True, return_counts=True)
    a, b = (v[known] - (np.bincount(owner, weights=v[known]) / counts)[owner] for v in (x, y))
    spread = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum() / spread) if spread > 1e-9 else None
