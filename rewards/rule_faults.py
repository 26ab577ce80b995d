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
    _add(faults, "speed change", seen.final - start, rule.change, "m/s")
    _add(faults, "speed drop", start - seen.lowest, rule.drop, "m/s")
    _add(faults, "speed gain", seen.highest - start, rule.gain, "m/s")
    _add(faults, "lowest over initial speed", seen.lowest / max(start, 0.1), rule.lowest, "")
    return faults


def either_side_faults(rule: PathRule, drive: Moving) -> list[str]:
    """As `path_faults`, for the side on which a drive breaks less of a rule."""
    return min(path_faults(rule, drive, 1), path_faults(rule, drive, -1), key=len)


def path_faults(rule: PathRule, drive: Moving, side: int) -> list[str]:
    """Where a drive's path breaks a rule for a side (+1 left, -1 right); see PathRule."""
    seen = drive.motion
    most, wrong = (seen.left, seen.right) if side > 0 else (seen.right, seen.left)
    shift = side * seen.shift
    faults: list[str] = []
    _add(faults, "sideways", most, rule.peak, "m")
    _add(faults, "sideways at the end", shift, rule.final, "m")
    _add(faults, "back", shift + wrong, rule.back, "m")
    _add(faults, "to the wrong side", wrong, (-math.inf, rule.wrong), "m")
    _add(faults, "turns", side * seen.turned, rule.turn, "rad")
    _add(faults, "heading off the lane", seen.settled, (-math.inf, rule.settled), "rad")
    if seen.off == seen.off:
        _add(faults, "off the lane centre", seen.off, (-math.inf, rule.centred), "m")
    return faults


def _add(faults: list[str], what: str, value: float, bounds: tuple[float, float], unit: str) -> None:
    if not bounds[0] <= value <= bounds[1]:
        faults += outside(what, value, bounds, unit)


def outside(what: str, value: float, bounds: tuple[float, float], unit: str) -> list[str]:
    """One fault in words where a value (in `unit`) is out of its bounds."""
    if bounds[0] <= value <= bounds[1]:
        return []
    low, high = bounds
    wanted = f"at least {low:g}" if value < low else f"at most {high:g}"
    return [f"{what} {value:.2f} {unit}, should be {wanted}".replace(" ,", ",")]
