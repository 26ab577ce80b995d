"""Slow geometry for tests, written from definitions and sharing nothing with the code under test."""

from __future__ import annotations

import math

Point = tuple[float, float]


def corners(x: float, y: float, yaw: float, length: float, width: float) -> list[Point]:
    """Corners of a box, counter-clockwise."""
    out = []
    for a, b in ((0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5), (0.5, -0.5)):
        along, across = a * length, b * width
        out.append(
            (
                x + along * math.cos(yaw) - across * math.sin(yaw),
                y + along * math.sin(yaw) + across * math.cos(yaw),
            )
        )
    return out


def common_area(one: list[Point], other: list[Point]) -> float:
    """Area m² that two convex counter-clockwise polygons share (Sutherland and Hodgman's clipping)."""
    shape = one
    for i, a in enumerate(other):
        b = other[(i + 1) % len(other)]
        clipped: list[Point] = []
        for j, p in enumerate(shape):
            q = shape[(j + 1) % len(shape)]
            side_p, side_q = _left(a, b, p), _left(a, b, q)
            if side_p >= 0:
                clipped.append(p)
            if side_p * side_q < 0:
                t = side_p / (side_p - side_q)
                clipped.append((p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])))
        shape = clipped
    return 0.5 * sum(p[0] * q[1] - q[0] * p[1] for p, q in zip(shape, shape[1:] + shape[:1], strict=True))


def _left(a: Point, b: Point, p: Point) -> float:
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])


def inside(point: Point, ring: list[Point]) -> bool:
    """Whether the angles under which a point sees the edges of a simple polygon add up to a full turn."""
    total = 0.0
    for (x0, y0), (x1, y1) in zip(ring, ring[1:] + ring[:1], strict=True):
        a, b = math.atan2(y0 - point[1], x0 - point[0]), math.atan2(y1 - point[1], x1 - point[0])
        total += math.remainder(b - a, 2.0 * math.pi)
    return abs(total) > math.pi


def distance_to_ring(point: Point, ring: list[Point]) -> float:
    """Distance m from a point to the nearest edge of a polygon."""
    best = math.inf
    for (x0, y0), (x1, y1) in zip(ring, ring[1:] + ring[:1], strict=True):
        dx, dy = x1 - x0, y1 - y0
        length = dx * dx + dy * dy
        t = 0.0 if length == 0.0 else ((point[0] - x0) * dx + (point[1] - y0) * dy) / length
        t = min(max(t, 0.0), 1.0)
        best = min(best, math.hypot(point[0] - x0 - t * dx, point[1] - y0 - t * dy))
    return best
