"""Rasterisation of polygons and lines into one level of the ground texture.

Role: compiled kernels, no policy of their own. Rows run along y, columns along x; cell (r, c) covers [x0 +
c*cell, x0 + (c+1)*cell) x [y0 + r*cell, y0 + (r+1)*cell). Thin lines are blended by the share of the cell
they cover, so that a coarse level shows them faint instead of broken."""

from __future__ import annotations

import math

import numba
import numpy as np

from scenes.render.road_shapes import Lines, Polygons

GRAIN_CELLS = 1 << 16
"""Cells after which the ground's grain repeats; a power of two, so that wrapping is a mask."""


@numba.njit(cache=True, nogil=True)
def _toggle_edges(
    toggles: np.ndarray, window: tuple[float, float, float], polygon: np.ndarray
) -> tuple[int, int, int, int]:
    """Flip, in every row an edge crosses, the first cell whose centre is right of the crossing: a running
    exclusive-or along the row is then 1 inside the polygon [P, 2]. Returns the rows and columns touched, as
    half-open ranges."""
    x0, y0, cell = window
    rows, columns = toggles.shape
    low_r, high_r, low_c, high_c = rows, 0, columns, 0
    for i in range(polygon.shape[0]):
        ux, uy = polygon[i - 1]
        vx, vy = polygon[i]
        if uy > vy:
            ux, uy, vx, vy = vx, vy, ux, uy
        r_from = max(0, math.ceil((uy - y0) / cell - 0.5))
        r_to = min(rows, math.ceil((vy - y0) / cell - 0.5))
        for r in range(r_from, r_to):
            x = ux + (y0 + (r + 0.5) * cell - uy) * (vx - ux) / (vy - uy)
            c = math.ceil(min(max((x - x0) / cell - 0.5, 0.0), float(columns)))
            low_c, high_c = min(low_c, c), max(high_c, min(c + 1, columns))
            if c < columns:
                toggles[r, c] ^= 1
        if r_to > r_from:
            low_r, high_r = min(low_r, r_from), max(high_r, r_to)
    return low_r, high_r, low_c, high_c


@numba.njit(cache=True, nogil=True)
def _longest_edge(polygon: np.ndarray) -> tuple[float, float]:
    """Unit direction of the longest edge of a polygon [P, 2]."""
    ax, ay, longest = 1.0, 0.0, 0.0
    for i in range(polygon.shape[0]):
        dx, dy = polygon[i, 0] - polygon[i - 1, 0], polygon[i, 1] - polygon[i - 1, 1]
        length = math.hypot(dx, dy)
        if length > longest:
            ax, ay, longest = dx / length, dy / length, length
    return ax, ay


@numba.njit(cache=True, nogil=True)
def _fill_polygons(
    rgb: np.ndarray,
    ids: np.ndarray,
    toggles: np.ndarray,
    window: tuple[float, float, float],
    grain: np.ndarray,
    polygons: Polygons,
) -> None:
    """Fill polygons, cells whose centre is inside by the even-odd rule. grain: [GRAIN_CELLS] int8 added to
    the colour; toggles: [rows, columns] uint8 zeros, left as zeros. Cells coarser than a stripe get half
    the colour."""
    points, starts, colour, first_id, stripe_m = polygons
    x0, y0, cell = window
    columns = toggles.shape[1]
    for k in range(starts.shape[0] - 1):
        polygon = points[starts[k] : starts[k + 1]]
        low_r, high_r, low_c, high_c = _toggle_edges(toggles, window, polygon)
        ax, ay = _longest_edge(polygon)
        for r in range(low_r, high_r):
            inside = 0
            for c in range(low_c, high_c):
                inside ^= toggles[r, c]
                toggles[r, c] = 0
                if inside == 0:
                    continue
                if first_id >= 0:
                    ids[r, c] = first_id + k
                noise = grain[(r * columns + c) & (GRAIN_CELLS - 1)]
                if stripe_m == 0.0:
                    for b in range(3):
                        rgb[r, c, b] = np.uint8(colour[b] + noise)
                    continue
                share = 0.5
                if cell <= stripe_m:
                    along = (x0 + (c + 0.5) * cell - polygon[0, 0]) * ax
                    along += (y0 + (r + 0.5) * cell - polygon[0, 1]) * ay
                    share = 1.0 if along % (2.0 * stripe_m) < stripe_m else 0.0
                for b in range(3):
                    rgb[r, c, b] = np.uint8((1.0 - share) * rgb[r, c, b] + share * (colour[b] + noise))


@numba.njit(cache=True, nogil=True)
def _draw_lines(rgb: np.ndarray, ids: np.ndarray, window: tuple[float, float, float], lines: Lines) -> None:
    """Draw polylines with butt ends, blended by covered share; dashes start at the first point. Cells of
    which a line covers a quarter carry its instance."""
    points, starts, styles, colours, instances = lines
    x0, y0, cell = window
    rows, columns = ids.shape
    for k in range(starts.shape[0] - 1):
        width, dash, period = styles[k, 0], styles[k, 1], styles[k, 2]
        reach = 0.5 * (width + cell)
        run = 0.0
        for i in range(starts[k], starts[k + 1] - 1):
            ux, uy, vx, vy = points[i, 0], points[i, 1], points[i + 1, 0], points[i + 1, 1]
            length = math.hypot(vx - ux, vy - uy)
            if length < 1e-6:
                continue
            ax, ay = (vx - ux) / length, (vy - uy) / length
            r_from = max(0, math.floor((min(uy, vy) - reach - y0) / cell))
            r_to = min(rows, math.ceil((max(uy, vy) + reach - y0) / cell))
            for r in range(r_from, r_to):
                # Columns of this row within `reach` of the segment's line and of its ends.
                y = y0 + (r + 0.5) * cell - uy
                low, high = min(ux, vx) - reach - ux, max(ux, vx) + reach - ux
                if abs(ay) > 1e-9:
                    a, b = (y * ax - reach) / ay, (y * ax + reach) / ay
                    low, high = max(low, min(a, b)), min(high, max(a, b))
                elif abs(y) > reach:
                    continue
                c_from = max(0, math.ceil((ux + low - x0) / cell - 0.5))
                c_to = min(columns, math.floor((ux + high - x0) / cell - 0.5) + 1)
                for c in range(c_from, c_to):
                    x = x0 + (c + 0.5) * cell - ux
                    along = x * ax + y * ay
                    across = abs(y * ax - x * ay)
                    if along < 0.0 or along >= length:
                        continue
                    share = min(1.0, max(0.0, min(width, reach - across) / cell))
                    if share <= 0.0:
                        continue
                    if period > 0.0:
                        if cell > dash:
                            share *= dash / period
                        elif (run + along) % period >= dash:
                            continue
                    if instances[k] >= 0 and share >= 0.25:
                        ids[r, c] = instances[k]
                    for band in range(3):
                        value = (1.0 - share) * rgb[r, c, band] + share * colours[k, band]
                        rgb[r, c, band] = np.uint8(value + 0.5)
            run += length


@numba.njit(cache=True, nogil=True)
def paint_levels(
    rgb: np.ndarray,
    ids: np.ndarray,
    toggles: np.ndarray,
    levels: np.ndarray,
    grass: np.ndarray,
    grain: np.ndarray,
    drivable: Polygons,
    lanes: Lines,
    crosswalks: Polygons,
    marks: Lines,
) -> None:
    """Paint all levels from the ground up. rgb: [cells, 3] uint8 and ids: [cells] int16 (-1) of the levels
    end to end; toggles: scratch zeros as large as the largest level; levels: [L, 6] (see
    scenes.render.windows); grain: [L, GRAIN_CELLS]; grass: [L, 3 * GRAIN_CELLS]."""
    flat = rgb.reshape(-1)
    for level in range(levels.shape[0]):
        first, columns, rows = int(levels[level, 0]), int(levels[level, 1]), int(levels[level, 2])
        window = (levels[level, 3], levels[level, 4], levels[level, 5])
        cells = columns * rows
        for start in range(0, cells, GRAIN_CELLS):
            stop = min(cells, start + GRAIN_CELLS)
            # Flat, because the compiler copies rows of three bytes one by one.
            flat[3 * (first + start) : 3 * (first + stop)] = grass[level, : 3 * (stop - start)]
        rgb_l = rgb[first : first + cells].reshape(rows, columns, 3)
        ids_l = ids[first : first + cells].reshape(rows, columns)
        toggles_l = toggles[:cells].reshape(rows, columns)
        _fill_polygons(rgb_l, ids_l, toggles_l, window, grain[level], drivable)
        _draw_lines(rgb_l, ids_l, window, lanes)
        _fill_polygons(rgb_l, ids_l, toggles_l, window, grain[level], crosswalks)
        _draw_lines(rgb_l, ids_l, window, marks)
