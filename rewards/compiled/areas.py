"""Boxes in drivable areas cut into slabs: the loops behind `rewards.off_road` and `rewards.drivable_area`."""

from __future__ import annotations

import math

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def _edges(points: np.ndarray, rings: np.ndarray) -> np.ndarray:
    """[E, 6] x0 <= x1, slope and sign of the edges of rings laid end to end: points [E, 2], rings [N + 1] their
    first points. Sign: +1 where the area lies below, -1 above, each ring taken counter-clockwise."""
    out = np.empty((len(points), 6))
    for n in range(len(rings) - 1):
        first, last = rings[n], rings[n + 1]
        # Relative to the ring's first point: the area of a small ring far from the origin keeps its digits.
        x, y, area = points[first, 0], points[first, 1], 0.0
        for i in range(first, last):
            j = i + 1 if i + 1 < last else first
            area += (points[i, 0] - x) * (points[j, 1] - y) - (points[i, 1] - y) * (points[j, 0] - x)
        turn = -1.0 if area < 0.0 else 1.0
        for i in range(first, last):
            j = i + 1 if i + 1 < last else first
            forward = points[i, 0] < points[j, 0]
            a, b = (i, j) if forward else (j, i)
            out[i, 0], out[i, 1], out[i, 2], out[i, 3] = (
                points[a, 0],
                points[a, 1],
                points[b, 0],
                points[b, 1],
            )
            wide = out[i, 2] - out[i, 0]
            out[i, 4] = (out[i, 3] - out[i, 1]) / wide if wide > 0.0 else 0.0
            # Counter-clockwise, the area lies below an edge that runs towards -x.
            out[i, 5] = -turn if forward else turn
    return out


@numba.njit(cache=True, nogil=True)
def _span(edge: np.ndarray, begin: float, end: float) -> tuple[float, float]:
    """Lowest and highest y of an edge between x = begin and end."""
    one = edge[1] + edge[4] * (min(max(begin, edge[0]), edge[2]) - edge[0])
    other = edge[1] + edge[4] * (min(max(end, edge[0]), edge[2]) - edge[0])
    if edge[0] == edge[2]:
        other = edge[3]
    return min(one, other), max(one, other)


@numba.njit(cache=True, nogil=True)
def _band(
    some: np.ndarray, bottom: np.ndarray, top: np.ndarray, begin: float, slack: float
) -> tuple[float, float]:
    """The widest stretch of y in a slab, inside, that no edge [K, 6] enters: edges in the order of their bottoms
    [K]."""
    above = 0.0
    for e in range(len(some)):
        if some[e, 0] <= begin < some[e, 2]:
            above += some[e, 5]
    low = high = 0.0
    ceiling = -np.inf
    for e in range(len(some) - 1):
        ceiling = max(ceiling, top[e])
        if some[e, 0] <= begin < some[e, 2]:
            above -= some[e, 5]
        start, stop = ceiling + slack, bottom[e + 1] - slack
        if above > 0.0 and stop > start and stop - start >= high - low:
            low, high = start, stop
    return low, high


@numba.njit(cache=True, nogil=True)
def _shared(bands: np.ndarray, reach: int) -> None:
    """Fill in the stretch that the bands of `reach` slabs to either side share with a slab's own; empty near the
    ends of a map, beyond which nothing is inside."""
    count = len(bands)
    for s in range(count):
        low, high = bands[s, 0], bands[s, 1]
        for other in range(s - reach, s + reach + 1):
            if 0 <= other < count:
                low, high = max(low, bands[other, 0]), min(high, bands[other, 1])
            else:
                low = np.inf
        bands[s, 2], bands[s, 3] = low, high


@numba.njit(cache=True, nogil=True)
def slabs(
    points: np.ndarray, rings: np.ndarray, least: float, most: int, slack: float, reach: int
) -> tuple[float, float, np.ndarray, np.ndarray, np.ndarray]:
    """(left, width, first [S + 1], edges [E, 6], bands [S, 6]) of the drivable rings of one clip, see `_edges` and
    `off_road`. least: m a slab is wide, more where there were more than `most`; slack: m that rounding may take;
    reach: slabs to either side that a band must be clear in."""
    found = _edges(points, rings)
    left, right = found[:, 0].min(), found[:, 2].max()
    width = max(least, (right - left) / most)
    count = int((right - left) / width) + 1
    first = np.zeros(count + 1, np.int64)
    for e in range(len(found)):
        for s in range(int((found[e, 0] - left) / width), int((found[e, 2] - left) / width) + 1):
            first[s + 1] += 1
    for s in range(count):
        first[s + 1] += first[s]
    edges, filled = np.empty((first[count], 6)), first[:-1].copy()
    bottom, top = np.empty(first[count]), np.empty(first[count])
    for e in range(len(found)):
        for s in range(int((found[e, 0] - left) / width), int((found[e, 2] - left) / width) + 1):
            begin = left + s * width
            low, high = _span(found[e], begin, begin + width)
            at = filled[s]
            while at > first[s] and bottom[at - 1] > low:
                edges[at], bottom[at], top[at] = edges[at - 1], bottom[at - 1], top[at - 1]
                at -= 1
            edges[at], bottom[at], top[at] = found[e], low, high
            filled[s] += 1
    bands = np.empty((count, 6))
    for s in range(count):
        one, other = first[s], first[s + 1]
        bands[s, 0], bands[s, 1] = _band(
            edges[one:other], bottom[one:other], top[one:other], left + s * width, slack
        )
        bands[s, 4] = bottom[one] - slack if other > one else np.inf
        bands[s, 5] = top[one:other].max() + slack if other > one else -np.inf
    _shared(bands, reach)
    return left, width, first, edges, bands


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
def clear(
    x: np.ndarray,
    y: np.ndarray,
    half: np.ndarray,
    clip: np.ndarray,
    left: np.ndarray,
    width: np.ndarray,
    base: np.ndarray,
    bands: np.ndarray,
) -> np.ndarray:
    """[P] bool: see `rewards.drivable_area.DrivableAreas.clear`."""
    out = np.zeros(len(x), np.bool_)
    for i in range(len(x)):
        slab = _slab(x[i], clip[i], left, width, base)
        out[i] = slab >= 0 and bands[slab, 2] < y[i] - half[i] and y[i] + half[i] < bands[slab, 3]
    return out


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
