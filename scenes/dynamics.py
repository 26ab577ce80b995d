"""Unicycle vehicle dynamics with acceleration-curvature actions, and their inverse.

Role: the one integrator that the procedural world, the trajectory codec and the rewards share.
Invariant: `integrate` never clips (speed may go negative when the actions say so) and is float64 throughout.
Source: the action space of the released Alpamayo-R1 (UnicycleAccelCurvature); equation 5 of the paper
(arXiv 2511.00088).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from scenes.trajectory import STEP_S

RIDGE_RETRIES = 8
STANDSTILL = 1e-9
"""Lowest speed m/s of a vehicle that never drives backwards: above rounding, so that sums never fall below 0."""


@dataclass(frozen=True)
class FitSettings:
    """Weights of the Tikhonov fit. `*_lambda` multiply squared finite differences divided by dt^(2 order),
    `*_ridge` the squared unknowns. Defaults are the release's (config.json of nvidia/Alpamayo-R1-10B)."""

    theta_lambda: float = 1e-6
    theta_ridge: float = 1e-8
    v_lambda: float = 1e-6
    v_ridge: float = 1e-4
    a_lambda: float = 1e-4
    a_ridge: float = 1e-4
    kappa_lambda: float = 1e-4
    kappa_ridge: float = 1e-4


DEFAULT_FIT = FitSettings()


def integrate(actions: ArrayLike, v0: ArrayLike, dt: float = STEP_S) -> np.ndarray:
    """States that actions lead to from the origin with heading 0.

    actions: [..., T, 2] acceleration m/s², curvature 1/m. v0: [...] m/s. Returns [..., T, 4]: x m, y m,
    yaw rad, speed m/s at the end of each step. Speed is the running sum of a dt; yaw that of
    k (v dt + a dt²/2); position the trapezoid of v (cos yaw, sin yaw).
    """
    actions = np.asarray(actions, dtype=np.float64)
    if actions.ndim < 2 or actions.shape[-1] != 2:
        raise ValueError(f"actions have shape {actions.shape}; pass [..., T, 2] (acceleration, curvature)")
    start = np.broadcast_to(np.asarray(v0, dtype=np.float64), actions.shape[:-2])
    accel, kappa = actions[..., 0], actions[..., 1]
    speed = np.concatenate([start[..., None], start[..., None] + np.cumsum(accel * dt, axis=-1)], axis=-1)
    turned = np.cumsum(kappa * (speed[..., :-1] * dt + 0.5 * accel * dt * dt), axis=-1)
    yaw = np.concatenate([np.zeros_like(start)[..., None], turned], axis=-1)
    vx, vy = speed * np.cos(yaw), speed * np.sin(yaw)
    x = np.cumsum(0.5 * dt * (vx[..., :-1] + vx[..., 1:]), axis=-1)
    y = np.cumsum(0.5 * dt * (vy[..., :-1] + vy[..., 1:]), axis=-1)
    return np.stack([x, y, yaw[..., 1:], speed[..., 1:]], axis=-1)


def forward_only(accel: ArrayLike, v: ArrayLike, dt: float = STEP_S) -> np.ndarray:
    """The nearest acceleration m/s² that does not take a vehicle at v m/s backwards within one step."""
    return np.maximum(accel, -np.maximum(np.asarray(v) - STANDSTILL, 0.0) / dt)


def hold_at_standstill(accel: ArrayLike, v0: ArrayLike, dt: float = STEP_S) -> np.ndarray:
    """Accelerations [..., T] m/s² of a vehicle that brakes to a standstill and not beyond it.

    accel: [..., T] as commanded; v0: [...] m/s. A command that would take the speed below 0 becomes the one that
    ends at 0; a later positive one sets off again. What a brake pedal does, and what `integrate` leaves undone.
    """
    held = np.array(accel, dtype=np.float64)
    speed = np.broadcast_to(np.asarray(v0, dtype=np.float64), held.shape[:-1]).copy()
    for step in range(held.shape[-1]):
        held[..., step] = forward_only(held[..., step], speed, dt)
        speed = speed + held[..., step] * dt
    return held


@lru_cache(maxsize=64)
def _difference_penalty(n: int, order: int) -> np.ndarray:
    """D'D as columns [n, order+1] (read-only) for the plain finite difference D of this order on n points:
    entry [j, k] is (D'D)[j+k, j]."""
    stencil = np.array([1.0])
    for _ in range(order):
        stencil = np.convolve(stencil, [-1.0, 1.0])
    columns = np.zeros((n, order + 1))
    for start in range(n - order):
        for j in range(order + 1):
            for i in range(j, order + 1):
                columns[start + j, i - j] += stencil[i] * stencil[j]
    columns.flags.writeable = False
    return columns


def _solve_with_ridge(columns: np.ndarray, rhs: np.ndarray, ridge: float) -> np.ndarray:
    """Solve (A + ridge I) x = rhs [n, B]; after a failed factorisation the ridge grows tenfold, as in the
    release. columns: of A, [n, w+1] shared by all right-hand sides, or [n, w+1, B]."""
    # Not above: vLLM's start on a CPU looks into every module that is loaded, and fails at numba's.
    from scenes.banded import solve

    for _ in range(RIDGE_RETRIES):
        try:
            return solve(columns, rhs, ridge)
        except np.linalg.LinAlgError:
            ridge *= 10.0
    raise np.linalg.LinAlgError(
        f"trajectory fit is singular even with ridge {ridge:g}; check the poses for non-finite values"
    )


def _speed_system(
    x: np.ndarray, y: np.ndarray, yaw: np.ndarray, lam: float, dt: float
) -> tuple[np.ndarray, np.ndarray]:
    """Columns [n, 4, B] and right-hand side [n, B] of the speed fit through n poses [n, B]."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    dx, dy = 2.0 / dt * np.diff(x, axis=0), 2.0 / dt * np.diff(y, axis=0)
    columns = np.empty((len(yaw), 4, *yaw.shape[1:]))
    columns[...] = (lam / dt**6 * _difference_penalty(len(yaw), 3))[..., None]
    columns[:-1, 0] += 1.0
    columns[1:, 0] += 1.0
    columns[:-1, 1] += cos[:-1] * cos[1:] + sin[:-1] * sin[1:]
    rhs = np.zeros_like(yaw)
    rhs[:-1] += dx * cos[:-1] + dy * sin[:-1]
    rhs[1:] += dx * cos[1:] + dy * sin[1:]
    return columns, rhs


def _poses(name: str, poses: ArrayLike, least: int) -> np.ndarray:
    """float64 poses [..., n, 3+], finite and at least `least` long, or a ValueError."""
    array = np.asarray(poses, dtype=np.float64)
    if array.ndim < 2 or array.shape[-1] < 3 or array.shape[-2] < least:
        raise ValueError(f"{name} has shape {array.shape}; pass [..., n >= {least}, >= 3] of x, y, yaw")
    if not np.all(np.isfinite(array[..., :3])):
        raise ValueError(f"{name} holds non-finite poses; drop the clip or refit its track")
    return array


def _by_step(poses: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y and unwrapped yaw, each [n, B] contiguous, of poses [..., n, 3+]."""
    n = poses.shape[-2]
    flat = np.ascontiguousarray(np.moveaxis(poses[..., :3].reshape(-1, n, 3), 0, -1))
    return flat[:, 0], flat[:, 1], _unwrapped(flat[:, 2])


def _unwrapped(yaw: np.ndarray) -> np.ndarray:
    """Yaw [n, B] without jumps along the first axis; untouched where it has none (numpy's unwrap is slow)."""
    if np.abs(np.diff(yaw, axis=0)).max(initial=0.0) <= np.pi:
        return yaw
    return np.unwrap(yaw, axis=0)


def fitted_speeds(poses: ArrayLike, settings: FitSettings = DEFAULT_FIT, dt: float = STEP_S) -> np.ndarray:
    """Speeds [..., n] m/s along a motion, least squares on all its poses [..., n, 3 or 4] of x, y, yaw (a speed
    column is not used)."""
    array = _poses("poses", poses, 4)
    return _speeds(array, settings, dt).T.reshape(array.shape[:-1])


def _speeds(poses: np.ndarray, settings: FitSettings, dt: float) -> np.ndarray:
    """Speeds [n, B] along checked poses."""
    columns, rhs = _speed_system(*_by_step(poses), settings.v_lambda, dt)
    return _solve_with_ridge(columns, rhs, settings.v_ridge)


def initial_speed(history: ArrayLike, settings: FitSettings = DEFAULT_FIT, dt: float = STEP_S) -> np.ndarray:
    """Speed m/s at the last history pose, least squares on the whole history.

    history: [..., H, 3 or 4] of x, y, yaw (a speed column is not used). Returns [...].
    """
    return fitted_speeds(_poses("history", history, 4), settings, dt)[..., -1]


def fit_actions(
    history: ArrayLike, future: ArrayLike, settings: FitSettings = DEFAULT_FIT, dt: float = STEP_S
) -> np.ndarray:
    """Actions [..., T, 2] that the release's Tikhonov fit gives for a recorded motion.

    history: [..., H, 3 or 4] and future: [..., T, 3 or 4] of x, y, yaw in the ego frame at t0, so history
    ends at the origin with heading 0 (ValueError otherwise). Heading, speed, acceleration and curvature are
    smoothed in turn; the result reproduces the motion approximately, so measure `integrate` against it.
    """
    past, ahead = _poses("history", history, 4), _poses("future", future, 4)
    if np.max(np.abs(past[..., -1, :3]), initial=0.0) > 1e-3:
        raise ValueError("history does not end at the origin; transform the clip into its ego frame at t0")
    n, lead = ahead.shape[-2], ahead.shape[:-2]
    v0 = np.broadcast_to(_speeds(past, settings, dt)[-1].reshape(past.shape[:-2]), lead).reshape(-1)
    x, y, theta = _by_step(ahead)
    theta = _fitted_yaw(theta, settings, dt)
    yaw, x, y = (np.concatenate([np.zeros((1, len(v0))), part]) for part in (theta, x, y))
    speed = np.concatenate([v0[None], _fitted_future_speeds(x, y, yaw, v0, settings, dt)])
    penalty = _difference_penalty(n, 2)
    columns = settings.a_lambda / dt**4 * penalty
    columns[:, 0] += 1.0
    accel = _solve_with_ridge(columns, np.diff(speed, axis=0) / dt, settings.a_ridge)
    step = dt * speed[:-1] + 0.5 * dt * dt * accel
    columns = np.empty((n, 3, step.shape[1]))
    columns[...] = (settings.kappa_lambda / dt**4 * penalty)[..., None]
    columns[:, 0] += step**2
    kappa = _solve_with_ridge(columns, step * np.diff(yaw, axis=0), settings.kappa_ridge)
    return np.stack([accel.T, kappa.T], axis=-1).reshape(*lead, n, 2)


def _fitted_yaw(theta: np.ndarray, settings: FitSettings, dt: float) -> np.ndarray:
    """Smoothed yaw [n, B] of the future, from a known yaw of 0 at t0."""
    columns = settings.theta_lambda / dt**6 * _difference_penalty(len(theta) + 1, 3)[1:]
    columns[:, 0] += 1.0
    return _solve_with_ridge(columns, theta, settings.theta_ridge)


def _fitted_future_speeds(
    x: np.ndarray, y: np.ndarray, yaw: np.ndarray, v0: np.ndarray, settings: FitSettings, dt: float
) -> np.ndarray:
    """Speeds [n, B] after t0 through poses [n+1, B], from the known speed v0 [B] at t0."""
    columns, rhs = _speed_system(x, y, yaw, settings.v_lambda, dt)
    rhs[1:4] -= columns[0, 1:] * v0  # the known v0 moves to the right-hand side
    return _solve_with_ridge(columns[1:], rhs[1:], settings.v_ridge)
