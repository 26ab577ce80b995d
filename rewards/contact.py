"""When two oriented boxes that keep their velocities and headings meet.

Role: the exact geometry below collision and time to collision. Method: separating axes; on each of the four box
axes the gap closes during one interval of time, and the boxes overlap while all four intervals do (C. Ericson,
Real-Time Collision Detection, 2005, section 5.5.8: moving convex bodies). The loop is compiled
(`rewards.compiled.encounters`), one for this function and for whole drives.
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
    from rewards.compiled.encounters import contacts

    one, other = (np.stack(np.broadcast_arrays(*box)).astype(np.float64, copy=False) for box in (a, b))
    return contacts(one, other)
