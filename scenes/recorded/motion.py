"""A recorded vehicle's motion as the model's actions, or the reason why it has none.

Role: fit, integrate, measure. Invariant: what is returned integrates to its own future to the last bit, and
lies within the stated distance of the recording; a track that cannot be fitted so is refused, never
patched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenes.dynamics import FitSettings, fit_actions, fitted_speeds, integrate
from scenes.geometry import to_frame
from scenes.trajectory import HISTORY_STEPS, STEP_S

RECORDED_FIT = FitSettings(v_lambda=1e-3, a_lambda=1e-5, kappa_lambda=1e-5)
"""Positions from video differentiate to accelerations of 20 m/s² under the release's weights; a stiffer speed
spline (v_lambda) brings the median of the largest acceleration from 4.7 to 2.5 m/s² at 5 cm more error."""
SLOW_M_S = 1.0
"""Below this speed recorded headings say nothing of curvature, which is then carried over from faster
steps."""
STANDING_M = 0.3
"""A vehicle that stays within this distance of its place at t0 stands: what moves is measurement noise."""
ACCEL_BOUND_MS2, CURVATURE_BOUND = 9.8, 0.33
"""Bounds of the release's action space (config.json of nvidia/Alpamayo-R1-10B)."""


@dataclass(frozen=True)
class Motion:
    """history: [H, 4] and future: [T, 4] of x, y, yaw, v at the rear axle in the ego frame at t0; actions:
    [T, 2]; error_m: largest distance of `future` from the recorded rear axle; travelled_m: length of the
    future path."""

    history: np.ndarray
    future: np.ndarray
    actions: np.ndarray
    error_m: float
    travelled_m: float


@dataclass(frozen=True)
class Refusal:
    """Why a motion is not offered, and the largest position error of its fit."""

    reason: str
    error_m: float


def rear_axle(centres: np.ndarray, offset: float) -> np.ndarray:
    """Rear-axle poses [..., 3] of box centres [..., 3] that lie `offset` m ahead of it."""
    out = np.array(centres, np.float64)
    out[..., 0] -= offset * np.cos(centres[..., 2])
    out[..., 1] -= offset * np.sin(centres[..., 2])
    return out


def fit_motions(
    rear: np.ndarray, limit_m: float, settings: FitSettings = RECORDED_FIT, reverses: bool = False
) -> list[Motion | Refusal]:
    """Fit the rear-axle poses [W, H+T, 3] of W windows, whose step H-1 is t0.

    Unless `reverses`, speed may not fall below zero (recorded cars do not reverse within the noise). Refused
    when the largest position error exceeds limit_m, or an action leaves the bounds of the action space."""
    t0 = HISTORY_STEPS - 1
    xy = to_frame(rear[..., :2], rear[:, t0, None])
    yaw = np.unwrap(rear[..., 2], axis=1)
    local = np.concatenate((xy, (yaw - yaw[:, t0, None])[..., None]), axis=2)
    history, ahead = local[:, :HISTORY_STEPS], local[:, HISTORY_STEPS:]
    speeds = fitted_speeds(history, settings)
    actions = fit_actions(history, ahead, settings)
    standing = np.max(np.linalg.norm(xy, axis=2), axis=1) <= STANDING_M
    if not reverses:
        speeds = np.maximum(speeds, 0.0)
    speeds[standing], actions[standing] = 0.0, 0.0
    if not reverses:
        actions = _forward_only(actions, speeds[:, -1])
    actions = _hold_curvature(actions, speeds[:, -1])
    future = integrate(actions, speeds[:, -1])
    errors = np.max(np.linalg.norm(future[..., :2] - ahead[..., :2], axis=2), axis=1)
    past = np.concatenate((history, speeds[..., None]), axis=2)
    return [_judge(*window, limit_m) for window in zip(past, future, actions, errors, strict=True)]


def _judge(
    history: np.ndarray, future: np.ndarray, actions: np.ndarray, error: np.floating, limit_m: float
) -> Motion | Refusal:
    error_m = float(error)
    if error_m > limit_m:
        return Refusal(f"position error over {limit_m:g} m", error_m)
    if np.max(np.abs(actions[:, 0])) > ACCEL_BOUND_MS2:
        return Refusal(f"acceleration over {ACCEL_BOUND_MS2:g} m/s²", error_m)
    if np.max(np.abs(actions[:, 1])) > CURVATURE_BOUND:
        return Refusal(f"curvature over {CURVATURE_BOUND:g} 1/m", error_m)
    path = np.concatenate((np.zeros((1, 2)), future[:, :2]))
    return Motion(
        history, future, actions, error_m, float(np.sum(np.linalg.norm(np.diff(path, axis=0), axis=1)))
    )


def _forward_only(actions: np.ndarray, v0: np.ndarray) -> np.ndarray:
    """Actions [W, T, 2] with accelerations raised where they would drive the speed below zero."""
    out, speed = actions.copy(), v0
    for i in range(actions.shape[1]):
        out[:, i, 0] = np.maximum(actions[:, i, 0], -speed / STEP_S)
        speed = np.maximum(speed + out[:, i, 0] * STEP_S, 0.0)
    return out


def _hold_curvature(actions: np.ndarray, v0: np.ndarray) -> np.ndarray:
    """Actions [W, T, 2] with curvature interpolated over steps slower than SLOW_M_S; 0 where none is faster."""
    out = actions.copy()
    steps = np.arange(actions.shape[1])
    for window, start in zip(out, v0, strict=True):
        fast = np.abs(start + np.concatenate(([0.0], np.cumsum(window[:-1, 0]) * STEP_S))) >= SLOW_M_S
        window[:, 1] = np.interp(steps, steps[fast], window[fast, 1]) if fast.any() else 0.0
    return out
