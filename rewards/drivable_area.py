"""Point in drivable area, for many points in the maps of many clips at once.

Method: the winding number of a point about every polygon of its clip, counted along the ray from it towards +y
(simple polygons, each taken counter-clockwise, so that a positive sum means inside their union). A map is cut
into slabs along x: a point meets only the edges of its slab, so that the cost hardly grows with the map, and none
at all in the slab's band, a stretch of y within the area that no edge enters.
Invariant: what the slabs say is what the sum over all edges says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scenes.clip import RoadMap

SLAB_M = 2.0
MOST_SLABS = 4096
"""A longer map gets wider slabs: memory is bounded for any map."""
SLACK_M = 1e-6
"""Rounding never lets an edge into a band."""


class Edges(NamedTuple):
    """E polygon edges with x0 <= x1 and their sign: +1 where the area lies below, -1 above."""

    x0: np.ndarray
    y0: np.ndarray
    x1: np.ndarray
    y1: np.ndarray
    slope: np.ndarray
    sign: np.ndarray

    def at(self, chosen: np.ndarray) -> Edges:
        """The chosen edges."""
        return Edges(*(column[chosen] for column in self))


@dataclass(frozen=True)
class DrivableAreas:
    """The drivable polygons of C clips, cut into S slabs. mapped: [C] bool, whether a clip has any; left, width:
    [C] m where a clip's slabs begin and how wide they are; base: [C + 1] its first slab; first: [S + 1] a slab's
    first entry in edges, which holds an edge once a slab; low, high: [S] m the band, empty where there is none;
    clear_low, clear_high: [S] m what it shares with the bands within reach; floor, roof: [S] m beyond which all is
    outside."""

    mapped: np.ndarray
    left: np.ndarray
    width: np.ndarray
    base: np.ndarray
    first: np.ndarray
    edges: Edges
    low: np.ndarray
    high: np.ndarray
    clear_low: np.ndarray
    clear_high: np.ndarray
    floor: np.ndarray
    roof: np.ndarray

    def table(self) -> tuple[np.ndarray, np.ndarray]:
        """(edges [E, 6], bands [S, 6]) for `rewards.compiled.areas`."""
        bands = (self.low, self.high, self.clear_low, self.clear_high, self.floor, self.roof)
        return np.stack(self.edges, axis=1).astype(np.float64), np.stack(bands, axis=1)

    def clear(self, x: np.ndarray, y: np.ndarray, half: np.ndarray, clip: np.ndarray) -> np.ndarray:
        """[P] bool: everything within the prepared reach along x and `half` [P] m along y of x, y [P] is within
        one band, and so within the area. False decides nothing."""
        along = (x - self.left[clip]) / self.width[clip]
        known = (along >= 0.0) & (along < np.diff(self.base)[clip])
        slab = np.where(known, self.base[clip] + along, 0.0).astype(np.intp)
        return known & (self.clear_low[slab] < y - half) & (y + half < self.clear_high[slab])

    def outside(self, x: np.ndarray, y: np.ndarray, clip: np.ndarray) -> np.ndarray:
        """[P] bool: points x, y [P] outside the area of their clip [P]; on its edge undefined, and True
        everywhere in a clip without a map."""
        from rewards.compiled import areas as compiled

        edges, bands = self.table()
        return compiled.outside(x, y, clip, self.left, self.width, self.base, self.first, edges, bands)


def drivable_areas(roads: Sequence[RoadMap | None], reach_m: float = 0.0) -> DrivableAreas:
    """Prepare the maps of clips [C]; None or a map without drivable polygons is unmapped. Polygons are finite and
    have at least 3 points. reach_m: how far along x `clear` looks around a point."""
    edges, owner = _edges(roads)
    mapped = np.array([road is not None and len(road.drivable) > 0 for road in roads], dtype=bool)
    left, right = np.full(len(roads), np.inf), np.full(len(roads), -np.inf)
    np.minimum.at(left, owner, edges.x0)
    np.maximum.at(right, owner, edges.x1)
    left, length = np.where(mapped, left, 0.0), np.where(mapped, right - left, 0.0)
    width = np.maximum(SLAB_M, length / MOST_SLABS)
    base = np.concatenate([[0], np.cumsum(np.where(mapped, np.floor(length / width) + 1, 0))]).astype(np.intp)
    lowest = ((edges.x0 - left[owner]) / width[owner]).astype(np.intp)
    number = ((edges.x1 - left[owner]) / width[owner]).astype(np.intp) - lowest + 1
    entry = np.repeat(np.arange(len(owner)), number)
    nth = lowest[entry] + np.arange(len(entry)) - np.repeat(np.cumsum(number) - number, number)
    slab, wide = base[owner[entry]] + nth, width[owner[entry]]
    begin = left[owner[entry]] + nth * wide
    edges = edges.at(entry)
    bottom, top = _covered(edges, begin, begin + wide)
    # One key sorts by slab and then by bottom: entries of one slab are closer than the span.
    order = np.argsort(slab * _span(bottom, top) + bottom)
    edges, slab = edges.at(order), slab[order]
    first = np.searchsorted(slab, np.arange(base[-1] + 1))
    crossing = (edges.x0 <= begin[order]) & (begin[order] < edges.x1)
    low, high = _bands(slab, first, bottom[order], top[order], np.where(crossing, edges.sign, 0))
    floor, roof = np.full(base[-1], np.inf), np.full(base[-1], -np.inf)
    np.minimum.at(floor, slab, bottom[order])
    np.maximum.at(roof, slab, top[order])
    clear = _shared(low, high, np.diff(base), math.ceil(reach_m / SLAB_M))
    floor, roof = floor - SLACK_M, roof + SLACK_M
    return DrivableAreas(mapped, left, width, base, first, edges, low, high, *clear, floor, roof)


def _covered(edges: Edges, begin: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest y of edges between x = begin and end."""
    one = edges.y0 + edges.slope * (np.clip(begin, edges.x0, edges.x1) - edges.x0)
    other = edges.y0 + edges.slope * (np.clip(end, edges.x0, edges.x1) - edges.x0)
    other = np.where(edges.x0 == edges.x1, edges.y1, other)
    return np.minimum(one, other), np.maximum(one, other)


def _span(bottom: np.ndarray, top: np.ndarray) -> float:
    """More than the distance in y of any two entries, m."""
    return float(top.max(initial=0.0) - bottom.min(initial=0.0)) + 1.0


def _bands(
    slab: np.ndarray, first: np.ndarray, bottom: np.ndarray, top: np.ndarray, sign: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The widest stretch of y [S], [S] in each slab that lies between entries and inside. Entries are sorted by
    slab and bottom; sign: what they add to the winding number below them where the slab begins."""
    slabs = len(first) - 1
    low, high = np.zeros(slabs), np.zeros(slabs)
    if len(slab) < 2:
        return low, high
    # A shift that keeps slabs apart makes one running maximum serve all of them.
    shift = slab * _span(bottom, top)
    ceiling = np.maximum.accumulate(top + shift) - shift
    above = np.cumsum(sign)
    above = above[first[slab + 1] - 1] - above
    start, stop = ceiling[:-1] + SLACK_M, bottom[1:] - SLACK_M
    inside = np.flatnonzero((slab[1:] == slab[:-1]) & (above[:-1] > 0) & (stop > start))
    by_width = inside[np.argsort(stop[inside] - start[inside], kind="stable")]
    # Of several assignments to one slab the last, which is the widest, stays.
    low[slab[by_width]], high[slab[by_width]] = start[by_width], stop[by_width]
    return low, high


def _shared(
    low: np.ndarray, high: np.ndarray, slabs: np.ndarray, reach: int
) -> tuple[np.ndarray, np.ndarray]:
    """The stretch of y [S], [S] that the bands of `reach` slabs to either side share with a slab's own; empty
    near the ends of a map, beyond which nothing is inside. slabs: [C] how many there are of each clip."""
    owner = np.repeat(np.arange(len(slabs)), slabs)
    shared_low, shared_high = low.copy(), high.copy()
    for step in range(1, reach + 1):
        one, other = slice(step, None), slice(None, -step)
        apart = owner[one] != owner[other]
        for here, there, ends in ((other, one, slice(-step, None)), (one, other, slice(None, step))):
            np.maximum(shared_low[here], np.where(apart, np.inf, low[there]), out=shared_low[here])
            np.minimum(shared_high[here], high[there], out=shared_high[here])
            shared_low[ends] = np.inf
    return shared_low, shared_high


def _edges(roads: Sequence[RoadMap | None]) -> tuple[Edges, np.ndarray]:
    """All edges [E] and the clip [E] of each."""
    rings = [(i, np.asarray(ring)) for i, road in enumerate(roads) if road for ring in road.drivable]
    if not rings:
        none = np.zeros(0)
        return Edges(none, none, none, none, none, none.astype(np.int32)), none.astype(np.intp)
    lengths = np.array([len(ring) for _, ring in rings])
    start = np.cumsum(lengths) - lengths
    here = np.concatenate([ring for _, ring in rings]).astype(np.float64)
    following = np.arange(1, len(here) + 1)
    following[start + lengths - 1] = start
    there = here[following]
    # Relative to the ring's first point: the area of a small ring far from the origin keeps its digits.
    origin = np.repeat(here[start], lengths, axis=0)
    a, b = here - origin, there - origin
    area = np.add.reduceat(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0], start)
    turn = np.repeat(np.where(area < 0.0, -1, 1), lengths)
    forward = here[:, 0] < there[:, 0]
    x0, y0 = np.where(forward[:, None], here, there).T
    x1, y1 = np.where(forward[:, None], there, here).T
    slope = np.where(x1 > x0, (y1 - y0) / np.where(x1 > x0, x1 - x0, 1.0), 0.0)
    # Counter-clockwise, the area lies below an edge that runs towards -x.
    sign = np.where(forward, -turn, turn).astype(np.int32)
    owner = np.repeat(np.array([i for i, _ in rings], dtype=np.intp), lengths)
    return Edges(x0, y0, x1, y1, slope, sign), owner
