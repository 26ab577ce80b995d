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


@dataclass(frozen=True)
class Routes:
    """B routes. x, y, yaw, kappa, allowed: [B, ROWS]; allowed is the speed m/s that lets the expert slow at
    BEND_BRAKING for every bend and speed limit ahead."""

    x: np.ndarray
    y: np.ndarray
    yaw: np.ndarray
    kappa: np.ndarray
    allowed: np.ndarray

    def row(self, values: np.ndarray, s: np.ndarray) -> np.ndarray:
        """Linear interpolation of values [B, ROWS] at s [B] or [B, N]; constant beyond the ends."""
        u = np.clip((s - S_START) / STEP_M, 0.0, ROWS - 1.000001)
        i = u.astype(np.int64)
        b = np.arange(len(values)).reshape((-1,) + (1,) * (s.ndim - 1))
        low = values[b, i]
        return low + (u - i) * (values[b, i + 1] - low)

    def pose(self, s: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """World x, y, yaw at Frenet s, d ([B] or [B, N]); straight beyond the ends."""
        inside = np.clip(s, S_START, S_END)
        yaw = self.row(self.yaw, inside)
        cos, sin = np.cos(yaw), np.sin(yaw)
        beyond = s - inside
        x = self.row(self.x, inside) + beyond * cos - d * sin
        y = self.row(self.y, inside) + beyond * sin + d * cos
        return x, y, yaw

    def project(self, x: np.ndarray, y: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frenet s, d [B] of world points, by Newton steps from a close guess of s [B]."""
        for _ in range(3):
            px, py, yaw = self.pose(s, np.zeros_like(s))
            along = (x - px) * np.cos(yaw) + (y - py) * np.sin(yaw)
            across = -(x - px) * np.sin(yaw) + (y - py) * np.cos(yaw)
            s = s + along / np.maximum(1.0 - self.row(self.kappa, s) * across, 0.2)
        px, py, yaw = self.pose(s, np.zeros_like(s))
        return s, -(x - px) * np.sin(yaw) + (y - py) * np.cos(yaw)


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
    return Routes(x, y, yaw, kappa, _allowed(kappa, limit))


def straightened(routes: Routes) -> Routes:
    """The same routes without any bend and without what depends on bends."""
    s = np.broadcast_to(S_START + STEP_M * np.arange(ROWS), routes.x.shape)
    zero = np.zeros_like(routes.x)
    return Routes(s, zero, zero, zero, np.full_like(zero, UNLIMITED))


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
