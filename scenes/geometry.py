"""Plane geometry: oriented boxes, polylines with Frenet coordinates, polygons.

Role: the one geometry that the world, collision rewards and closed-loop stepping share.
Invariant: pure functions on float64 arrays; metres and radians; left of a polyline is positive.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

FEW = 2048
"""Pairs of point and segment below which looking for the near ones costs more than it saves."""
_CORNER_SIGNS = np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])


def wrap_angle(angle: ArrayLike) -> np.ndarray:
    """Angles in (-pi, pi]."""
    return -((-np.asarray(angle, dtype=np.float64) + np.pi) % (2.0 * np.pi) - np.pi)


def transform(points: ArrayLike, pose: ArrayLike) -> np.ndarray:
    """World points [..., 2] of local points, for a local frame at pose [..., 3] (x, y, yaw)."""
    points, pose = np.asarray(points, dtype=np.float64), np.asarray(pose, dtype=np.float64)
    cos, sin = np.cos(pose[..., 2]), np.sin(pose[..., 2])
    x = pose[..., 0] + cos * points[..., 0] - sin * points[..., 1]
    y = pose[..., 1] + sin * points[..., 0] + cos * points[..., 1]
    return np.stack([x, y], axis=-1)


def to_frame(points: ArrayLike, pose: ArrayLike) -> np.ndarray:
    """Local points [..., 2] of world points, for a local frame at pose [..., 3] (x, y, yaw)."""
    points, pose = np.asarray(points, dtype=np.float64), np.asarray(pose, dtype=np.float64)
    cos, sin = np.cos(pose[..., 2]), np.sin(pose[..., 2])
    dx, dy = points[..., 0] - pose[..., 0], points[..., 1] - pose[..., 1]
    return np.stack([cos * dx + sin * dy, -sin * dx + cos * dy], axis=-1)


def box_corners(poses: ArrayLike, sizes: ArrayLike) -> np.ndarray:
    """Corners [..., 4, 2], counter-clockwise from front left, of boxes centred at poses [..., 3] (x, y, yaw)
    with sizes [..., >= 2] (length, width)."""
    poses, sizes = np.asarray(poses, dtype=np.float64), np.asarray(sizes, dtype=np.float64)
    local = 0.5 * sizes[..., None, :2] * _CORNER_SIGNS
    return transform(local, poses[..., None, :])


def box_clearance(pose_a: ArrayLike, size_a: ArrayLike, pose_b: ArrayLike, size_b: ArrayLike) -> np.ndarray:
    """Largest separation [...] m over the four box axes: negative means the boxes overlap by that much,
    positive is a lower bound of their distance (exact where a face is nearest). Broadcasts."""
    pose_a, pose_b = np.asarray(pose_a, dtype=np.float64), np.asarray(pose_b, dtype=np.float64)
    half_a = 0.5 * np.asarray(size_a, dtype=np.float64)[..., :2]
    half_b = 0.5 * np.asarray(size_b, dtype=np.float64)[..., :2]
    dx, dy = pose_b[..., 0] - pose_a[..., 0], pose_b[..., 1] - pose_a[..., 1]
    ca, sa = np.cos(pose_a[..., 2]), np.sin(pose_a[..., 2])
    cb, sb = np.cos(pose_b[..., 2]), np.sin(pose_b[..., 2])
    cos, sin = np.abs(ca * cb + sa * sb), np.abs(ca * sb - sa * cb)
    long_b, wide_b = half_b[..., 0] * cos + half_b[..., 1] * sin, half_b[..., 0] * sin + half_b[..., 1] * cos
    long_a, wide_a = half_a[..., 0] * cos + half_a[..., 1] * sin, half_a[..., 0] * sin + half_a[..., 1] * cos
    in_a = np.maximum(
        np.abs(ca * dx + sa * dy) - half_a[..., 0] - long_b,
        np.abs(ca * dy - sa * dx) - half_a[..., 1] - wide_b,
    )
    in_b = np.maximum(
        np.abs(cb * dx + sb * dy) - half_b[..., 0] - long_a,
        np.abs(cb * dy - sb * dx) - half_b[..., 1] - wide_a,
    )
    return np.maximum(in_a, in_b)


def boxes_overlap(pose_a: ArrayLike, size_a: ArrayLike, pose_b: ArrayLike, size_b: ArrayLike) -> np.ndarray:
    """Whether oriented boxes overlap [...], by separating axes. poses [..., 3] of box centres, sizes
    [..., >= 2]. Broadcasts over batches and time; a NaN pose overlaps nothing."""
    return box_clearance(pose_a, size_a, pose_b, size_b) < 0.0


def ego_box_pose(states: ArrayLike, offset: float | np.ndarray) -> np.ndarray:
    """Box-centre poses [..., 3] of an ego whose rear axle is at states [..., >= 3] and whose box centre lies
    `offset` m ahead of it (last entry of Clip.ego_size)."""
    states = np.asarray(states, dtype=np.float64)
    yaw = states[..., 2]
    x, y = states[..., 0] + offset * np.cos(yaw), states[..., 1] + offset * np.sin(yaw)
    return np.stack([x, y, yaw], axis=-1)


def arc_length(polyline: ArrayLike) -> np.ndarray:
    """Distance [P] m along a polyline [P, 2] from its first point."""
    steps = np.linalg.norm(np.diff(np.asarray(polyline, dtype=np.float64), axis=0), axis=-1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def headings(polyline: ArrayLike) -> np.ndarray:
    """Unwrapped heading [P] rad at the points of a polyline [P, 2] (central differences)."""
    points = np.asarray(polyline, dtype=np.float64)
    if len(points) < 2:
        raise ValueError(f"a polyline of {len(points)} points has no heading; pass at least 2")
    step = np.gradient(points, axis=0)
    return np.unwrap(np.arctan2(step[:, 1], step[:, 0]))


def curvature(polyline: ArrayLike) -> np.ndarray:
    """Signed curvature [P] 1/m at the points of a polyline [P, 2]; left turns are positive."""
    return np.gradient(headings(polyline), arc_length(polyline))


def project(points: ArrayLike, polyline: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Frenet coordinates (s [...], d [...]) m of points [..., 2]: distance along the polyline [P, 2] to the
    nearest point, and the signed distance to its left. Beyond the ends s stays at 0 or the length."""
    points, line = np.asarray(points, dtype=np.float64), np.asarray(polyline, dtype=np.float64)
    if len(line) < 2:
        raise ValueError(f"a polyline of {len(line)} points cannot be projected on; pass at least 2")
    near = _segments_near(points.reshape(-1, 2), line)
    at = arc_length(line)[near]
    start, step = line[near], np.diff(line, axis=0)[near]
    length = np.linalg.norm(step, axis=-1)
    tangent = step / length[:, None]
    # Axis by axis: sums over a last axis of two are slow.
    dx, dy = points[..., 0, None] - start[:, 0], points[..., 1, None] - start[:, 1]
    along = dx * tangent[:, 0]
    along += dy * tangent[:, 1]
    np.minimum(np.maximum(along, 0.0, out=along), length, out=along)
    dx -= along * tangent[:, 0]
    dy -= along * tangent[:, 1]
    distance = np.sqrt(dx * dx + dy * dy)
    best = np.argmin(distance, axis=-1)
    along, distance = (np.take_along_axis(v, best[..., None], axis=-1)[..., 0] for v in (along, distance))
    offset = points - start[best]
    across = tangent[best, 0] * offset[..., 1] - tangent[best, 1] * offset[..., 0]
    return at[best] + along, np.where(across < 0.0, -1.0, 1.0) * distance


def _segments_near(points: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Indices, in order, of the segments of a polyline that can be nearest to any of points [N, 2]: those no
    further from the points' bounding box than the farthest of the points is from some vertex."""
    few = len(points) * len(line) <= FEW
    if few or not np.isfinite(points).all():
        return np.arange(len(line) - 1)
    low, high = points.min(axis=0), points.max(axis=0)
    vertices = line[:: max(len(line) // 32, 1)]
    squares = np.sum(points**2, axis=-1)[:, None] + np.sum(vertices**2, axis=-1) - 2.0 * points @ vertices.T
    # Rounding of the squares must not make the bound too tight.
    size = 1.0 + max(float(np.abs(points).max()), float(np.abs(vertices).max()))
    farthest = np.sqrt(max(float(squares.min(axis=-1).max()), 0.0) + 1e-12 * size**2)
    ends = np.stack([line[:-1], line[1:]])
    gap = np.maximum(np.maximum(low - ends.max(axis=0), ends.min(axis=0) - high), 0.0)
    return np.flatnonzero(np.linalg.norm(gap, axis=-1) <= farthest)


def locate(s: ArrayLike, d: ArrayLike, polyline: ArrayLike) -> np.ndarray:
    """Poses [..., 3] at Frenet coordinates (s, d) of a polyline [P, 2];
    it goes on straight beyond its ends."""
    line = np.asarray(polyline, dtype=np.float64)
    s, d = np.broadcast_arrays(np.asarray(s, dtype=np.float64), np.asarray(d, dtype=np.float64))
    length, heading = arc_length(line), headings(line)
    inside = np.clip(s, 0.0, length[-1])
    yaw = np.interp(inside, length, heading)
    beyond = s - inside
    x = np.interp(inside, length, line[:, 0]) + beyond * np.cos(yaw) - d * np.sin(yaw)
    y = np.interp(inside, length, line[:, 1]) + beyond * np.sin(yaw) + d * np.cos(yaw)
    return np.stack([x, y, yaw], axis=-1)


def in_polygon(points: ArrayLike, polygon: ArrayLike) -> np.ndarray:
    """Whether points [..., 2] lie inside a simple polygon [R, 2] (even-odd rule; the edge is undefined)."""
    points, ring = np.asarray(points, dtype=np.float64), np.asarray(polygon, dtype=np.float64)
    if ring.ndim != 2 or len(ring) < 3:
        raise ValueError(f"a polygon needs at least 3 points, not shape {ring.shape}")
    x, y = points[..., 0, None], points[..., 1, None]
    x0, y0 = ring[:, 0], ring[:, 1]
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    spans = (y0 > y) != (y1 > y)
    rise = np.where(y1 == y0, 1.0, y1 - y0)
    hits = spans & (x < (x1 - x0) * (y - y0) / rise + x0)
    return np.sum(hits, axis=-1) % 2 == 1
