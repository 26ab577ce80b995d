"""Boxes in drivable areas cut into slabs: the loops behind `rewards.off_road` and `rewards.drivable_area`."""

from __future__ import annotations

import math

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def _slab(x: float, clip: int, left: np.ndarray, width: np.ndarray, base: np.ndarray) -> int:
    """The slab of a clip's map that holds x, or -1."""
    along = (x - left[clip]) / width[clip]
    if not 0.0 <= along < base[clip + 1] - base[clip]:
        return -1
    return base[clip] + int(along)


@numba.njit(cache=True, nogil=True)
def _outside(
    x: float,
    y: float,
    slab: int,
    first: np.ndarray,
    edges: np.ndarray,
    bands: np.ndarray,
) -> bool:
    """Whether a point in a slab is outside the area; edges: [E, 6], bands: [S, 6], see `off_road`."""
    if slab < 0:
        return True
    if bands[slab, 0] < y < bands[slab, 1]:
        return False
    if not bands[slab, 4] <= y <= bands[slab, 5]:
        return True
    winding = 0.0
    for e in range(first[slab], first[slab + 1]):
        if edges[e, 0] <= x < edges[e, 2] and edges[e, 1] + edges[e, 4] * (x - edges[e, 0]) > y:
            winding += edges[e, 5]
    return winding <= 0.0


@numba.njit(cache=True, nogil=True)
def outside(
    x: np.ndarray,
    y: np.ndarray,
    clip: np.ndarray,
    left: np.ndarray,
    width: np.ndarray,
    base: np.ndarray,
    first: np.ndarray,
    edges: np.ndarray,
    bands: np.ndarray,
) -> np.ndarray:
    """[P] bool: points x, y [P] outside the area of their clip [P]."""
    out = np.empty(len(x), np.bool_)
    for i in range(len(x)):
        out[i] = _outside(x[i], y[i], _slab(x[i], clip[i], left, width, base), first, edges, bands)
    return out


@numba.njit(cache=True, nogil=True)
def off_road(
    states: np.ndarray,
    clip: np.ndarray,
    sizes: np.ndarray,
    mapped: np.ndarray,
    left: np.ndarray,
    width: np.ndarray,
    base: np.ndarray,
    first: np.ndarray,
    edges: np.ndarray,
    bands: np.ndarray,
) -> np.ndarray:
    """[R, T] bool: a corner of the ego's box is outside, for states [R, T, >= 3], row r in the map of clip[r] with
    the ego's sizes [C, 4]. edges: [E, 6] x0, y0, x1, y1, slope, sign, of which slab s has first[s] up to
    first[s + 1]; bands: [S, 6] low, high, clear low, clear high, floor, roof; see
    `rewards.drivable_area.DrivableAreas`."""
    rows, steps = states.shape[0], states.shape[1]
    off = np.zeros((rows, steps), np.bool_)
    for r in range(rows):
        c = clip[r]
        if not mapped[c]:
            continue
        length, wide, ahead = sizes[c, 0], sizes[c, 1], sizes[c, 3]
        for t in range(steps):
            x, y = states[r, t, 0], states[r, t, 1]
            cos, sin = math.cos(states[r, t, 2]), math.sin(states[r, t, 2])
            middle = y + ahead * sin
            half = 0.5 * (length * abs(sin) + wide * abs(cos))
            slab = _slab(x + ahead * cos, c, left, width, base)
            if slab >= 0 and bands[slab, 2] < middle - half and middle + half < bands[slab, 3]:
                continue
            for along in (ahead + 0.5 * length, ahead - 0.5 * length):
                for across in (0.5 * wide, -0.5 * wide):
                    at_x, at_y = x + along * cos - across * sin, y + along * sin + across * cos
                    there = _slab(at_x, c, left, width, base)
                    if _outside(at_x, at_y, there, first, edges, bands):
                        off[r, t] = True
    return off
