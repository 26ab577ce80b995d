"""A road flattened to the arrays that the raster kernels take: polygons and lines, in the order of
painting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scenes.clip import RoadMap
from scenes.render import palette

STRIPE_M = 0.5
STOP_LINE_M = 0.5
LINE_STYLES: dict[str, tuple[float, float, float]] = {
    "solid": (0.2, 0.0, 0.0),
    "dashed": (0.2, 3.0, 9.0),
    "kerb": (0.3, 0.0, 0.0),
}
"""Width, dash length and dash period in metres of each boundary kind. The MUTCD gives lines 0.10-0.15 m and
dashes of 3 m with gaps of 9 m; lines are drawn a little wider and gaps a little shorter, for small
images."""


class Polygons(NamedTuple):
    """K polygons of one colour. points: [M, 2]; starts: [K+1]; colour: [3] int64; first_id: instance of the
    first, or -1; stripe_m: width of stripes across the longest edge, 0 for none."""

    points: np.ndarray
    starts: np.ndarray
    colour: np.ndarray
    first_id: int
    stripe_m: float


class Lines(NamedTuple):
    """K polylines. points: [M, 2]; starts: [K+1]; styles: [K, 3] width m, dash m, period m (0: continuous);
    colours: [K, 3] uint8; instances: [K] int64, -1 for none."""

    points: np.ndarray
    starts: np.ndarray
    styles: np.ndarray
    colours: np.ndarray
    instances: np.ndarray


def road_shapes(road: RoadMap, first_id: int) -> tuple[Polygons, Lines, Polygons, Lines]:
    """Drivable area, lanes (only where no drivable area is known: then they are the road), crosswalks, and
    stop lines with boundaries. Crosswalks are instances from first_id on, then stop lines.

    Raises ValueError for a boundary kind that has no line style."""
    unknown = sorted(set(road.boundary_kinds) - set(LINE_STYLES))
    if unknown:
        raise ValueError(f"boundary kinds {unknown}: must be one of {', '.join(LINE_STYLES)}")
    lanes, widths = ((), ()) if road.drivable else (road.lanes, road.lane_widths)
    crossings, stops, kinds = len(road.crosswalks), len(road.stop_lines), road.boundary_kinds
    styles = [(STOP_LINE_M, 0.0, 0.0)] * stops + [LINE_STYLES[kind] for kind in kinds]
    colours = [palette.MARKING] * stops
    colours += [palette.KERB if kind == "kerb" else palette.MARKING for kind in kinds]
    instances = [first_id + crossings + i for i in range(stops)] + [-1] * len(kinds)
    return (
        _polygons(road.drivable, palette.ASPHALT, -1, 0.0),
        _lines(lanes, [(w, 0.0, 0.0) for w in widths], [palette.ASPHALT] * len(lanes), [-1] * len(lanes)),
        _polygons(road.crosswalks, palette.MARKING, first_id, STRIPE_M),
        _lines((*road.stop_lines, *road.boundaries), styles, colours, instances),
    )


def road_names(road: RoadMap) -> tuple[str, ...]:
    """Names of the instances of road_shapes, in order: "crosswalk:<i>" then "stop_line:<i>"."""
    crosswalks = tuple(f"crosswalk:{i}" for i in range(len(road.crosswalks)))
    return crosswalks + tuple(f"stop_line:{i}" for i in range(len(road.stop_lines)))


def _polygons(
    shapes: Sequence[np.ndarray], colour: palette.Colour, first_id: int, stripe_m: float
) -> Polygons:
    return Polygons(*_join(shapes), np.array(colour, np.int64), first_id, stripe_m)


def _lines(
    shapes: Sequence[np.ndarray],
    styles: Sequence[tuple[float, float, float]],
    colours: Sequence[palette.Colour],
    instances: Sequence[int],
) -> Lines:
    return Lines(
        *_join(shapes),
        np.array(styles, np.float64).reshape(-1, 3),
        np.array(colours, np.uint8).reshape(-1, 3),
        np.array(instances, np.int64),
    )


def _join(shapes: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Shapes [*, 2] end to end: points [M, 2] float64 and offsets [K+1] int64."""
    starts = np.zeros(len(shapes) + 1, np.int64)
    np.cumsum([len(shape) for shape in shapes], out=starts[1:])
    if not shapes:
        return np.zeros((0, 2)), starts
    return np.ascontiguousarray(np.concatenate(shapes)[:, :2], np.float64), starts
