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

    def bounds(self) -> np.ndarray:
        """[6, 2] lowest and highest, in the order of FLAGS."""
        most = (
            self.lateral_acceleration,
            self.jerk,
            self.longitudinal_jerk,
            self.yaw_acceleration,
            self.yaw_rate,
        )
        along = (self.lowest_acceleration, self.highest_acceleration)
        return np.array([along, *((-limit, limit) for limit in most)])


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
    from rewards.compiled.comfort import flags

    passed = flags(np.ascontiguousarray(states, dtype=np.float64), limits.bounds())
    return dict(zip(FLAGS, passed.T, strict=True))


def mean_jerk(actions: np.ndarray) -> np.ndarray:
    """Mean magnitude [B] m/s³ of the acceleration's change from step to step in actions [B, T, 2]."""
    return np.abs(np.diff(actions[..., 0], axis=-1)).mean(axis=-1) / STEP_S


def reverses(states: np.ndarray) -> np.ndarray:
    """[B] bool: some step of states [B, T, 4] drives backwards faster than standing-still noise."""
    return np.any(states[..., 3] < REVERSING_MPS, axis=-1)
