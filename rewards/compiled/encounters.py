"""Boxes that meet, for every state of every drive: the loops behind `rewards.collision` and `rewards.contact`."""

from __future__ import annotations

import math

import numba
import numpy as np

STEP_S = 0.1


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _contact(
    dx: float,
    dy: float,
    vx: float,
    vy: float,
    cos_a: float,
    sin_a: float,
    long_a: float,
    wide_a: float,
    cos_b: float,
    sin_b: float,
    long_b: float,
    wide_b: float,
) -> tuple[bool, float]:
    """(overlap, seconds until contact) of box b, seen from box a at relative place and velocity; half sizes."""
    cos, sin = abs(cos_a * cos_b + sin_a * sin_b), abs(cos_a * sin_b - sin_a * cos_b)
    overlap = meets = True
    begin, end = -math.inf, math.inf
    for axis in range(4):
        if axis == 0:
            ux, uy, reach = cos_a, sin_a, long_a + long_b * cos + wide_b * sin
        elif axis == 1:
            ux, uy, reach = -sin_a, cos_a, wide_a + long_b * sin + wide_b * cos
        elif axis == 2:
            ux, uy, reach = cos_b, sin_b, long_b + long_a * cos + wide_a * sin
        else:
            ux, uy, reach = -sin_b, cos_b, wide_b + long_a * sin + wide_a * cos
        at, rate = ux * dx + uy * dy, ux * vx + uy * vy
        # A comparison is False for NaN: a pose without numbers overlaps nothing, a velocity meets nothing.
        overlap = overlap and abs(at) < reach
        if rate == 0.0:
            meets = meets and abs(at) < reach
            continue
        one, other = (-reach - at) / rate, (reach - at) / rate
        low, high = (one, other) if one <= other else (other, one)
        meets = meets and low <= high
        begin, end = max(begin, low), min(end, high)
    if overlap:
        return True, 0.0
    return False, begin if meets and begin < end and begin >= 0.0 else math.inf


@numba.njit(cache=True, nogil=True)
def contacts(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(overlap [K], seconds [K]) of pairs of boxes [8, K]: x, y, cos, sin, vx, vy, half length, half width."""
    overlap, seconds = np.empty(a.shape[1], np.bool_), np.empty(a.shape[1])
    for k in range(a.shape[1]):
        overlap[k], seconds[k] = _contact(
            b[0, k] - a[0, k],
            b[1, k] - a[1, k],
            b[4, k] - a[4, k],
            b[5, k] - a[5, k],
            a[2, k],
            a[3, k],
            a[6, k],
            a[7, k],
            b[2, k],
            b[3, k],
            b[6, k],
            b[7, k],
        )
    return overlap, seconds


@numba.njit(cache=True, nogil=True)
def speeds(poses: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """[A, K] m/s along the heading of poses [A, K, 3]: see `rewards.traffic.speeds`."""
    out = np.full(valid.shape, np.nan)
    last = valid.shape[1] - 1
    for a in range(valid.shape[0]):
        for k in range(last + 1):
            before = k - 1 if k > 0 and valid[a, k - 1] else k
            after = k + 1 if k < last and valid[a, k + 1] else k
            if not valid[a, k] or after == before:
                continue
            dx, dy = poses[a, after, 0] - poses[a, before, 0], poses[a, after, 1] - poses[a, before, 1]
            along = math.cos(poses[a, k, 2]) * dx + math.sin(poses[a, k, 2]) * dy
            out[a, k] = along / ((after - before) * STEP_S)
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def observed(
    poses: np.ndarray,
    valid: np.ndarray,
    sizes: np.ndarray,
    owner: np.ndarray,
    experts: np.ndarray,
    ego_sizes: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """(moving [A, T, 6], counted [A, T]) of poses [A, T + 1, 3] whose first step is only looked back at: x, y, cos,
    sin and velocity; counted where valid and not overlapping the expert's own box. sizes: [A, 2]; owner: [A] the
    clip of each in experts [C, T, 4] and ego_sizes [C, 4]."""
    count, steps = poses.shape[0], poses.shape[1] - 1
    moving, counted = np.empty((count, steps, 6)), np.empty((count, steps), np.bool_)
    speed = speeds(poses, valid)
    for a in range(count):
        c = owner[a]
        ahead, long_a, wide_a = ego_sizes[c, 3], 0.5 * ego_sizes[c, 0], 0.5 * ego_sizes[c, 1]
        for t in range(steps):
            x, y, yaw, along = poses[a, t + 1, 0], poses[a, t + 1, 1], poses[a, t + 1, 2], speed[a, t + 1]
            cos, sin = math.cos(yaw), math.sin(yaw)
            moving[a, t, 0], moving[a, t, 1], moving[a, t, 2], moving[a, t, 3] = x, y, cos, sin
            moving[a, t, 4], moving[a, t, 5] = along * cos, along * sin
            counted[a, t] = valid[a, t + 1]
            if counted[a, t]:
                ego_cos, ego_sin = math.cos(experts[c, t, 2]), math.sin(experts[c, t, 2])
                overlap, _ = _contact(
                    x - experts[c, t, 0] - ahead * ego_cos,
                    y - experts[c, t, 1] - ahead * ego_sin,
                    0.0,
                    0.0,
                    ego_cos,
                    ego_sin,
                    long_a,
                    wide_a,
                    cos,
                    sin,
                    0.5 * sizes[a, 0],
                    0.5 * sizes[a, 1],
                )
                counted[a, t] = not overlap
    return moving, counted


@numba.njit(cache=True, nogil=True)
def encounters(
    states: np.ndarray,
    clip: np.ndarray,
    sizes: np.ndarray,
    start: np.ndarray,
    users: np.ndarray,
    half: np.ndarray,
    counted: np.ndarray,
    margin: float,
    horizon: float,
) -> tuple[np.ndarray, np.ndarray]:
    """(collision [R, T], seconds [R, T]) of states [R, T, 4] with the users [A, T, 6] (see `observed`) of their
    clips; sizes: [R, 4]; start: [C + 1]; half: [A, 2]; counted: [A, T]."""
    rows, steps = states.shape[0], states.shape[1]
    collision, seconds = np.zeros((rows, steps), np.bool_), np.full((rows, steps), horizon)
    ego = np.empty((steps, 6))
    for r in range(rows):
        first, last = start[clip[r]], start[clip[r] + 1]
        if first == last:
            continue
        long_a, wide_a = 0.5 * sizes[r, 0] + margin, 0.5 * sizes[r, 1] + margin
        radius = math.sqrt(long_a * long_a + wide_a * wide_a)
        for t in range(steps):
            cos, sin, speed = math.cos(states[r, t, 2]), math.sin(states[r, t, 2]), states[r, t, 3]
            ego[t, 0] = states[r, t, 0] + sizes[r, 3] * cos
            ego[t, 1] = states[r, t, 1] + sizes[r, 3] * sin
            ego[t, 2], ego[t, 3], ego[t, 4], ego[t, 5] = cos, sin, speed * cos, speed * sin
        for a in range(first, last):
            long_b, wide_b = half[a, 0], half[a, 1]
            # The sieve's circles are a little larger, so that rounding never hides a contact of corners.
            reach = 1.0001 * (radius + math.sqrt(long_b * long_b + wide_b * wide_b)) + 1e-6
            reach *= reach
            for t in range(steps):
                if not counted[a, t]:
                    continue
                dx, dy = users[a, t, 0] - ego[t, 0], users[a, t, 1] - ego[t, 1]
                vx, vy = users[a, t, 4] - ego[t, 4], users[a, t, 5] - ego[t, 5]
                if not dx * dx + dy * dy < reach:
                    until = min(max(-(dx * vx + dy * vy) / max(vx * vx + vy * vy, 1e-12), 0.0), horizon)
                    then_x, then_y = dx + until * vx, dy + until * vy
                    if not then_x * then_x + then_y * then_y < reach:
                        continue
                overlap, until = _contact(
                    dx,
                    dy,
                    vx,
                    vy,
                    ego[t, 2],
                    ego[t, 3],
                    long_a,
                    wide_a,
                    users[a, t, 2],
                    users[a, t, 3],
                    long_b,
                    wide_b,
                )
                collision[r, t] |= overlap
                seconds[r, t] = min(seconds[r, t], until)
    return collision, seconds
