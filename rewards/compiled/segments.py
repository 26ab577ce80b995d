"""Meta-actions of many drives: the loops behind `rewards.meta_action_batch`.

Thresholds, order of the cases and how short runs are absorbed are those of `rewards.meta_actions`, which has their
sources; codes count its enumerations in their order.
"""

from __future__ import annotations

import math

import numba
import numpy as np

STEP_S = 0.1
SHORTEST_CUT = 3
HYSTERESIS = 0.15
SMOOTHING_TICKS = 5
# Places in LongitudinalAction and in LateralAction.
REVERSE, STOP, STRONG_UP, GENTLE_UP, STRONG_DOWN, GENTLE_DOWN, MAINTAIN = range(7)
REVERSE_LEFT, REVERSE_RIGHT, SHARP_LEFT, SHARP_RIGHT, LEFT, RIGHT, STRAIGHT = range(7)


@numba.njit(cache=True, nogil=True)
def _smoothed(values: np.ndarray, reflect: bool, out: np.ndarray) -> None:
    """Centred mean over SMOOTHING_TICKS, padded with the end values or with the reflection about them."""
    ticks, half = len(values), SMOOTHING_TICKS // 2
    if ticks <= half:
        out[:] = values
        return
    share = 1.0 / SMOOTHING_TICKS
    for i in range(ticks):
        total = 0.0
        for k in range(i - half, i + half + 1):
            if k < 0:
                at = -k if reflect else 0
            elif k >= ticks:
                at = 2 * (ticks - 1) - k if reflect else ticks - 1
            else:
                at = k
            total += values[at] * share
        out[i] = total


@numba.njit(cache=True, nogil=True)
def _mark_flips(values: np.ndarray, threshold: float, hysteresis: float, flips: np.ndarray) -> None:
    """Set flips [K] at each tick whose level differs from the tick before. With hysteresis a tick is decided where
    the threshold is passed by that share of its magnitude; the last decided one rules, before it the comparison."""
    band = hysteresis * abs(threshold)
    decided = level = before = False
    for i in range(len(values)):
        if hysteresis == 0.0:
            level = values[i] > threshold
        elif values[i] > threshold + band:
            decided = level = True
        elif values[i] < threshold - band:
            decided, level = True, False
        elif not decided:
            level = values[i] > threshold
        if i and level != before:
            flips[i] = True
        before = level


@numba.njit(cache=True, nogil=True)
def _cut(flips: np.ndarray, bounds: np.ndarray) -> int:
    """Fill bounds with 0, cuts and K, cuts at flips at least SHORTEST_CUT apart and from the end; returns the
    number of pieces."""
    ticks, count = len(flips), 1
    bounds[0] = 0
    for i in range(SHORTEST_CUT, ticks - SHORTEST_CUT + 1):
        if flips[i] and i - bounds[count - 1] >= SHORTEST_CUT:
            bounds[count] = i
            count += 1
    bounds[count] = ticks
    return count


@numba.njit(cache=True, nogil=True)
def _joined(codes: np.ndarray, bounds: np.ndarray, count: int) -> int:
    """Join equal neighbours in place; returns how many are left."""
    kept = 0
    for i in range(count):
        if kept and codes[kept - 1] == codes[i]:
            bounds[kept] = bounds[i + 1]
        else:
            codes[kept] = codes[i]
            bounds[kept] = bounds[i]
            bounds[kept + 1] = bounds[i + 1]
            kept += 1
    return kept


@numba.njit(cache=True, nogil=True)
def _cleaned(codes: np.ndarray, bounds: np.ndarray, count: int, shortest: np.ndarray) -> int:
    """Absorb runs below their action's minimum, the shortest and then the earliest first: half each into both
    neighbours, at an end whole into the one. Returns how many are left."""
    count = _joined(codes, bounds, count)
    while count > 1:
        at, least = -1, 1 << 30
        for i in range(count):
            ticks = bounds[i + 1] - bounds[i]
            if ticks < shortest[codes[i]] and ticks < least:
                at, least = i, ticks
        if at < 0:
            break
        if at == 0:
            codes[0] = codes[1]
        elif at == count - 1:
            codes[at] = codes[at - 1]
        else:
            # The run is left out: its middle becomes the bound between its neighbours.
            bounds[at] = (bounds[at] + bounds[at + 1]) // 2
            for i in range(at, count - 1):
                codes[i] = codes[i + 1]
                bounds[i + 1] = bounds[i + 2]
            count -= 1
        count = _joined(codes, bounds, count)
    return count


@numba.njit(cache=True, nogil=True)
def _pace(along: np.ndarray, a: int, b: int) -> int:
    """What the speed [K + 1] does from tick a to b; the first case that fits."""
    total = 0.0
    for i in range(a + 1, b + 1):
        total += along[i]
    mean, change = total / (b - a), along[b] - along[a]
    rate = change / ((b - a) * STEP_S)
    if mean <= -0.12:
        return REVERSE
    if mean <= 0.12:
        return STOP
    if abs(change) < 0.8 or abs(rate) < 0.15:
        return MAINTAIN
    strong = abs(rate) >= 1.4
    if rate > 0:
        return STRONG_UP if strong else GENTLE_UP
    return STRONG_DOWN if strong else GENTLE_DOWN


@numba.njit(cache=True, nogil=True)
def _way(along: np.ndarray, turned: np.ndarray, step: np.ndarray, a: int, b: int) -> int:
    """What the heading does from tick a to b; the first case that fits."""
    total = heading = distance = 0.0
    for i in range(a, b):
        total += along[i + 1]
        heading += turned[i]
        distance += step[i]
    rate = heading / distance if distance > 1e-6 else 0.0
    left, sharp = heading > 0, abs(heading) >= 0.2
    if total / (b - a) <= -0.1 and abs(rate) >= 0.002 and sharp:
        return REVERSE_LEFT if left else REVERSE_RIGHT
    if abs(rate) >= 0.05 and sharp:
        return SHARP_LEFT if left else SHARP_RIGHT
    if abs(rate) >= 0.0015 and abs(heading) >= 0.015:
        return LEFT if left else RIGHT
    return STRAIGHT


@numba.njit(cache=True, nogil=True)
def longitudinal(states: np.ndarray, shortest: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(number [R], codes [R, K], bounds [R, K + 1]) of the runs of states [R, K + 1, 4]; shortest: ticks a code."""
    rows, ticks = states.shape[0], states.shape[1] - 1
    number = np.empty(rows, np.int64)
    codes, bounds = np.empty((rows, ticks), np.int8), np.empty((rows, ticks + 1), np.int32)
    rate, smooth = np.empty(ticks), np.empty(ticks)
    along, flips = np.empty(ticks + 1), np.empty(ticks, np.bool_)
    for r in range(rows):
        flips[:] = False
        along[:] = states[r, :, 3]
        for i in range(ticks):
            rate[i] = (along[i + 1] - along[i]) / STEP_S
        _smoothed(rate, False, smooth)
        for threshold in (-0.3, 0.3):
            _mark_flips(along[1:], threshold, 0.0, flips)
        for threshold in (-1.25, -0.1, 0.1, 1.25):
            _mark_flips(smooth, threshold, HYSTERESIS, flips)
        count = _cut(flips, bounds[r])
        for i in range(count):
            codes[r, i] = _pace(along, bounds[r, i], bounds[r, i + 1])
        number[r] = _cleaned(codes[r], bounds[r], count, shortest)
    return number, codes, bounds


@numba.njit(cache=True, nogil=True)
def lateral(states: np.ndarray, shortest: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `longitudinal`, of the heading."""
    rows, ticks = states.shape[0], states.shape[1] - 1
    number = np.empty(rows, np.int64)
    codes, bounds = np.empty((rows, ticks), np.int8), np.empty((rows, ticks + 1), np.int32)
    step, turned, smooth = np.empty(ticks), np.empty(ticks), np.empty(ticks)
    along, flips = np.empty(ticks + 1), np.empty(ticks, np.bool_)
    for r in range(rows):
        flips[:] = False
        along[:] = states[r, :, 3]
        for i in range(ticks):
            dx, dy = states[r, i + 1, 0] - states[r, i, 0], states[r, i + 1, 1] - states[r, i, 1]
            step[i] = math.sqrt(dx * dx + dy * dy)
            angle = states[r, i + 1, 2] - states[r, i, 2]
            if not -math.pi < angle <= math.pi:
                angle = -((-angle + math.pi) % (2.0 * math.pi) - math.pi)
            turned[i] = angle
        _smoothed(turned, True, smooth)
        for i in range(ticks):
            smooth[i] = 0.0 if step[i] < 1e-6 else smooth[i] / step[i]
        _mark_flips(along[1:], -0.1, 0.0, flips)
        for threshold in (-0.05, -0.001, 0.001, 0.05):
            _mark_flips(smooth, threshold, 0.0, flips)
        count = _cut(flips, bounds[r])
        for i in range(count):
            codes[r, i] = _way(along, turned, step, bounds[r, i], bounds[r, i + 1])
        number[r] = _cleaned(codes[r], bounds[r], count, shortest)
    return number, codes, bounds
