"""The ray caster: ground by texture look-up, boxes by slab test, exact occlusion by depth.

Role: compiled kernels of one view; everything they call is in this file, because numba's on-disk cache does not
notice a change in another one. Depth is the distance along the camera's axis. Boxes are cast at `s` x `s` samples
a pixel, the ground at one filtered sample a pixel. Invariant: no fast-math, so images are equal on every CPU
that follows IEEE 754.
"""

from __future__ import annotations

import math

import numba
import numpy as np

NEAR_M = 0.05
MOST_GROUND_SAMPLES = 16
HAZE_M = 260.0
"""Distance over which contrast falls to 1/e."""


@numba.njit(cache=True, nogil=True)
def _ground_colour(
    x: float, y: float, level: int, rgb: np.ndarray, ids: np.ndarray, levels: np.ndarray, total: np.ndarray
) -> int:
    """Add the texture at (x, y) to `total` and return its instance; coarser levels serve what lies outside."""
    for k in range(level, levels.shape[0]):
        columns, rows, cell = levels[k, 1], levels[k, 2], levels[k, 5]
        c = math.floor((x - levels[k, 3]) / cell)
        r = math.floor((y - levels[k, 4]) / cell)
        if 0 <= c < columns and 0 <= r < rows:
            at = int(levels[k, 0]) + int(r) * int(columns) + int(c)
            total[0] += rgb[at, 0]
            total[1] += rgb[at, 1]
            total[2] += rgb[at, 2]
            return int(ids[at])
    return -2


@numba.njit(cache=True, nogil=True)
def cast_ground(
    colour: np.ndarray,
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
    """Fill a view with sky and ground. colour: [h, w, 3] float32; depth: [h, w] float32; ids: [h, w] int16;
    camera: x, y, z, yaw, pitch, focal px; levels: see scenes.render.ground.Ground."""
    h, w = depth.shape
    cx, cy, cz, yaw, pitch, focal = camera[0], camera[1], camera[2], camera[3], camera[4], camera[5]
    cos_y, sin_y, cos_p, sin_p = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    total = np.zeros(3)
    cell0 = levels[0, 5]
    for v in range(h):
        up = -(v + 0.5 - 0.5 * h) / focal
        rise = cos_p * up - sin_p
        forward = cos_p + sin_p * up
        upper = cos_p * (up + 0.5 / focal) - sin_p
        lower = cos_p * (up - 0.5 / focal) - sin_p
        if rise >= 0.0 or cz > -rise * far_m:
            # Sky, or ground beyond what the texture covers, which haze would hide.
            share = min(1.0, max(0.0, rise / 0.8))
            for u in range(w):
                depth[v, u] = np.inf
                ids[v, u] = -1
                for b in range(3):
                    colour[v, u, b] = (1.0 - share) * horizon[b] + share * zenith[b]
            continue
        near = cz / -lower
        far = min(far_m, cz / -upper) if upper < 0.0 else far_m
        middle = cz / -rise
        extent = far - near
        cell = max(middle / focal, extent / (4.0 * MOST_GROUND_SAMPLES), cell0)
        level = min(levels.shape[0] - 1, int(math.ceil(math.log2(cell / cell0) - 1e-9)))
        samples = min(MOST_GROUND_SAMPLES, 1 + int(extent / (cell0 * 2.0**level)))
        haze = math.exp(-middle / HAZE_M)
        for u in range(w):
            left = -(u + 0.5 - 0.5 * w) / focal
            total[:] = 0.0
            found, hits, outside = -1, 0, 0
            for j in range(samples):
                z = lower + (upper - lower) * (j + 0.5) / samples
                t = min(far_m, cz / -z) if z < 0.0 else far_m
                x = cx + t * (forward * cos_y - left * sin_y)
                y = cy + t * (forward * sin_y + left * cos_y)
                found_here = _ground_colour(x, y, level, ground_rgb, ground_ids, levels, total)
                if found_here == -2:
                    outside += 1
                elif found_here >= 0:
                    if found < 0:
                        found = found_here
                    if found_here == found:
                        hits += 1
            depth[v, u] = middle
            ids[v, u] = found if 2 * hits >= samples else -1
            inside = samples - outside
            for b in range(3):
                mean = (total[b] + outside * horizon[b]) / (inside + outside)
                colour[v, u, b] = haze * mean + (1.0 - haze) * horizon[b]


@numba.njit(cache=True, nogil=True)
def upsample(
    colour: np.ndarray,
    depth: np.ndarray,
    ids: np.ndarray,
    fine_colour: np.ndarray,
    fine_depth: np.ndarray,
    fine_ids: np.ndarray,
    s: int,
) -> None:
    """Copy each pixel to its s x s samples."""
    h, w = depth.shape
    for v in range(h * s):
        for u in range(w * s):
            fine_depth[v, u] = depth[v // s, u // s]
            fine_ids[v, u] = ids[v // s, u // s]
            for b in range(3):
                fine_colour[v, u, b] = colour[v // s, u // s, b]


@numba.njit(cache=True, nogil=True)
def _bounds(rel: np.ndarray, near_rows: np.ndarray, focal: float, w: int, h: int, out: np.ndarray) -> bool:
    """Pixel rectangle that holds a box with camera-frame corners rel [8, 3] (forward, left, up), cut at the near
    plane. Writes u0, u1, v0, v1 to out; False when nothing is in view. near_rows: [12, 2] corner pairs (edges)."""
    low_u, high_u, low_v, high_v = np.inf, -np.inf, np.inf, -np.inf
    for i in range(8):
        if rel[i, 0] >= NEAR_M:
            u, v = -rel[i, 1] / rel[i, 0], -rel[i, 2] / rel[i, 0]
            low_u, high_u, low_v, high_v = min(low_u, u), max(high_u, u), min(low_v, v), max(high_v, v)
    for i in range(12):
        a, b = near_rows[i, 0], near_rows[i, 1]
        if (rel[a, 0] >= NEAR_M) != (rel[b, 0] >= NEAR_M):
            part = (NEAR_M - rel[a, 0]) / (rel[b, 0] - rel[a, 0])
            u = -(rel[a, 1] + part * (rel[b, 1] - rel[a, 1])) / NEAR_M
            v = -(rel[a, 2] + part * (rel[b, 2] - rel[a, 2])) / NEAR_M
            low_u, high_u, low_v, high_v = min(low_u, u), max(high_u, u), min(low_v, v), max(high_v, v)
    if low_u > high_u:
        return False
    u0, u1 = low_u * focal + 0.5 * w - 0.5, high_u * focal + 0.5 * w - 0.5
    v0, v1 = low_v * focal + 0.5 * h - 0.5, high_v * focal + 0.5 * h - 0.5
    if u1 < 0.0 or v1 < 0.0 or u0 > w - 1 or v0 > h - 1:
        return False
    out[0] = max(0, int(math.ceil(max(u0, -1.0))))
    out[1] = min(w - 1, int(math.floor(min(u1, float(w)))))
    out[2] = max(0, int(math.ceil(max(v0, -1.0))))
    out[3] = min(h - 1, int(math.floor(min(v1, float(h)))))
    return True


@numba.njit(cache=True, nogil=True, error_model="numpy")
def cast_boxes(
    colour: np.ndarray,
    depth: np.ndarray,
    ids: np.ndarray,
    camera: np.ndarray,
    boxes: np.ndarray,
    faces: np.ndarray,
    emissive: np.ndarray,
    instances: np.ndarray,
    edges: np.ndarray,
    horizon: np.ndarray,
) -> None:
    """Cast oriented boxes into a view of samples [h, w], nearest wins.

    boxes: [K, 8] centre x, y, z, half length, half width, half height, cos yaw, sin yaw; faces: [K, 6, 3] colours of
    the front, back, left, right, top and bottom face; emissive: [K] bool, drawn without shading or haze;
    instances: [K] int16; edges: [12, 2] pairs of corner numbers (bit 0: +x, 1: +y, 2: +z)."""
    h, w = depth.shape
    cx, cy, cz, yaw, pitch, focal = camera[0], camera[1], camera[2], camera[3], camera[4], camera[5]
    cos_y, sin_y, cos_p, sin_p = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    rel = np.empty((8, 3))
    shaded = np.empty((6, 3), np.float32)
    rect = np.empty(4, np.int64)
    for k in range(boxes.shape[0]):
        hx, hy, hz, cos_b, sin_b = boxes[k, 3], boxes[k, 4], boxes[k, 5], boxes[k, 6], boxes[k, 7]
        for i in range(8):
            dx = hx if i & 1 else -hx
            dy = hy if i & 2 else -hy
            x = boxes[k, 0] + cos_b * dx - sin_b * dy - cx
            y = boxes[k, 1] + sin_b * dx + cos_b * dy - cy
            z = boxes[k, 2] + (hz if i & 4 else -hz) - cz
            ahead = cos_y * x + sin_y * y
            rel[i, 0] = cos_p * ahead - sin_p * z
            rel[i, 1] = -sin_y * x + cos_y * y
            rel[i, 2] = sin_p * ahead + cos_p * z
        if not _bounds(rel, edges, focal, w, h, rect):
            continue
        _shade(shaded, faces[k], emissive[k], boxes[k], math.hypot(boxes[k, 0] - cx, boxes[k, 1] - cy), horizon)
        # Camera position and axes in the box's frame: a ray is origin + t * (F + left * L + up * U).
        px, py = cx - boxes[k, 0], cy - boxes[k, 1]
        ox, oy, oz = cos_b * px + sin_b * py, -sin_b * px + cos_b * py, cz - boxes[k, 2]
        cos_r, sin_r = cos_y * cos_b + sin_y * sin_b, sin_y * cos_b - cos_y * sin_b
        for v in range(rect[2], rect[3] + 1):
            up = -(v + 0.5 - 0.5 * h) / focal
            forward, dz = cos_p + sin_p * up, cos_p * up - sin_p
            tz0, tz1 = (-hz - oz) / dz, (hz - oz) / dz
            z_in, z_out = min(tz0, tz1), max(tz0, tz1)
            for u in range(rect[0], rect[1] + 1):
                left = -(u + 0.5 - 0.5 * w) / focal
                dx, dy = forward * cos_r - left * sin_r, forward * sin_r + left * cos_r
                tx0, tx1 = (-hx - ox) / dx, (hx - ox) / dx
                ty0, ty1 = (-hy - oy) / dy, (hy - oy) / dy
                x_in, y_in = min(tx0, tx1), min(ty0, ty1)
                t = max(x_in, y_in, z_in)
                if t < NEAR_M or t >= depth[v, u] or t > min(max(tx0, tx1), max(ty0, ty1), z_out):
                    continue
                if t == x_in:
                    face = 0 if dx < 0.0 else 1
                elif t == y_in:
                    face = 2 if dy < 0.0 else 3
                else:
                    face = 4 if dz < 0.0 else 5
                depth[v, u] = t
                ids[v, u] = instances[k]
                colour[v, u, 0] = shaded[face, 0]
                colour[v, u, 1] = shaded[face, 1]
                colour[v, u, 2] = shaded[face, 2]


@numba.njit(cache=True, nogil=True)
def _shade(
    out: np.ndarray, faces: np.ndarray, emissive: bool, box: np.ndarray, distance: float, horizon: np.ndarray
) -> None:
    """Face colours [6, 3] under a fixed sun (from behind and left of the ego heading at t0) with distance haze."""
    cos_b, sin_b = box[6], box[7]
    haze = 1.0 if emissive else math.exp(-distance / HAZE_M)
    for face in range(6):
        if face == 0:
            lit = -0.5 * cos_b + 0.4 * sin_b
        elif face == 1:
            lit = 0.5 * cos_b - 0.4 * sin_b
        elif face == 2:
            lit = 0.5 * sin_b + 0.4 * cos_b
        elif face == 3:
            lit = -0.5 * sin_b - 0.4 * cos_b
        else:
            lit = 0.0
        shade = 0.78 + 0.25 * lit
        if face == 4:
            shade = 1.0
        elif face == 5:
            shade = 0.5
        if emissive:
            shade = 1.0
        for b in range(3):
            out[face, b] = haze * shade * faces[face, b] + (1.0 - haze) * horizon[b]


@numba.njit(cache=True, nogil=True)
def resolve(
    fine_colour: np.ndarray,
    fine_depth: np.ndarray,
    fine_ids: np.ndarray,
    rgb: np.ndarray,
    ids: np.ndarray,
    s: int,
) -> None:
    """Average s x s samples to rgb [h, w, 3] uint8; ids [h, w] gets the instance of most samples, the nearest of
    equals."""
    h, w = ids.shape
    for v in range(h):
        for u in range(w):
            for b in range(3):
                total = 0.0
                for i in range(s):
                    for j in range(s):
                        total += fine_colour[v * s + i, u * s + j, b]
                rgb[v, u, b] = np.uint8(min(255.0, max(0.0, total / (s * s) + 0.5)))
            best, best_count, best_depth = fine_ids[v * s, u * s], 0, np.inf
            for i in range(s * s):
                candidate = fine_ids[v * s + i // s, u * s + i % s]
                count, nearest = 0, np.inf
                for j in range(s * s):
                    if fine_ids[v * s + j // s, u * s + j % s] == candidate:
                        count += 1
                        nearest = min(nearest, fine_depth[v * s + j // s, u * s + j % s])
                if count > best_count or (count == best_count and nearest < best_depth):
                    best, best_count, best_depth = candidate, count, nearest
            ids[v, u] = best
