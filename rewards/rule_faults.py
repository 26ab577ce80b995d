"""Where a drive breaks the rule of a decision, in words.

Role: the arithmetic between `rewards.consistency_rules` and a drive. Invariant: an empty list passes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from rewards.consistency_rules import Bound, PathRule, SpeedRule
from rewards.drive import Motion
from rewards.meta_actions import LateralAction, LongitudinalAction

Faults = tuple[Sequence[str], Sequence[str]]
"""Faults of speed, faults of path."""
DRIVES_BACKWARDS = "drives backwards"


class Moving(Protocol):
    """A drive, or its motion alone."""

    @property
    def motion(self) -> Motion:
        """See `rewards.drive.Motion`."""
        ...


def speed_values(seen: Motion) -> tuple[float, ...]:
    """What the bounds of a SpeedRule bound."""
    start, lowest = seen.start, seen.lowest
    return seen.final - start, start - lowest, seen.highest - start, lowest / max(start, 0.1)


def path_values(seen: Motion, side: int) -> tuple[float, ...]:
    """What the bounds of a PathRule bound, for a side (+1 left, -1 right); off the lane centre 0 without a map."""
    most, wrong = (seen.left, seen.right) if side > 0 else (seen.right, seen.left)
    shift = side * seen.shift
    off = seen.off if seen.off == seen.off else 0.0
    return most, shift, shift + wrong, wrong, side * seen.turned, seen.settled, off


def speed_faults(rule: SpeedRule, drive: Moving) -> list[str]:
    """Where a drive's speed breaks a rule; see SpeedRule."""
    seen = drive.motion
    faults = action_faults(action for action in seen.actions if action not in rule.allowed)
    if rule.opening:
        moving = opening_of(seen.actions)
        if moving is not None and moving not in rule.opening:
            faults.append(opening_fault(moving))
    return faults + broken(rule.bounds, speed_values(seen))


def action_faults(actions: Iterable[LongitudinalAction | LateralAction]) -> list[str]:
    """Actions that a rule does not allow, each once."""
    return [f"{action} is not what was said" for action in dict.fromkeys(actions)]


def opening_of(
    actions: Sequence[LongitudinalAction | LateralAction],
) -> LongitudinalAction | LateralAction | None:
    """The first action that changes the speed."""
    return next((a for a in actions if a is not LongitudinalAction.MAINTAIN_SPEED), None)


def opening_fault(action: LongitudinalAction | LateralAction) -> str:
    """An opening that a rule does not allow."""
    return f"begins with {action}"


def either_side_faults(rule: PathRule, drive: Moving) -> list[str]:
    """As `path_faults`, for the side on which a drive breaks less of a rule."""
    return min(path_faults(rule, drive, 1), path_faults(rule, drive, -1), key=len)


def path_faults(rule: PathRule, drive: Moving, side: int) -> list[str]:
    """Where a drive's path breaks a rule for a side (+1 left, -1 right); see PathRule."""
    return broken(rule.bounds, path_values(drive.motion, side))


def broken(bounds: Sequence[Bound], values: Sequence[float]) -> list[str]:
    """The bounds that their values do not keep, in words; NaN keeps none."""
    return [
        bound.fault(v) for bound, v in zip(bounds, values, strict=True) if not bound.low <= v <= bound.high
    ]


def without_repeats(parts: Sequence[list[str]]) -> list[str]:
    """The faults of several rules, each once."""
    first, *others = parts
    return list(dict.fromkeys(fault for part in parts for fault in part)) if others else first
