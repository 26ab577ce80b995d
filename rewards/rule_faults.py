"""Where a drive breaks the rule of a decision, in words.

Role: the arithmetic between `rewards.consistency_rules` and a drive. Invariant: an empty list passes.
"""

from __future__ import annotations

import math
from typing import Protocol

from rewards.consistency_rules import PathRule, SpeedRule
from rewards.drive import Motion
from rewards.meta_actions import LongitudinalAction


class Moving(Protocol):
    """A drive, or its motion alone."""

    @property
    def motion(self) -> Motion:
        """See `rewards.drive.Motion`."""
        ...


def speed_faults(rule: SpeedRule, drive: Moving) -> list[str]:
    """Where a drive's speed breaks a rule; see SpeedRule."""
    seen = drive.motion
    faults: list[str] = []
    for action in seen.actions:
        if action not in rule.allowed:
            fault = f"{action} is not what was said"
            if fault not in faults:
                faults.append(fault)
    if rule.opening:
        moving = next((a for a in seen.actions if a is not LongitudinalAction.MAINTAIN_SPEED), None)
        if moving is not None and moving not in rule.opening:
            faults.append(f"begins with {moving}")
    start = seen.start
    change, drop, gain, lowest = (
        seen.final - start,
        start - seen.lowest,
        seen.highest - start,
        seen.lowest / max(start, 0.1),
    )
    if not rule.change[0] <= change <= rule.change[1]:
        faults += outside("speed change", change, rule.change, "m/s")
    if not rule.drop[0] <= drop <= rule.drop[1]:
        faults += outside("speed drop", drop, rule.drop, "m/s")
    if not rule.gain[0] <= gain <= rule.gain[1]:
        faults += outside("speed gain", gain, rule.gain, "m/s")
    if not rule.lowest[0] <= lowest <= rule.lowest[1]:
        faults += outside("lowest over initial speed", lowest, rule.lowest, "")
    return faults


def either_side_faults(rule: PathRule, drive: Moving) -> list[str]:
    """As `path_faults`, for the side on which a drive breaks less of a rule."""
    return min(path_faults(rule, drive, 1), path_faults(rule, drive, -1), key=len)


def path_faults(rule: PathRule, drive: Moving, side: int) -> list[str]:
    """Where a drive's path breaks a rule for a side (+1 left, -1 right); see PathRule."""
    seen = drive.motion
    most, wrong = (seen.left, seen.right) if side > 0 else (seen.right, seen.left)
    shift, turned = side * seen.shift, side * seen.turned
    faults: list[str] = []
    if not rule.peak[0] <= most <= rule.peak[1]:
        faults += outside("sideways", most, rule.peak, "m")
    if not rule.final[0] <= shift <= rule.final[1]:
        faults += outside("sideways at the end", shift, rule.final, "m")
    if not rule.back[0] <= shift + wrong <= rule.back[1]:
        faults += outside("back", shift + wrong, rule.back, "m")
    if not wrong <= rule.wrong:
        faults += outside("to the wrong side", wrong, (-math.inf, rule.wrong), "m")
    if not rule.turn[0] <= turned <= rule.turn[1]:
        faults += outside("turns", turned, rule.turn, "rad")
    if not seen.settled <= rule.settled:
        faults += outside("heading off the lane", seen.settled, (-math.inf, rule.settled), "rad")
    if seen.off > rule.centred:
        faults += outside("off the lane centre", seen.off, (-math.inf, rule.centred), "m")
    return faults


def outside(what: str, value: float, bounds: tuple[float, float], unit: str) -> list[str]:
    """One fault in words where a value (in `unit`) is out of its bounds."""
    low, high = bounds
    if low <= value <= high:
        return []
    number = f"{value:.2f} {unit}" if unit else f"{value:.2f}"
    wanted = f"at least {low:g}" if value < low else f"at most {high:g}"
    return [f"{what} {number}, should be {wanted}"]
