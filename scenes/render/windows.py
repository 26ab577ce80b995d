"""Which ground each texture level must cover for a rig.

Role: level k serves depths at which a pixel is up to one of its cells wide. Its window is the bounding box
of the cameras' view triangles to that depth, over all frames; the coarsest level reaches RANGE_M. Metres,
ego frame at t0."""

from __future__ import annotations

import math
from functools import lru_cache

import numba
import numpy as np

from scenes.cameras import CameraRig

RANGE_M = 200.0
SMALL_CELL_M, CELL_M = 0.1, 0.2
"""Finest cell for images at least WIDE_PX wide, and for smaller ones."""
WIDE_PX = 192


def level_windows(rig: CameraRig, poses: np.ndarray) -> np.ndarray:
    """[L, 6] of first cell (levels laid end to end), columns, rows, x0, y0, cell size, finest level first,
    for ego poses [F, 3]."""
    cameras, finest, count = _optics(rig)
    return _windows(cameras, poses, finest, count)


@lru_cache(maxsize=32)
def _optics(rig: CameraRig) -> tuple[np.ndarray, float, int]:
    """[C, 5] x, y, yaw, tangent of half the field of view, focal px; the finest cell; the number of
    levels."""
    rows = [(*c.position[:2], c.yaw, math.tan(0.5 * c.fov), c.focal(rig.width)) for c in rig.cameras]
    finest = SMALL_CELL_M if rig.width >= WIDE_PX else CELL_M
    widest = min(row[4] for row in rows)
    return np.array(rows), finest, max(1, round(math.log2(max(1.0, RANGE_M / (widest * finest)))) + 1)


@numba.njit(cache=True, nogil=True)
def _windows(cameras: np.ndarray, poses: np.ndarray, finest: float, count: int) -> np.ndarray:
    out = np.empty((count, 6))
    first = 0
    for level in range(count):
        cell = finest * 2.0**level
        low_x, low_y, high_x, high_y = np.inf, np.inf, -np.inf, -np.inf
        for f in range(poses.shape[0]):
            cos, sin = math.cos(poses[f, 2]), math.sin(poses[f, 2])
            for c in range(cameras.shape[0]):
                x = poses[f, 0] + cos * cameras[c, 0] - sin * cameras[c, 1]
                y = poses[f, 1] + sin * cameras[c, 0] + cos * cameras[c, 1]
                depth = RANGE_M if level == count - 1 else min(RANGE_M, cameras[c, 4] * cell)
                ax, ay = math.cos(poses[f, 2] + cameras[c, 2]), math.sin(poses[f, 2] + cameras[c, 2])
                low_x, high_x, low_y, high_y = min(low_x, x), max(high_x, x), min(low_y, y), max(high_y, y)
                for side in (-cameras[c, 3], cameras[c, 3]):
                    u, v = x + depth * (ax - side * ay), y + depth * (ay + side * ax)
                    low_x, high_x, low_y, high_y = (
                        min(low_x, u),
                        max(high_x, u),
                        min(low_y, v),
                        max(high_y, v),
                    )
        column, row = math.floor(low_x / cell) - 1, math.floor(low_y / cell) - 1
        columns, rows = math.ceil(high_x / cell) + 1 - column, math.ceil(high_y / cell) + 1 - row
        out[level, 0], out[level, 1], out[level, 2] = first, columns, rows
        out[level, 3], out[level, 4], out[level, 5] = column * cell, row * cell, cell
        first += columns * rows
    return out
