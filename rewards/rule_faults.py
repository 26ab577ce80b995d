"""Where a drive breaks the rule of a decision, in words.

Role: the arithmetic between `rewards.consistency_rules` and a drive. Invariant: an empty list passes.
"""

from __future__ import annotations

import numpy as np

from rewards.consistency_rules import PathRule, SpeedRule
from rewards.drive import Drive
from rewards.meta_actions import LongitudinalAction


def speed_faults(rule: SpeedRule, drive: Drive) -> list[str]:
    """Where a drive's speed breaks a rule; see SpeedRule."""
    actions = [segment.action for segment in drive.longitudinal]
    seen = dict.fromkeys(actions)
    faults = [f"{action} is not what was said" for action in seen if action not in rule.allowed]
    moving = [action for action in actions if action is not LongitudinalAction.MAINTAIN_SPEED]
    if rule.opening and moving and moving[0] not in rule.opening:
        faults.append(f"begins with {moving[0]}")
    start, lowest, highest = float(drive.speed[0]), float(drive.speed.min()), float(drive.speed.max())
    faults += outside("speed change", float(drive.speed[-1]) - start, rule.change, "m/s")
    faults += outside("speed drop", start - lowest, rule.drop, "m/s")
    faults += outside("speed gain", highest - start, rule.gain, "m/s")
    faults += outside("lowest over initial speed", lowest / max(start, 0.1), rule.lowest, "")
    return faults


def either_side_faults(rule: PathRule, drive: Drive) -> list[str]:
    """As `path_faults`, for the side on which a drive breaks less of a rule."""
    return min(path_faults(rule, drive, 1), path_faults(rule, drive, -1), key=len)


def path_faults(rule: PathRule, drive: Drive, side: int) -> list[str]:
    """Where a drive's path breaks a rule for a side (+1 left, -1 right); see PathRule."""
    frame = drive.frame
    faults = [
        *outside("sideways", drive.peak_shift(side), rule.peak, "m"),
        *outside("sideways at the end", side * drive.final_shift, rule.final, "m"),
        *outside("back", side * drive.final_shift + drive.peak_shift(-side), rule.back, "m"),
        *outside("to the wrong side", drive.peak_shift(-side), (-np.inf, rule.wrong), "m"),
        *outside("turns", side * drive.turned, rule.turn, "rad"),
        *outside("heading off the lane", abs(float(frame.heading[-1])), (-np.inf, rule.settled), "rad"),
    ]
    if frame.mapped:
        off = abs(float(frame.offset[-1]))
        faults += outside("off the lane centre", off, (-np.inf, rule.centred), "m")
    return faults


def outside(what: str, value: float, bounds: tuple[float, float], unit: str) -> list[str]:
    """One fault in words where a value (in `unit`) is out of its bounds."""
    if bounds[0] <= value <= bounds[1]:
        return []
    low, high = bounds
    wanted = f"at least {low:g}" if value < low else f"at most {high:g}"
    return [f"{what} {value:.2f} {unit}, should be {wanted}".replace(" ,", ",")]
