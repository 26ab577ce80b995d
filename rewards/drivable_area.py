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

import numpy as np

from scenes.clip import RoadMap

SLAB_M = 2.0
MOST_SLABS = 4096
"""A longer map gets wider slabs: memory is bounded for any map."""
SLACK_M = 1e-6
"""Rounding never lets an edge into a band."""


@dataclass(frozen=True)
class DrivableArea:
    """The drivable polygons of one clip, cut into S slabs, 0 of them where there is no map. left, width: m where
    the slabs begin and how wide they are; first: [S + 1] a slab's first entry in edges [E, 6] (x0, y0, x1, y1,
    slope, sign; an edge once a slab); bands: [S, 6] m: low and high of the band, empty where there is none; what
    it shares with the bands within reach; floor and roof beyond which all is outside."""

    left: float
    width: float
    first: np.ndarray
    edges: np.ndarray
    bands: np.ndarray


@dataclass(frozen=True)
class DrivableAreas:
    """The areas of C clips laid end to end. mapped: [C] bool, whether a clip has any; left, width: [C]; base: [C +
    1] a clip's first slab; first, edges, bands: as in DrivableArea."""

    mapped: np.ndarray
    left: np.ndarray
    width: np.ndarray
    base: np.ndarray
    first: np.ndarray
    edges: np.ndarray
    bands: np.ndarray

    @classmethod
    def of(cls, areas: Sequence[DrivableArea]) -> DrivableAreas:
        """Lay areas end to end."""
        slabs = np.array([len(area.bands) for area in areas], dtype=np.int64)
        entries = np.array([len(area.edges) for area in areas], dtype=np.int64)
        shift = np.cumsum(entries) - entries
        return cls(
            mapped=slabs > 0,
            left=np.array([area.left for area in areas]),
            width=np.array([area.width for area in areas]),
            base=np.concatenate([[0], np.cumsum(slabs)]),
            first=np.concatenate(
                [*(area.first[:-1] + at for area, at in zip(areas, shift, strict=True)), [entries.sum()]]
            ),
            edges=np.concatenate([area.edges for area in areas]),
            bands=np.concatenate([area.bands for area in areas]),
        )

    def clear(self, x: np.ndarray, y: np.ndarray, half: np.ndarray, clip: np.ndarray) -> np.ndarray:
        """[P] bool: everything within the prepared reach along x and `half` [P] m along y of x, y [P] is within
        one band, and so within the area. False decides nothing."""
        from rewards.compiled.areas import clear

        return clear(x, y, half, clip, self.left, self.width, self.base, self.bands)

    def outside(self, x: np.ndarray, y: np.ndarray, clip: np.ndarray) -> np.ndarray:
        """[P] bool: points x, y [P] outside the area of their clip [P]; on its edge undefined, and True
        everywhere in a clip without a map."""
        from rewards.compiled.areas import outside

        return outside(x, y, clip, self.left, self.width, self.base, self.first, self.edges, self.bands)


def drivable_areas(roads: Sequence[RoadMap | None], reach_m: float = 0.0) -> DrivableAreas:
    """Prepare the maps of clips [C], at least one; see `drivable_area`."""
    return DrivableAreas.of([drivable_area(road, reach_m) for road in roads])


def drivable_area(road: RoadMap | None, reach_m: float = 0.0) -> DrivableArea:
    """Prepare a map; None or a map without drivable polygons is unmapped. Polygons are finite and have at least 3
    points. reach_m: how far along x `DrivableAreas.clear` looks around a point."""
    from rewards.compiled.areas import slabs

    if road is None or not road.drivable:
        return DrivableArea(0.0, SLAB_M, np.zeros(1, np.int64), np.zeros((0, 6)), np.zeros((0, 6)))
    points = np.concatenate(road.drivable).astype(np.float64, copy=False)
    rings = np.cumsum([0, *map(len, road.drivable)])
    reach = math.ceil(reach_m / SLAB_M)
    return DrivableArea(*slabs(points, rings, SLAB_M, MOST_SLABS, SLACK_M, reach))
