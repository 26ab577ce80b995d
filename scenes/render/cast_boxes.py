"""Ray casting of oriented boxes over a drawn background: slab test, exact occlusion by depth.

Role: compiled kernels of one view; whatever they call is in this file, because numba's on-disk cache does
not notice a change in another one. Depth is the distance along the camera's axis. Boxes are cast at SAMPLES
x SAMPLES samples a pixel; only pixels that a box touches are split into samples and averaged again.
Invariant: no fast-math, so that images are equal on every CPU."""

from __future__ import annotations

import math

import numba
import numpy as np

SAMPLES = 2
"""Samples a pixel along each axis: 2 keeps a far lamp or pedestrian from flickering. A constant, because the
compiler turns division by it into a shift."""
NEAR_M = 0.05
HAZE_M = 260.0
"""As in scenes.render.cast_ground."""


@numba.njit(cache=True, nogil=True)
def _bounds(corners: np.ndarray, focal: float, w: int, h: int, out: np.ndarray) -> bool:
    """Sample rectangle u0, u1, v0, v1 (inclusive, to out) that holds a box cut at the near plane; False
    when it is empty. corners: [8, 3] forward, left, up in the camera's frame; corner i and i ^ bit share an
    edge."""
    low_u, high_u, low_v, high_v = np.inf, -np.inf, np.inf, -np.inf
    for i in range(8):
        x, y, z = corners[i]
        if x >= NEAR_M:
            low_u, high_u = min(low_u, -y / x), max(high_u, -y / x)
            low_v, high_v = min(low_v, -z / x), max(high_v, -z / x)
            continue
        for axis in range(3):
            other = corners[i ^ (1 << axis)]
            if other[0] >= NEAR_M:
                part = (NEAR_M - x) / (other[0] - x)
                u = -(y + part * (other[1] - y)) / NEAR_M
                v = -(z + part * (other[2] - z)) / NEAR_M
                low_u, high_u = min(low_u, u), max(high_u, u)
                low_v, high_v = min(low_v, v), max(high_v, v)
    if low_u > high_u:
        return False
    # Clamped before the cast to integer: the near plane can put an edge a million samples away.
    out[0] = math.ceil(max(low_u * focal + 0.5 * w - 0.5, 0.0))
    out[1] = math.floor(min(high_u * focal + 0.5 * w - 0.5, w - 1.0))
    out[2] = math.ceil(max(low_v * focal + 0.5 * h - 0.5, 0.0))
    out[3] = math.floor(min(high_v * focal + 0.5 * h - 0.5, h - 1.0))
    return out[0] <= out[1] and out[2] <= out[3]


@numba.njit(cache=True, nogil=True)
def _place(
    box: np.ndarray, camera: np.ndarray, axes: tuple[float, float, float, float], out: np.ndarray
) -> None:
    """Corners [8, 3] of a box in the camera's frame (forward, left, up); corner bits 1, 2, 4 are +x, +y,
    +z."""
    cos_y, sin_y, cos_p, sin_p = axes
    for i in range(8):
        dx = box[3] if i & 1 else -box[3]
        dy = box[4] if i & 2 else -box[4]
        x = box[0] + box[6] * dx - box[7] * dy - camera[0]
        y = box[1] + box[7] * dx + box[6] * dy - camera[1]
        z = box[2] + (box[5] if i & 4 else -box[5]) - camera[2]
        ahead = cos_y * x + sin_y * y
        out[i, 0] = cos_p * ahead - sin_p * z
        out[i, 1] = -sin_y * x + cos_y * y
        out[i, 2] = sin_p * ahead + cos_p * z


@numba.njit(cache=True, nogil=True)
def _shade(
    faces: np.ndarray, emissive: bool, box: np.ndarray, distance: float, horizon: np.ndarray, out: np.ndarray
) -> None:
    """Face colours [6, 3] uint8 under a fixed sun (behind and to the left of the ego vehicle at t0), with
    haze."""
    cos, sin = box[6], box[7]
    haze = 1.0 if emissive else math.exp(-distance / HAZE_M)
    front, left = 0.25 * (0.4 * sin - 0.5 * cos), 0.25 * (0.5 * sin + 0.4 * cos)
    shades = (0.78 + front, 0.78 - front, 0.78 + left, 0.78 - left, 1.0, 0.5)
    for face in range(6):
        shade = 1.0 if emissive else shades[face]
        for b in range(3):
            out[face, b] = np.uint8(haze * shade * faces[face, b] + (1.0 - haze) * horizon[b] + 0.5)


@numba.njit(cache=True, nogil=True)
def _split(v: int, u: int, view: tuple, samples: tuple) -> None:
    """Give the samples of pixel (v, u) the pixel's colour, depth and instance."""
    rgb, depth, ids = view
    fine_rgb, fine_depth, fine_ids = samples
    for i in range(v * SAMPLES, v * SAMPLES + SAMPLES):
        for j in range(u * SAMPLES, u * SAMPLES + SAMPLES):
            fine_depth[i, j] = depth[v, u]
            fine_ids[i, j] = ids[v, u]
            for b in range(3):
                fine_rgb[i, j, b] = rgb[v, u, b]


@numba.njit(cache=True, nogil=True)
def _cast_box(
    view: tuple,
    samples: tuple,
    touched: np.ndarray,
    camera: np.ndarray,
    axes: tuple[float, float, float, float],
    box: np.ndarray,
    rect: np.ndarray,
    shaded: np.ndarray,
    instance: int,
) -> None:
    """Cast one box [8] into the samples of rectangle `rect`; axes: cos and sin of the camera's yaw and
    pitch."""
    fine_rgb, fine_depth, fine_ids = samples
    h, w = fine_depth.shape
    focal = camera[5] * SAMPLES
    cos_y, sin_y, cos_p, sin_p = axes
    hx, hy, hz, cos_b, sin_b = box[3], box[4], box[5], box[6], box[7]
    # Camera position and heading in the box's frame.
    px, py = camera[0] - box[0], camera[1] - box[1]
    ox, oy, oz = cos_b * px + sin_b * py, -sin_b * px + cos_b * py, camera[2] - box[2]
    cos_r, sin_r = cos_y * cos_b + sin_y * sin_b, sin_y * cos_b - cos_y * sin_b
    for v in range(rect[2], rect[3] + 1):
        up = -(v + 0.5 - 0.5 * h) / focal
        forward, dz = cos_p + sin_p * up, cos_p * up - sin_p
        z_in, z_out = _slab(oz, dz, hz)
        for u in range(rect[0], rect[1] + 1):
            left = -(u + 0.5 - 0.5 * w) / focal
            dx, dy = forward * cos_r - left * sin_r, forward * sin_r + left * cos_r
            x_in, x_out = _slab(ox, dx, hx)
            y_in, y_out = _slab(oy, dy, hy)
            t = max(x_in, y_in, z_in)
            if t < NEAR_M or t > min(x_out, y_out, z_out):
                continue
            if not touched[v // SAMPLES, u // SAMPLES]:
                _split(v // SAMPLES, u // SAMPLES, view, samples)
                touched[v // SAMPLES, u // SAMPLES] = True
            if t >= fine_depth[v, u]:
                continue
            if t == x_in:
                face = 0 if dx < 0.0 else 1
            elif t == y_in:
                face = 2 if dy < 0.0 else 3
            else:
                face = 4 if dz < 0.0 else 5
            fine_depth[v, u] = t
            fine_ids[v, u] = instance
            for b in range(3):
                fine_rgb[v, u, b] = shaded[face, b]


@numba.njit(cache=True, nogil=True)
def cast_boxes(
    view: tuple,
    samples: tuple,
    touched: np.ndarray,
    camera: np.ndarray,
    boxes: np.ndarray,
    faces: np.ndarray,
    emissive: np.ndarray,
    instances: np.ndarray,
    horizon: np.ndarray,
) -> None:
    """Cast boxes into a view, nearest wins. view: rgb [h, w, 3] uint8, depth [h, w] float32, ids [h, w]
    int16, drawn already; samples: scratch of the same kinds at SAMPLES times the size; touched: [h, w] bool
    scratch; camera: x, y, z, yaw, pitch, focal px; boxes: [K, 8] centre x, y, z, half length, width,
    height, cos yaw, sin yaw; faces: [K, 6, 3] front, back, left, right, top, bottom; emissive: [K], drawn
    without shading or haze; instances: [K] int16."""
    h, w = samples[1].shape
    axes = (math.cos(camera[3]), math.sin(camera[3]), math.cos(camera[4]), math.sin(camera[4]))
    corners, shaded = np.empty((8, 3)), np.empty((6, 3), np.uint8)
    rect = np.empty(4, np.int64)
    touched[:] = False
    for k in range(boxes.shape[0]):
        _place(boxes[k], camera, axes, corners)
        if _bounds(corners, camera[5] * SAMPLES, w, h, rect):
            distance = math.hypot(camera[0] - boxes[k, 0], camera[1] - boxes[k, 1])
            _shade(faces[k], emissive[k], boxes[k], distance, horizon, shaded)
            _cast_box(view, samples, touched, camera, axes, boxes[k], rect, shaded, instances[k])
    _resolve(view, samples, touched)


@numba.njit(cache=True, nogil=True)
def _slab(origin: float, direction: float, half: float) -> tuple[float, float]:
    """Depths at which a ray enters and leaves |coordinate| <= half."""
    # A ray along the slab enters and leaves it far away: 1e30 keeps the sums finite where infinity would not.
    inverse = 1.0 / direction if direction != 0.0 else 1e30
    middle, reach = -origin * inverse, abs(half * inverse)
    return middle - reach, middle + reach


@numba.njit(cache=True, nogil=True)
def _resolve(view: tuple, samples: tuple, touched: np.ndarray) -> None:
    """Average the samples of touched pixels; a pixel's instance is that of most samples, the nearest of
    equals."""
    rgb, _, ids = view
    fine_rgb, fine_depth, fine_ids = samples
    count = SAMPLES * SAMPLES
    for v in range(touched.shape[0]):
        for u in range(touched.shape[1]):
            if not touched[v, u]:
                continue
            top, left = v * SAMPLES, u * SAMPLES
            for b in range(3):
                total = count // 2
                for i in range(count):
                    total += fine_rgb[top + i // SAMPLES, left + i % SAMPLES, b]
                rgb[v, u, b] = np.uint8(total // count)
            best, best_votes, best_depth = fine_ids[top, left], 0, np.inf
            for i in range(count):
                candidate = fine_ids[top + i // SAMPLES, left + i % SAMPLES]
                if i > 0 and candidate == best:
                    continue
                votes, nearest = 0, np.inf
                for j in range(count):
                    if fine_ids[top + j // SAMPLES, left + j % SAMPLES] == candidate:
                        votes += 1
                        nearest = min(nearest, fine_depth[top + j // SAMPLES, left + j % SAMPLES])
                if votes > best_votes or (votes == best_votes and nearest < best_depth):
                    best, best_votes, best_depth = candidate, votes, nearest
            ids[v, u] = best
