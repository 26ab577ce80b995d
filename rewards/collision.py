"""Collision and time to collision of predicted ego states with the logged futures of other road users.

Time to collision at a step: the seconds until the ego's box and a road user's would overlap if both kept the
speed and the heading that they have at that step; 0 where they overlap, the horizon where they would not within
it. Source: J. C. Hayward, Near-miss determination through use of a scale of danger, Highway Research Record 384,
1972; here for oriented boxes in the plane and solved exactly (`rewards.contact`).
Invariants: a collision at a step implies a time to collision of 0 there; memory is bounded by the chunk, not
by the batch or the traffic.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rewards.contact import Box, first_contact
from rewards.traffic import Traffic, traffic
from scenes.clip import Clip

CHUNK = 1 << 16
"""Pairs of ego step and road user examined at once: small enough for a core's cache."""


class Encounters(NamedTuple):
    """collision: [R, T] bool; seconds: [R, T] time to collision, at most the horizon."""

    collision: np.ndarray
    seconds: np.ndarray


class _Bodies(NamedTuple):
    """M boxes over T steps. x, y, cos, sin, vx, vy: [M, T]; half: [M, 2] m; radius: [M] m around the centre."""

    x: np.ndarray
    y: np.ndarray
    cos: np.ndarray
    sin: np.ndarray
    vx: np.ndarray
    vy: np.ndarray
    half: np.ndarray
    radius: np.ndarray

    def boxes(self, row: np.ndarray, step: np.ndarray) -> Box:
        """The boxes at pairs of row and step [K]."""
        flat = row * self.x.shape[1] + step
        x, y, cos, sin, vx, vy = (np.take(column, flat) for column in self[:6])
        return Box(x, y, cos, sin, vx, vy, self.half[row, 0], self.half[row, 1])


def encounters(
    states: np.ndarray,
    clip: np.ndarray,
    sizes: np.ndarray,
    others: Traffic,
    margin_m: float = 0.0,
    horizon_s: float = 3.0,
) -> Encounters:
    """Collisions and times to collision of states [R, T, 4], row r driven in clip[r] of `others` by an ego of
    sizes [R, 4] (`Clip.ego_size`), whose box is grown by `margin_m` on every side."""
    count, steps = states.shape[:2]
    collision = np.zeros(count * steps, dtype=bool)
    seconds = np.full(count * steps, float(horizon_s))
    ego, users = _ego(states, sizes, margin_m), _users(others)
    first = others.start[clip]
    numbers = others.start[clip + 1] - first
    rows = np.repeat(np.arange(count), numbers)
    user = np.arange(len(rows)) + np.repeat(first - np.cumsum(numbers) + numbers, numbers)
    pairs = max(CHUNK // steps, 1)
    for begin in range(0, len(rows), pairs):
        some, their = rows[begin : begin + pairs], user[begin : begin + pairs]
        near = np.flatnonzero(_may_meet(ego, users, some, their, horizon_s) & others.counted[their])
        pair, step = near // steps, near % steps
        overlap, until = first_contact(ego.boxes(some[pair], step), users.boxes(their[pair], step))
        mine = some[pair] * steps + step
        collision[mine[overlap]] = True
        np.minimum.at(seconds, mine, until)
    return Encounters(collision.reshape(count, steps), seconds.reshape(count, steps))


def collides(states: np.ndarray, clip: Clip, margin_m: float = 0.0) -> np.ndarray:
    """[B] bool: the ego box, grown by `margin_m` on every side, overlaps a road user's box at some step.

    states: [B, T, 4] in the clip's frame, T the clip's future steps. Steps at which the expert's own box
    overlaps a road user's are not counted against a prediction: there the annotation is wrong."""
    others = traffic([clip], states.shape[-2])
    sizes = np.tile(np.asarray(clip.ego_size, dtype=np.float64), (len(states), 1))
    found = encounters(states, np.zeros(len(states), dtype=np.intp), sizes, others, margin_m)
    return np.asarray(found.collision.any(axis=-1))


def _ego(states: np.ndarray, sizes: np.ndarray, margin_m: float) -> _Bodies:
    x, y, yaw, speed = np.moveaxis(states, -1, 0)
    cos, sin = np.cos(yaw), np.sin(yaw)
    ahead, half = sizes[:, 3:], 0.5 * sizes[:, :2] + margin_m
    radius = np.hypot(half[:, 0], half[:, 1])
    return _Bodies(x + ahead * cos, y + ahead * sin, cos, sin, speed * cos, speed * sin, half, radius)


def _users(others: Traffic) -> _Bodies:
    x, y, yaw = np.moveaxis(others.poses, -1, 0)
    cos, sin = np.cos(yaw), np.sin(yaw)
    radius = np.hypot(others.half[:, 0], others.half[:, 1])
    return _Bodies(x, y, cos, sin, others.speed * cos, others.speed * sin, others.half, radius)


def _may_meet(
    ego: _Bodies, users: _Bodies, row: np.ndarray, user: np.ndarray, horizon_s: float
) -> np.ndarray:
    """[P, T] bool: whether the circles around the boxes of pairs [P] overlap at a step or would within the
    horizon. A cheap sieve that lets every contact through."""
    dx, dy = users.x[user] - ego.x[row], users.y[user] - ego.y[row]
    vx, vy = users.vx[user] - ego.vx[row], users.vy[user] - ego.vy[row]
    # The sieve's circles are a little larger, so that rounding never hides a contact of corners.
    reach = (1.0001 * (ego.radius[row] + users.radius[user]) + 1e-6)[:, None] ** 2
    closest = np.clip(-(dx * vx + dy * vy) / np.maximum(vx * vx + vy * vy, 1e-12), 0.0, horizon_s)
    now = dx * dx + dy * dy < reach
    dx += closest * vx
    dy += closest * vy
    return now | (dx * dx + dy * dy < reach)
