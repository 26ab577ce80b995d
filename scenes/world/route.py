"""Routes as tables over arc length: pose, curvature and the speed that comfort allows.

Role: turns the bends of scene specs into arrays that the simulation and the road map look up.
Invariant: a table starts at S_START, has STEP_M between rows and goes on straight beyond its ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scenes.world.spec import SceneSpec

S_START, S_END, STEP_M = -50.0, 190.0, 0.5
ROWS = int((S_END - S_START) / STEP_M) + 1
LATERAL_COMFORT = 2.0
"""Lateral acceleration in m/s² that the expert accepts in bends (facts: hard comfort bound 4.89)."""
BEND_BRAKING = 1.2
UNLIMITED = 1e3
"""Allowed speed where nothing limits it, m/s."""


X, Y, YAW, KAPPA, ALLOWED = range(5)


@dataclass(frozen=True)
class Routes:
    """B routes. table: [B, ROWS, 5] of x, y, yaw, curvature and allowed speed: the speed m/s that lets the
    expert slow at BEND_BRAKING for every bend and speed limit ahead."""

    table: np.ndarray

    def at(self, s: np.ndarray) -> np.ndarray:
        """Rows [..., 5] at s [B] or [B, N] by linear interpolation; constant beyond the ends."""
        u = np.minimum(np.maximum((s - S_START) / STEP_M, 0.0), ROWS - 1.000001)
        i = u.astype(np.int64)
        first = ROWS * np.arange(len(self.table)).reshape((-1,) + (1,) * (s.ndim - 1))
        flat = self.table.reshape(-1, self.table.shape[2])
        low = flat[first + i]
        return low + (u - i)[..., None] * (flat[first + i + 1] - low)

    def pose(self, s: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """World x, y, yaw at Frenet s, d ([B] or [B, N]); straight beyond the ends."""
        rows = self.at(s)
        yaw = rows[..., YAW]
        cos, sin = np.cos(yaw), np.sin(yaw)
        beyond = s - np.minimum(np.maximum(s, S_START), S_END)
        return rows[..., X] + beyond * cos - d * sin, rows[..., Y] + beyond * sin + d * cos, yaw

    def project(self, x: np.ndarray, y: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frenet s, d [B] of world points, by Newton steps from a close guess of s [B]."""
        for _ in range(3):
            rows = self.at(s)
            dx, dy = x - rows[..., X], y - rows[..., Y]
            cos, sin = np.cos(rows[..., YAW]), np.sin(rows[..., YAW])
            across = cos * dy - sin * dx
            s = s + (cos * dx + sin * dy) / np.maximum(1.0 - rows[..., KAPPA] * across, 0.2)
        px, py, yaw = self.pose(s, np.zeros_like(s))
        return s, np.cos(yaw) * (y - py) - np.sin(yaw) * (x - px)


def _curvature(spec: SceneSpec, s: np.ndarray) -> np.ndarray:
    kappa = np.zeros_like(s)
    for start, length, value in spec.bends:
        rise = np.clip((s - start) / spec.ramp, 0.0, 1.0)
        fall = np.clip((start + length - s) / spec.ramp, 0.0, 1.0)
        kappa += value * np.minimum(rise, fall)
    return kappa


def build_routes(specs: Sequence[SceneSpec]) -> Routes:
    """Tables of the routes of scene specs."""
    s = S_START + STEP_M * np.arange(ROWS)
    kappa = np.stack([_curvature(spec, s) for spec in specs])
    origin = int(-S_START / STEP_M)
    yaw = np.concatenate([np.zeros((len(specs), 1)), np.cumsum(_middle(kappa), axis=1)], axis=1)
    yaw -= yaw[:, origin, None]
    middle = 0.5 * (yaw[:, :-1] + yaw[:, 1:])
    x = np.concatenate([np.zeros((len(specs), 1)), np.cumsum(STEP_M * np.cos(middle), axis=1)], axis=1)
    y = np.concatenate([np.zeros((len(specs), 1)), np.cumsum(STEP_M * np.sin(middle), axis=1)], axis=1)
    x, y = x - x[:, origin, None], y - y[:, origin, None]
    limit = np.stack([np.where(s >= spec.limit_s, spec.limit_v, UNLIMITED) for spec in specs])
    return Routes(np.stack([x, y, yaw, kappa, _allowed(kappa, limit)], axis=-1))


def straightened(routes: Routes) -> Routes:
    """The same routes without any bend and without what depends on bends."""
    table = np.zeros_like(routes.table)
    table[..., X] = S_START + STEP_M * np.arange(ROWS)
    table[..., ALLOWED] = UNLIMITED
    return Routes(table)


def _middle(values: np.ndarray) -> np.ndarray:
    return STEP_M * 0.5 * (values[:, :-1] + values[:, 1:])


def _allowed(kappa: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """Backward pass: the speed profile under bend and limit speeds with bounded braking."""
    allowed = np.minimum(np.sqrt(LATERAL_COMFORT / np.maximum(np.abs(kappa), 1e-6)), limit)
    for i in range(ROWS - 2, -1, -1):
        allowed[:, i] = np.minimum(
            allowed[:, i], np.sqrt(allowed[:, i + 1] ** 2 + 2.0 * BEND_BRAKING * STEP_M)
        )
    return allowed
