"""Whether predicted ego boxes leave the drivable area.

A box is off the road where one of its four corners lies outside all drivable polygons. Method: the winding number
of a corner about every polygon of its clip, counted along a ray towards +y (simple polygons, each taken
counter-clockwise, so that a positive sum means inside their union); the edges that the ray may meet are looked up
by x in slabs, so that the cost hardly grows with the size of the map.
Invariant: without a drivable area the answer is NaN, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scenes.clip import Clip, RoadMap
from scenes.geometry import box_corners, ego_box_pose

SLAB_M = 2.0
MOST_SLABS = 4096
"""A clip's map of this many slabs and more gets wider ones instead: memory is bounded for any map."""


@dataclass(frozen=True)
class DrivableAreas:
    """The drivable polygons of C clips. mapped: [C] bool, whether a clip has any; left, slab: [C] m where a clip's
    slabs begin and how wide they are; base: [C + 1] its first slab; first: [S + 1] the first edge of a slab in the
    columns that follow, one entry an edge and slab: x0, x1 (x0 < x1), y0 and slope of the edge, and its sign
    (+1 where a counter-clockwise polygon lies below it, -1 above)."""

    mapped: np.ndarray
    left: np.ndarray
    slab: np.ndarray
    base: np.ndarray
    first: np.ndarray
    x0: np.ndarray
    x1: np.ndarray
    y0: np.ndarray
    slope: np.ndarray
    sign: np.ndarray


def drivable_areas(roads: Sequence[RoadMap | None]) -> DrivableAreas:
    """Prepare the maps of clips [C]; None or a map without drivable polygons is unmapped."""
    edges, owner = _edges(roads)
    mapped = np.array([road is not None and len(road.drivable) > 0 for road in roads], dtype=bool)
    x0, x1 = edges[:, 0], edges[:, 2]
    left, right = np.full(len(roads), np.inf), np.full(len(roads), -np.inf)
    np.minimum.at(left, owner, x0)
    np.maximum.at(right, owner, x1)
    left, width = np.where(mapped, left, 0.0), np.where(mapped, right - left, 0.0)
    slab = np.maximum(SLAB_M, width / MOST_SLABS)
    base = np.concatenate([[0], np.cumsum(np.where(mapped, np.floor(width / slab) + 1, 0))]).astype(np.intp)
    lowest = np.floor((x0 - left[owner]) / slab[owner]).astype(np.intp)
    number = np.floor((x1 - left[owner]) / slab[owner]).astype(np.intp) - lowest + 1
    edge = np.repeat(np.arange(len(edges)), number)
    nth = np.arange(len(edge)) - np.repeat(np.cumsum(number) - number, number)
    where = (base[owner] + lowest)[edge] + nth
    order = np.argsort(where, kind="stable")
    first = np.searchsorted(where[order], np.arange(base[-1] + 1))
    sorted_edges = edges[edge[order]]
    begin, y0, end, y1, sign = np.ascontiguousarray(sorted_edges.T)
    return DrivableAreas(mapped, left, slab, base, first, begin, end, y0, (y1 - y0) / (end - begin), sign)


def outside(points: np.ndarray, clip: np.ndarray, areas: DrivableAreas) -> np.ndarray:
    """[...] bool: points [..., 2] outside the drivable area of their mapped clip [...]; on its edge undefined."""
    x, y = points[..., 0].ravel(), points[..., 1].ravel()
    owner = np.broadcast_to(clip, points.shape[:-1]).ravel()
    along = np.floor((x - areas.left[owner]) / areas.slab[owner])
    known = np.flatnonzero((along >= 0) & (along < np.diff(areas.base)[owner]))
    x, y = x[known], y[known]
    slab = areas.base[owner[known]] + along[known].astype(np.intp)
    edge, end = areas.first[slab], areas.first[slab + 1]
    winding = np.zeros(len(points.reshape(-1, 2)), dtype=np.intp)
    # The n-th edge of every point's slab at once; points drop out when their slab has no more.
    while True:
        more = np.flatnonzero(edge < end)
        if len(more) < len(edge):
            known, x, y, edge, end = known[more], x[more], y[more], edge[more], end[more]
        if not len(edge):
            break
        spans = (areas.x0[edge] <= x) & (x < areas.x1[edge])
        above = areas.y0[edge] + areas.slope[edge] * (x - areas.x0[edge]) > y
        winding[known] += np.where(spans & above, areas.sign[edge], 0.0).astype(np.intp)
        edge = edge + 1
    return (winding <= 0).reshape(points.shape[:-1])


def off_road_share(
    states: np.ndarray, clip: np.ndarray, clips: Sequence[Clip], areas: DrivableAreas
) -> np.ndarray:
    """Share [R] of the steps of states [R, T, 4] at which the ego's box is off the road of clips[clip[r]].

    Steps at which the expert's own box is off are left out: there the map ends or is wrong. NaN where the clip has
    no drivable area, or one that the expert never keeps to."""
    sizes = np.array([one.ego_size for one in clips], dtype=np.float64)
    expert = _off_road(np.stack([one.ego_future for one in clips]), np.arange(len(clips)), sizes, areas)
    judged = (~expert & areas.mapped[:, None])[clip]
    steps = judged.sum(axis=-1)
    off = (_off_road(states, clip, sizes, areas) & judged).sum(axis=-1)
    return np.where(steps > 0, off / np.maximum(steps, 1), np.nan)


def _off_road(
    states: np.ndarray, clip: np.ndarray, sizes: np.ndarray, areas: DrivableAreas
) -> np.ndarray:
    """[R, T] bool; False in clips without a map."""
    off = np.zeros(states.shape[:2], dtype=bool)
    rows = np.flatnonzero(areas.mapped[clip])
    if len(rows):
        size = sizes[clip[rows], None]
        corners = box_corners(ego_box_pose(states[rows], size[..., 3]), size)
        off[rows] = outside(corners, clip[rows, None, None], areas).any(axis=-1)
    return off


def _edges(roads: Sequence[RoadMap | None]) -> tuple[np.ndarray, np.ndarray]:
    """Edges [E, 5] (x0, y0, x1, y1, sign) with x0 < x1 and the clip [E] that each belongs to. Edges along y are
    left out: no ray towards +y crosses them."""
    rings = [(i, np.asarray(ring)) for i, road in enumerate(roads) if road for ring in road.drivable]
    if not rings:
        return np.zeros((0, 5)), np.zeros(0, dtype=np.intp)
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
    turn = np.repeat(np.where(area < 0.0, -1.0, 1.0), lengths)
    forward = here[:, 0] < there[:, 0]
    low, high = np.where(forward[:, None], here, there), np.where(forward[:, None], there, here)
    # Counter-clockwise, the area lies below an edge that runs towards -x.
    sign = np.where(forward, -turn, turn)
    kept = here[:, 0] != there[:, 0]
    owner = np.repeat(np.array([i for i, _ in rings], dtype=np.intp), lengths)
    return np.concatenate([low, high, sign[:, None]], axis=1)[kept], owner[kept]
