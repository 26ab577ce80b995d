"""Ride comfort of predicted states: pass flags, jerk, reversing.

Source of the thresholds and of how the derivatives are taken: the comfort reward of NVIDIA's Alpamayo RL
recipe (strict inequalities; a flag passes only if every step does).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenes.trajectory import STEP_S

REVERSING_MPS = -0.3


@dataclass(frozen=True)
class ComfortLimits:
    """m/s², m/s³, rad/s, rad/s²."""

    lowest_acceleration: float = -4.05
    highest_acceleration: float = 2.40
    lateral_acceleration: float = 4.89
    jerk: float = 8.37
    longitudinal_jerk: float = 4.13
    yaw_acceleration: float = 1.93
    yaw_rate: float = 0.95


DEFAULT_LIMITS = ComfortLimits()
FLAGS = (
    "longitudinal_acceleration",
    "lateral_acceleration",
    "jerk",
    "longitudinal_jerk",
    "yaw_acceleration",
    "yaw_rate",
)


def rate(values: np.ndarray) -> np.ndarray:
    """Forward difference [..., T] per second along the last axis; the last value is repeated."""
    step = np.diff(values, axis=-1) / STEP_S
    return np.concatenate([step, step[..., -1:]], axis=-1)


def comfort_flags(states: np.ndarray, limits: ComfortLimits = DEFAULT_LIMITS) -> dict[str, np.ndarray]:
    """Name → [B] bool, True where all T steps of states [B, T, 4] pass; T must be at least 2.

    Accelerations are time derivatives of the velocity's components in the body frame (no centripetal term);
    jerk is the second derivative of the speed."""
    yaw = states[..., 2]
    vx, vy = rate(states[..., 0]), rate(states[..., 1])
    along = np.cos(yaw) * vx + np.sin(yaw) * vy
    across = -np.sin(yaw) * vx + np.cos(yaw) * vy
    acceleration = rate(along)
    yaw_rate = rate(_continuous(yaw))
    passes = {
        "longitudinal_acceleration": (acceleration > limits.lowest_acceleration)
        & (acceleration < limits.highest_acceleration),
        "lateral_acceleration": np.abs(rate(across)) < limits.lateral_acceleration,
        "jerk": np.abs(rate(rate(np.hypot(vx, vy)))) < limits.jerk,
        "longitudinal_jerk": np.abs(rate(acceleration)) < limits.longitudinal_jerk,
        "yaw_acceleration": np.abs(rate(yaw_rate)) < limits.yaw_acceleration,
        "yaw_rate": np.abs(yaw_rate) < limits.yaw_rate,
    }
    return {name: steps.all(axis=-1) for name, steps in passes.items()}


def _continuous(yaw: np.ndarray) -> np.ndarray:
    """Yaw [B, T] without jumps by a full turn; integrated yaw has none, and finding that out is cheaper."""
    return yaw if np.all(np.abs(np.diff(yaw, axis=-1)) < np.pi) else np.unwrap(yaw, axis=-1)


def mean_jerk(actions: np.ndarray) -> np.ndarray:
    """Mean magnitude [B] m/s³ of the acceleration's change from step to step in actions [B, T, 2]."""
    return np.abs(np.diff(actions[..., 0], axis=-1)).mean(axis=-1) / STEP_S


def reverses(states: np.ndarray) -> np.ndarray:
    """[B] bool: some step of states [B, T, 4] drives backwards faster than standing-still noise."""
    return np.any(states[..., 3] < REVERSING_MPS, axis=-1)
