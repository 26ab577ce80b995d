"""When two oriented boxes that keep their velocities and headings meet.

Role: the exact geometry below collision and time to collision. Method: separating axes; on each of the four box
axes the gap closes during one interval of time, and the boxes overlap while all four intervals do (C. Ericson,
Real-Time Collision Detection, 2005, section 5.5.8: moving convex bodies).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Box(NamedTuple):
    """K boxes. x, y: [K] m of the centre; cos, sin: [K] of the heading; vx, vy: [K] m/s; half_length, half_width:
    [K] m."""

    x: np.ndarray
    y: np.ndarray
    cos: np.ndarray
    sin: np.ndarray
    vx: np.ndarray
    vy: np.ndarray
    half_length: np.ndarray
    half_width: np.ndarray


def first_contact(a: Box, b: Box) -> tuple[np.ndarray, np.ndarray]:
    """(overlap [K] bool, seconds [K]) of pairs of boxes: whether they overlap now, and the time until they
    begin to: 0 where they do, inf where they never will. Touching is no overlap. A NaN pose meets nothing; a NaN
    velocity leaves the overlap as it is and the time at inf."""
    dx, dy, vx, vy = b.x - a.x, b.y - a.y, b.vx - a.vx, b.vy - a.vy
    cos, sin = np.abs(a.cos * b.cos + a.sin * b.sin), np.abs(a.cos * b.sin - a.sin * b.cos)
    long_a, wide_a, long_b, wide_b = a.half_length, a.half_width, b.half_length, b.half_width
    axes = (
        (a.cos, a.sin, long_a + long_b * cos + wide_b * sin),
        (-a.sin, a.cos, wide_a + long_b * sin + wide_b * cos),
        (b.cos, b.sin, long_b + long_a * cos + wide_a * sin),
        (-b.sin, b.cos, wide_b + long_a * sin + wide_a * cos),
    )
    gap = np.full_like(dx, -np.inf)
    begin, end = gap.copy(), np.full_like(dx, np.inf)
    # Without relative motion along an axis the quotients are -inf and inf (the gap is closed for ever), or both
    # infinite with one sign (never); exactly touching they are NaN, which compares as "no contact".
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        for ux, uy, reach in axes:
            at, rate = ux * dx + uy * dy, ux * vx + uy * vy
            np.maximum(gap, np.abs(at) - reach, out=gap)
            one, other = (-reach - at) / rate, (reach - at) / rate
            np.maximum(begin, np.minimum(one, other), out=begin)
            np.minimum(end, np.maximum(one, other), out=end)
    overlap = gap < 0.0
    meet = (begin < end) & (begin >= 0.0)
    return overlap, np.where(overlap, 0.0, np.where(meet, begin, np.inf))
