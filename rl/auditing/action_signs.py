"""Signs in the driving: drifting off, standing still, and everybody driving the same."""

from __future__ import annotations

import numpy as np

from rl.auditing.columns import AuditColumns
from rl.auditing.finding import Finding, Severity, witnesses
from rl.auditing.reward_signs import group_spread
from rl.auditing.trend import trend, windows

ACCELERATION_DRIFT = 0.5
"""m/s². Over the 6.4 s that a rollout spans it is 3.2 m/s of speed and 10 m of way: no refinement."""
STANDSTILL_MPS = 0.3
"""The meta-action rules' own bound of standing still."""
STANDSTILL_RISE = 0.15
ALIKE = 0.15
"""Late spread of end points inside groups over the early one. A policy that halves its error twice is at 0.25."""


def action_collapse(columns: AuditColumns) -> list[Finding]:
    """The driving collapses onto something easy: the mean acceleration drifts by 0.5 m/s² (ACCELERATION_DRIFT),
    standing at the end becomes 15 points more common, or siblings end at one place (spread below 0.15 of the early
    one, ALIKE), each with an interval that excludes 0. The curator's choice of clips can move the first two: look
    at the rollouts."""
    return [*acceleration_drift(columns), *standing_still(columns), *driving_alike(columns)]


def acceleration_drift(columns: AuditColumns) -> list[Finding]:
    """See action_collapse."""
    drift = trend(columns.step, columns.acceleration)
    if drift is None or not (drift.rises(ACCELERATION_DRIFT) or drift.falls(ACCELERATION_DRIFT)):
        return []
    _, late = windows(columns.step)
    way = np.sign(drift.change)
    what = f"mean acceleration goes from {drift.early:.2f} to {drift.late:.2f} m/s²"
    shown = witnesses(columns, late & np.isfinite(columns.acceleration), way * columns.acceleration)
    return [Finding("action collapse", Severity.WARNING, what, drift.evidence("m/s²"), shown)]


def standing_still(columns: AuditColumns) -> list[Finding]:
    """See action_collapse."""
    speed = columns.final_speed
    stands = np.where(np.isfinite(speed), (np.abs(speed) < STANDSTILL_MPS).astype(float), np.nan)
    share = trend(columns.step, stands)
    if share is None or not share.rises(STANDSTILL_RISE):
        return []
    _, late = windows(columns.step)
    what = f"{share.late:.0%} of the rollouts end standing, {share.early:.0%} early"
    shown = witnesses(columns, late & (stands > 0), columns.total)
    return [Finding("action collapse", Severity.WARNING, what, share.evidence("share"), shown)]


def driving_alike(columns: AuditColumns) -> list[Finding]:
    """See action_collapse."""
    step, spread = group_spread(columns, columns.end)
    drift = trend(step, spread)
    if drift is None or drift.high >= 0 or drift.late >= ALIKE * drift.early:
        return []
    _, late = windows(columns.step)
    what = f"siblings end within {drift.late:.2f} m of each other, {drift.early:.2f} m early"
    return [Finding("action collapse", Severity.WARNING, what, drift.evidence("m"), witnesses(columns, late))]
