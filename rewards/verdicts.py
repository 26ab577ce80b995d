"""What the drives of a batch break of the rules of what was said, without a word about those that keep them.

Role: the tables of `rewards.consistency_rules` as arrays for the compiled loop (`rewards.compiled.verdicts`).
Invariant: the faults of a row are those of `rewards.consistency.check` on the same drive (tested); only broken
bounds are put into words.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from rewards.consistency_rules import (
    LATERAL_RULES,
    LONGITUDINAL_RULES,
    SPEED_WORDS,
    STOP_GAP,
    Bound,
    PathRule,
    SpeedRule,
)
from rewards.drive import STANDSTILL_MPS
from rewards.drives import Drives
from rewards.intent import DIRECTIONAL, Intent
from rewards.meta_action_batch import LONGITUDINAL, Action
from rewards.rule_faults import (
    DRIVES_BACKWARDS,
    Faults,
    action_faults,
    opening_fault,
    opening_of,
    without_repeats,
)
from scenes.decisions import Direction

SPEED_RULES: tuple[SpeedRule, ...] = (*LONGITUDINAL_RULES.values(), *SPEED_WORDS.values())
PATH_RULES: tuple[PathRule, ...] = tuple(LATERAL_RULES.values())
_SPEED_PLACES = {decision: place for place, decision in enumerate(LONGITUDINAL_RULES)}
_WORD_PLACES = {word: place for place, word in enumerate(SPEED_WORDS, len(LONGITUDINAL_RULES))}
_PATH_PLACES = {decision: place for place, decision in enumerate(LATERAL_RULES)}


class Sides(IntEnum):
    """On which sides a path must keep its rule; numbered as in `rewards.compiled.verdicts`."""

    LEFT = 0
    RIGHT = 1
    BOTH = 2
    EITHER = 3


class Asked(NamedTuple):
    """What a text of one step demands. speed, word: places in SPEED_RULES, word -1 without words of speed; path:
    place in PATH_RULES; at_line: whether a stop must be at the line."""

    speed: int
    word: int
    path: int
    sides: Sides
    at_line: bool

    @classmethod
    def of(cls, intent: Intent, at_line: bool) -> Asked:
        """What a parsed intent demands."""
        assert intent.longitudinal is not None
        assert intent.lateral is not None
        if intent.lateral not in DIRECTIONAL:
            sides = Sides.BOTH
        elif intent.direction is None:
            sides = Sides.EITHER
        else:
            sides = Sides.RIGHT if intent.direction is Direction.RIGHT else Sides.LEFT
        word = -1 if intent.speed is None else _WORD_PLACES[intent.speed]
        return cls(_SPEED_PLACES[intent.longitudinal], word, _PATH_PLACES[intent.lateral], sides, at_line)


NOTHING = Asked(-1, -1, 0, Sides.EITHER, False)
"""In place of what cannot be asked this way; the verdict means nothing then."""


class Verdicts:
    """What each of R drives breaks of what its text asks."""

    def __init__(self, drives: Drives, asked: Sequence[Asked]) -> None:
        from rewards.compiled.verdicts import broken

        pace, self._drives, self._asked = drives.pace, drives, asked
        table = np.array(asked, dtype=np.int64).reshape(-1, len(Asked._fields))
        masks, values = broken(
            drives.numbers,
            drives.reverses,
            pace.number,
            pace.codes,
            table,
            _SETS,
            _SPEEDS,
            _PATHS,
            _LINE_BOUNDS,
        )
        self._masks: list[list[int]] = masks.tolist()
        self._values: list[list[float]] = values.tolist()

    def faults(self, row: int) -> Faults:
        """Faults of speed and of path of one drive; empty where it does as asked."""
        asked, (rule, word, left, right) = self._asked[row], self._masks[row]
        # Of a path that may go to either side the better one counts.
        path = left and right if asked.sides == Sides.EITHER else left or right
        speed_faults = self._speed(row, rule, word) if rule or word else ()
        return speed_faults, self._path(row, left, right) if path else ()

    def _speed(self, row: int, rule: int, word: int) -> list[str]:
        asked = self._asked[row]
        faults = self._speed_faults(row, SPEED_RULES[asked.speed], rule)
        if word:
            faults = without_repeats([faults, self._speed_faults(row, SPEED_RULES[asked.word], word)])
        if rule & _REVERSES:
            faults.append(DRIVES_BACKWARDS)
        if rule & _AT_LINE:
            faults.append(STOP_GAP.fault(float(self._drives.stop_gap[row])))
        return faults

    def _speed_faults(self, row: int, rule: SpeedRule, mask: int) -> list[str]:
        faults: list[str] = []
        if mask & (_ACTIONS | _OPENING):
            actions = self._drives.pace.row(row)
            faults += action_faults(action for action in actions if action not in rule.allowed)
            moving = opening_of(actions) if mask & _OPENING else None
            if moving is not None:
                faults.append(opening_fault(moving))
        return faults + _said(mask, rule.bounds, self._values[row], 0)

    def _path(self, row: int, left: int, right: int) -> list[str]:
        asked, values = self._asked[row], self._values[row]
        bounds = PATH_RULES[asked.path].bounds
        parts = [_said(mask, bounds, values, at) for mask, at in ((left, _LEFT), (right, _RIGHT)) if mask]
        return min(parts, key=len) if asked.sides == Sides.EITHER else without_repeats(parts)


def _said(mask: int, bounds: Sequence[Bound], values: Sequence[float], first: int) -> list[str]:
    """The bounds that a mask calls broken, in words, with values from `first` on."""
    return [bounds[k].fault(values[first + k]) for k in _PLACES[mask & _TERMS]]


def _bits(actions: frozenset[Action]) -> int:
    return sum(1 << LONGITUDINAL.index(action) for action in actions)


def _limits(rule: SpeedRule | PathRule) -> list[tuple[float, float]]:
    return [(bound.low, bound.high) for bound in rule.bounds]


_SETS = np.array([(_bits(rule.allowed), _bits(rule.opening)) for rule in SPEED_RULES])
_SPEEDS, _PATHS = (np.array([_limits(rule) for rule in rules]) for rules in (SPEED_RULES, PATH_RULES))
_LINE_BOUNDS = np.array([STOP_GAP.low, STOP_GAP.high, STANDSTILL_MPS])
# As in rewards.compiled.verdicts, which only a batch imports.
_ACTIONS, _OPENING, _REVERSES, _AT_LINE = 256, 512, 1024, 2048
_LEFT, _RIGHT = 4, 11
# Places of the bits of a mask of bounds.
_TERMS = 127
_PLACES = [tuple(k for k in range(7) if mask >> k & 1) for mask in range(_TERMS + 1)]
