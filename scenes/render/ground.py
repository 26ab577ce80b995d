"""The ground as a pyramid of bird's-eye textures, each level only as large as the cameras can use.

Role: paints grass, road, kerbs, markings, crosswalks and stop lines in the ego frame at t0. Level k has
cells 2^k times the finest and covers the ground where a pixel is about one cell wide, so fine cells are
painted near by and coarse ones far away. Invariant: the coarsest level covers every camera's view to
RANGE_M; x, y metres."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from scenes.cameras import CameraRig
from scenes.clip import RoadMap
from scenes.render import palette, raster

SMALL_CELL_M, CELL_M = 0.1, 0.2
"""Finest cell for images at least WIDE_PX wide, and for smaller ones."""
WIDE_PX = 192
RANGE_M = 200.0
STRIPE_M = 0.5
LINE_STYLES: dict[str, tuple[float, float, float]] = {
    "solid": (0.2, 0.0, 0.0),
    "dashed": (0.2, 3.0, 9.0),
    "kerb": (0.3, 0.0, 0.0),
}
"""Width, dash length and dash period in metres of each boundary kind. The MUTCD gives lines 0.10-0.15 m and
dashes of 3 m with gaps of 9 m; lines are drawn a little wider and gaps a little shorter, for small
images."""
STOP_LINE_M = 0.5


@lru_cache(maxsize=16)
def _grain(level: int) -> tuple[np.ndarray, np.ndarray]:
    """Grain of a level, and grass with that grain [GRAIN_CELLS, 3]."""
    grain = palette.grain(raster.GRAIN_CELLS, level)
    return grain, (np.array(palette.GRASS) + grain[:, None]).astype(np.uint8)


@dataclass(frozen=True)
class Ground:
    """Levels laid end to end. rgb: [cells, 3] uint8; ids: [cells] int16 instance or -1; levels: [L, 6] of
    first cell, columns, rows, x0, y0, cell size; names: instances in id order."""

    rgb: np.ndarray
    ids: np.ndarray
    levels: np.ndarray
    names: tuple[str, ...]


def ground_names(road: RoadMap | None) -> tuple[str, ...]:
    """Names of the map elements that are texture: "crosswalk:<i>" then "stop_line:<i>"."""
    if road is None:
        return ()
    crosswalks = tuple(f"crosswalk:{i}" for i in range(len(road.crosswalks)))
    return crosswalks + tuple(f"stop_line:{i}" for i in range(len(road.stop_lines)))


def build_ground(road: RoadMap | None, rig: CameraRig, poses: np.ndarray, first_id: int) -> Ground:
    """Paint what the rig can see of the road from ego poses [F, 3] (x, y, yaw). Ids start at first_id.

    Raises ValueError for a boundary kind that has no line style."""
    windows = _windows(rig, poses)
    sizes = windows[:, 1].astype(np.int64) * windows[:, 2].astype(np.int64)
    windows[:, 0] = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    rgb = np.empty((int(sizes.sum()), 3), np.uint8)
    ids = np.full(len(rgb), -1, np.int16)
    shapes = _Shapes.of(road, first_id)
    for level, (first, columns, rows, x0, y0, cell) in enumerate(windows):
        part = slice(int(first), int(first) + int(columns) * int(rows))
        rgb_l = rgb[part].reshape(int(rows), int(columns), 3)
        ids_l = ids[part].reshape(int(rows), int(columns))
        grass = _grain(level)[1]
        for start in range(part.start, part.stop, len(grass)):
            stop = min(part.stop, start + len(grass))
            rgb[start:stop] = grass[: stop - start]
        if road is not None:
            shapes.paint(rgb_l, ids_l, (float(x0), float(y0), float(cell)), level)
    return Ground(rgb, ids, windows, ground_names(road))


def _windows(rig: CameraRig, poses: np.ndarray) -> np.ndarray:
    """[L, 6] windows (see Ground.levels): bounding boxes of the view triangles to the depth each level
    serves."""
    focals = np.array([camera.focal(rig.width) for camera in rig.cameras])
    mounts = np.array([camera.position[:2] for camera in rig.cameras])
    yaws = poses[:, None, 2] + np.array([camera.yaw for camera in rig.cameras])
    apexes = poses[:, None, :2] + _rotate(mounts[None], poses[:, None, 2])
    side = np.broadcast_to(np.tan([0.5 * camera.fov for camera in rig.cameras]), yaws.shape)
    ahead = np.ones_like(side)
    rays = np.stack([_rotate(np.stack((ahead, y), axis=-1), yaws) for y in (side, -side)])
    rays = np.concatenate((rays, np.zeros_like(rays[:1])))  # The camera itself is a corner.
    finest = SMALL_CELL_M if rig.width >= WIDE_PX else CELL_M
    count = max(1, round(math.log2(max(1.0, RANGE_M / (focals.min() * finest)))) + 1)
    cells = finest * 2.0 ** np.arange(count)[:, None]
    depths = np.minimum(RANGE_M, focals * cells)
    depths[-1] = RANGE_M
    corners = apexes + depths[:, None, None, :, None] * rays
    low = np.floor(corners.min(axis=(1, 2, 3)) / cells) - 1
    spans = np.ceil(corners.max(axis=(1, 2, 3)) / cells) + 1 - low
    return np.concatenate((np.zeros((count, 1)), spans, low * cells, cells), axis=1)


def _rotate(points: np.ndarray, yaws: np.ndarray) -> np.ndarray:
    """[..., 2] points, each turned by its yaw [...]."""
    c, s = np.cos(yaws), np.sin(yaws)
    return np.stack(
        (c * points[..., 0] - s * points[..., 1], s * points[..., 0] + c * points[..., 1]), axis=-1
    )


def _join(shapes: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Polylines or polygons end to end: points [M, 2] float64 and offsets [K+1] int64."""
    starts = np.concatenate(([0], np.cumsum([len(s) for s in shapes]))).astype(np.int64)
    points = (
        np.concatenate([np.asarray(s, np.float64)[:, :2] for s in shapes]) if shapes else np.zeros((0, 2))
    )
    return np.ascontiguousarray(points), starts


@dataclass(frozen=True)
class _Lines:
    points: np.ndarray
    starts: np.ndarray
    styles: np.ndarray
    colours: np.ndarray
    instances: np.ndarray


def _lines(
    polylines: Sequence[np.ndarray],
    styles: Sequence[tuple[float, float, float]],
    colours: Sequence[palette.Colour],
    instances: Sequence[int],
) -> _Lines:
    points, starts = _join(polylines)
    return _Lines(
        points,
        starts,
        np.array(styles, np.float64).reshape(-1, 3),
        np.array(colours, np.uint8).reshape(-1, 3),
        np.array(instances, np.int64),
    )


@dataclass(frozen=True)
class _Shapes:
    """A road flattened to the arrays that the raster kernels take."""

    drivable: tuple[np.ndarray, np.ndarray]
    crosswalks: tuple[np.ndarray, np.ndarray]
    crosswalk_id: int
    lanes: _Lines
    marks: _Lines

    @staticmethod
    def of(road: RoadMap | None, first_id: int) -> _Shapes:
        if road is None:
            road = RoadMap((), (), (), (), ())
        unknown = sorted(set(road.boundary_kinds) - set(LINE_STYLES))
        if unknown:
            raise ValueError(f"boundary kinds {unknown}: must be one of {', '.join(LINE_STYLES)}")
        # Without drivable polygons the lanes themselves, at their widths, are the road.
        bare = [] if road.drivable else list(zip(road.lanes, road.lane_widths, strict=True))
        lanes = _lines(
            [lane for lane, _ in bare],
            [(width, 0.0, 0.0) for _, width in bare],
            [palette.ASPHALT] * len(bare),
            [-1] * len(bare),
        )
        stops = list(road.stop_lines)
        stop_id = first_id + len(road.crosswalks)
        kerb = {True: palette.KERB, False: palette.MARKING}
        marks = _lines(
            stops + list(road.boundaries),
            [(STOP_LINE_M, 0.0, 0.0)] * len(stops) + [LINE_STYLES[kind] for kind in road.boundary_kinds],
            [palette.MARKING] * len(stops) + [kerb[kind == "kerb"] for kind in road.boundary_kinds],
            [stop_id + i for i in range(len(stops))] + [-1] * len(road.boundaries),
        )
        return _Shapes(_join(road.drivable), _join(road.crosswalks), first_id, lanes, marks)

    def paint(self, rgb: np.ndarray, ids: np.ndarray, window: tuple[float, float, float], level: int) -> None:
        """Paint one level, from the ground up."""
        grain, _ = _grain(level)
        toggles = np.zeros(ids.shape, np.uint8)
        asphalt = np.array(palette.ASPHALT, np.int64)
        white = np.array(palette.MARKING, np.int64)
        raster.fill_polygons(rgb, ids, toggles, window, *self.drivable, asphalt, grain, -1, 0.0)
        for lines in (self.lanes, self.marks):
            if lines is self.marks and len(self.crosswalks[1]) > 1:
                raster.fill_polygons(
                    rgb, ids, toggles, window, *self.crosswalks, white, grain, self.crosswalk_id, STRIPE_M
                )
            if len(lines.instances):
                raster.draw_lines(
                    rgb, ids, window, lines.points, lines.starts, lines.styles, lines.colours, lines.instances
                )
