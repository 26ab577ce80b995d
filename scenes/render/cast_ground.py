"""Ray casting of sky and ground: one filtered texture sample a pixel.

Role: compiled kernels of one view; whatever they call is in this file, because numba's on-disk cache does
not notice a change in another one. Depth is the distance along the camera's axis. Cameras do not roll, so a
pixel row sees the ground at one depth, and the texture is averaged over the depths that the row spans; a
painted element (crosswalk, stop line) owns a pixel from a quarter of it. Invariant: no fast-math, so that
images are equal on every CPU."""

from __future__ import annotations

import math

import numba
import numpy as np

MOST_SAMPLES = 16
HAZE_M = 260.0
"""Distance over which contrast falls to 1/e."""


@numba.njit(cache=True, nogil=True)
def _sample_row(
    total: np.ndarray,
    found: np.ndarray,
    hits: np.ndarray,
    line: tuple[float, float, float, float],
    level: int,
    rgb: np.ndarray,
    ids: np.ndarray,
    levels: np.ndarray,
    outside: np.ndarray,
) -> None:
    """Add the texture along x = line[0] + u*line[1], y = line[2] + u*line[3] to total [w, 3]; coarser
    levels serve what lies outside the window, `outside` what lies outside them all. found [w] keeps the
    first instance met and hits [w] how often it was met."""
    x, dx, y, dy = line
    for u in range(total.shape[0]):
        at = -1
        for k in range(level, levels.shape[0]):
            columns, rows, cell = int(levels[k, 1]), int(levels[k, 2]), levels[k, 5]
            c = math.floor((x + u * dx - levels[k, 3]) / cell)
            r = math.floor((y + u * dy - levels[k, 4]) / cell)
            if 0 <= c < columns and 0 <= r < rows:
                at = int(levels[k, 0]) + r * columns + c
                break
        if at < 0:
            for b in range(3):
                total[u, b] += outside[b]
            continue
        total[u, 0] += rgb[at, 0]
        total[u, 1] += rgb[at, 1]
        total[u, 2] += rgb[at, 2]
        if ids[at] >= 0:
            if found[u] < 0:
                found[u] = ids[at]
            hits[u] += ids[at] == found[u]


@numba.njit(cache=True, nogil=True)
def cast_ground(
    rgb: np.ndarray,
    depth: np.ndarray,
    ids: np.ndarray,
    camera: np.ndarray,
    far_m: float,
    ground_rgb: np.ndarray,
    ground_ids: np.ndarray,
    levels: np.ndarray,
    zenith: np.ndarray,
    horizon: np.ndarray,
) -> None:
    """Fill a view with sky and ground. rgb: [h, w, 3] uint8; depth: [h, w] float32; ids: [h, w] int16;
    camera: x, y, z, yaw, pitch, focal px; ground_rgb, ground_ids, levels: see scenes.render.ground.Ground."""
    h, w = depth.shape
    cx, cy, cz, yaw, pitch, focal = camera[0], camera[1], camera[2], camera[3], camera[4], camera[5]
    cos_y, sin_y, cos_p, sin_p = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    total = np.empty((w, 3), np.float32)
    found, hits = np.empty(w, np.int16), np.empty(w, np.int16)
    colour = np.empty(3)
    for v in range(h):
        up = -(v + 0.5 - 0.5 * h) / focal
        rise, forward = cos_p * up - sin_p, cos_p + sin_p * up
        upper, lower = rise + 0.5 * cos_p / focal, rise - 0.5 * cos_p / focal
        if rise >= 0.0 or cz > -rise * far_m:
            # Sky, or ground so far that it is drawn as horizon.
            share = min(1.0, max(0.0, rise / 0.8))
            for b in range(3):
                colour[b] = (1.0 - share) * horizon[b] + share * zenith[b]
            _fill_row(rgb[v], depth[v], ids[v], colour)
            continue
        middle, near = cz / -rise, cz / -lower
        far = min(far_m, cz / -upper) if upper < 0.0 else far_m
        cell = max(middle / focal, (far - near) / (4.0 * MOST_SAMPLES), levels[0, 5])
        level = min(levels.shape[0] - 1, math.ceil(math.log2(cell / levels[0, 5]) - 1e-9))
        samples = min(MOST_SAMPLES, 1 + math.floor((far - near) / (levels[0, 5] * 2.0**level)))
        haze = math.exp(-middle / HAZE_M)
        total[:] = 0.0
        found[:] = -1
        hits[:] = 0
        for j in range(samples):
            z = lower + (upper - lower) * (j + 0.5) / samples
            t = min(far_m, cz / -z) if z < 0.0 else far_m
            left, step = t * (0.5 * w - 0.5) / focal, -t / focal
            x, y = cx + t * forward * cos_y - left * sin_y, cy + t * forward * sin_y + left * cos_y
            line = (x, -step * sin_y, y, step * cos_y)
            _sample_row(total, found, hits, line, level, ground_rgb, ground_ids, levels, horizon)
        for u in range(w):
            depth[v, u] = middle
            ids[v, u] = found[u] if 4 * hits[u] >= samples else -1
            for b in range(3):
                rgb[v, u, b] = np.uint8(haze * total[u, b] / samples + (1.0 - haze) * horizon[b] + 0.5)


@numba.njit(cache=True, nogil=True)
def _fill_row(rgb: np.ndarray, depth: np.ndarray, ids: np.ndarray, colour: np.ndarray) -> None:
    for u in range(depth.shape[0]):
        depth[u] = np.inf
        ids[u] = -1
        for b in range(3):
            rgb[u, b] = np.uint8(colour[b] + 0.5)
