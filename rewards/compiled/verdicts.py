"""What drives break of the rules of what was said: the loops behind `rewards.verdicts`.

The comparisons are those of `rewards.rule_faults`, on the same numbers; which rules there are is data. Codes of
actions count LongitudinalAction in its order.
"""

from __future__ import annotations

import math

import numba
import numpy as np

MAINTAIN = 6
# Places in a row of numbers; `rewards.drive.Motion` has them in this order.
START, FINAL, LOWEST, HIGHEST, LEFT, RIGHT, SHIFT, TURNED, SETTLED, OFF, STOP_GAP = range(11)
# What is asked of a row.
SPEED_RULE, SPEED_WORD, PATH_RULE, SIDES, AT_LINE = range(5)
LEFT_ONLY, RIGHT_ONLY = range(2)
# Where the values of a path to either side begin.
TO_LEFT, TO_RIGHT = 4, 11
# Bits of a speed mask above those of bounds.
ACTIONS, OPENING, REVERSES, LINE = 256, 512, 1024, 2048


@numba.njit(cache=True, nogil=True)
def numbers(
    states: np.ndarray, offset: np.ndarray, heading: np.ndarray, mapped: np.ndarray, stop_gap: np.ndarray
) -> np.ndarray:
    """[R, 11] of states [R, K, 4], offset [R, K], heading [R, K], mapped [R] and stop_gap [R]; see Motion."""
    rows, count = offset.shape
    out = np.empty((rows, 11))
    for r in range(rows):
        lowest = highest = states[r, 0, 3]
        left = right = 0.0
        for i in range(1, count):
            lowest, highest = min(lowest, states[r, i, 3]), max(highest, states[r, i, 3])
            shift = offset[r, i] - offset[r, 0]
            left, right = max(left, shift), max(right, -shift)
        last = count - 1
        out[r, START], out[r, FINAL] = states[r, 0, 3], states[r, last, 3]
        out[r, LOWEST], out[r, HIGHEST], out[r, LEFT], out[r, RIGHT] = lowest, highest, left, right
        out[r, SHIFT] = offset[r, last] - offset[r, 0]
        out[r, TURNED] = states[r, last, 2] - states[r, 0, 2]
        out[r, SETTLED] = abs(heading[r, last])
        out[r, OFF] = abs(offset[r, last]) if mapped[r] else math.nan
        out[r, STOP_GAP] = stop_gap[r]
    return out


@numba.njit(cache=True, nogil=True)
def _values(seen: np.ndarray, out: np.ndarray) -> None:
    """Fill out [18] with `rule_faults.speed_values`, and `path_values` to the left and to the right."""
    start, lowest = seen[START], seen[LOWEST]
    out[0], out[1] = seen[FINAL] - start, start - lowest
    out[2], out[3] = seen[HIGHEST] - start, lowest / max(start, 0.1)
    off = 0.0 if math.isnan(seen[OFF]) else seen[OFF]
    for at, side in ((TO_LEFT, 1.0), (TO_RIGHT, -1.0)):
        most, wrong = (seen[LEFT], seen[RIGHT]) if side > 0.0 else (seen[RIGHT], seen[LEFT])
        shift = side * seen[SHIFT]
        out[at], out[at + 1], out[at + 2], out[at + 3] = most, shift, shift + wrong, wrong
        out[at + 4], out[at + 5], out[at + 6] = side * seen[TURNED], seen[SETTLED], off


@numba.njit(cache=True, nogil=True)
def _outside(values: np.ndarray, bounds: np.ndarray) -> int:
    """A bit for each of values [N] outside its bounds [N, 2]."""
    out = 0
    for k in range(len(bounds)):
        if not bounds[k, 0] <= values[k] <= bounds[k, 1]:
            out |= 1 << k
    return out


@numba.njit(cache=True, nogil=True)
def _wrong_actions(codes: np.ndarray, count: int, allowed: int, opening: int) -> int:
    """Bits of runs codes [count] against sets of actions, which are bits too."""
    out, first = 0, -1
    for i in range(count):
        if not allowed >> codes[i] & 1:
            out |= ACTIONS
        if first < 0 and codes[i] != MAINTAIN:
            first = codes[i]
    if opening and first >= 0 and not opening >> first & 1:
        out |= OPENING
    return out


@numba.njit(cache=True, nogil=True)
def broken(
    seen: np.ndarray,
    reverses: np.ndarray,
    number: np.ndarray,
    codes: np.ndarray,
    asked: np.ndarray,
    sets: np.ndarray,
    speeds: np.ndarray,
    paths: np.ndarray,
    line: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """([R, 4] bits, [R, 18] values) of what numbers [R, 11] and runs (number [R], codes [R, K]) break of what is
    asked [R, 5]: speed rule, rule of the words of speed, path rule to the left and to the right. sets: [S, 2] bits
    allowed and opening; speeds: [S, 4, 2] and paths: [P, 7, 2] bounds; line: bounds of the stop gap, speed of
    standstill."""
    out, values = np.zeros((len(seen), 4), np.int64), np.empty((len(seen), 18))
    for r in range(len(seen)):
        _values(seen[r], values[r])
        for column in (SPEED_RULE, SPEED_WORD):
            rule = asked[r, column]
            if rule >= 0:
                out[r, column] = _outside(values[r], speeds[rule])
                out[r, column] |= _wrong_actions(codes[r], number[r], sets[rule, 0], sets[rule, 1])
        gap = seen[r, STOP_GAP]
        if reverses[r]:
            out[r, SPEED_RULE] |= REVERSES
        if (
            asked[r, AT_LINE]
            and seen[r, FINAL] < line[2]
            and not math.isnan(gap)
            and not line[0] <= gap <= line[1]
        ):
            out[r, SPEED_RULE] |= LINE
        bounds = paths[asked[r, PATH_RULE]]
        if asked[r, SIDES] != RIGHT_ONLY:
            out[r, 2] = _outside(values[r, TO_LEFT:], bounds)
        if asked[r, SIDES] != LEFT_ONLY:
            out[r, 3] = _outside(values[r, TO_RIGHT:], bounds)
    return out, values
