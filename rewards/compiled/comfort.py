"""Comfort flags of many drives: the loop behind `rewards.comfort`."""

from __future__ import annotations

import math

import numba
import numpy as np

STEP_S = 0.1


@numba.njit(cache=True, nogil=True)
def _rate(values: np.ndarray, out: np.ndarray) -> None:
    """Forward difference per second; the last value is repeated."""
    last = len(values) - 1
    for i in range(last):
        out[i] = (values[i + 1] - values[i]) / STEP_S
    out[last] = out[last - 1]


@numba.njit(cache=True, nogil=True)
def _within(values: np.ndarray, low: float, high: float) -> bool:
    """Whether every value lies strictly between; a NaN does not."""
    for i in range(len(values)):  # noqa: SIM110 - numba compiles no generator
        if not low < values[i] < high:
            return False
    return True


@numba.njit(cache=True, nogil=True)
def flags(states: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """[B, 6] bool of states [B, T, 4]: see `rewards.comfort.comfort_flags`; limits: [6, 2] lowest, highest."""
    rows, steps = states.shape[0], states.shape[1]
    out = np.empty((rows, 6), np.bool_)
    work = np.empty((8, steps))
    vx, vy, along, across = work[0], work[1], work[2], work[3]
    speed, yaw, one, two = work[4], work[5], work[6], work[7]
    for r in range(rows):
        _rate(states[r, :, 0], vx)
        _rate(states[r, :, 1], vy)
        turns = 0.0
        for t in range(steps):
            cos, sin = math.cos(states[r, t, 2]), math.sin(states[r, t, 2])
            along[t] = cos * vx[t] + sin * vy[t]
            across[t] = -sin * vx[t] + cos * vy[t]
            speed[t] = math.hypot(vx[t], vy[t])
            if t:
                step = states[r, t, 2] - states[r, t - 1, 2]
                if not abs(step) < math.pi:
                    # The jump's whole turns are taken out, as numpy.unwrap does.
                    rest = (step + math.pi) % (2.0 * math.pi) - math.pi
                    if rest == -math.pi and step > 0.0:
                        rest = math.pi
                    turns += rest - step
            yaw[t] = states[r, t, 2] + turns
        _rate(along, one)
        out[r, 0] = _within(one, limits[0, 0], limits[0, 1])
        _rate(one, two)
        out[r, 3] = _within(two, limits[3, 0], limits[3, 1])
        _rate(across, one)
        out[r, 1] = _within(one, limits[1, 0], limits[1, 1])
        _rate(speed, one)
        _rate(one, two)
        out[r, 2] = _within(two, limits[2, 0], limits[2, 1])
        _rate(yaw, one)
        out[r, 5] = _within(one, limits[5, 0], limits[5, 1])
        _rate(one, two)
        out[r, 4] = _within(two, limits[4, 0], limits[4, 1])
    return out
