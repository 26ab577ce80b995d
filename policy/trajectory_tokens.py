"""Trajectory tokens: actions to future bins and ego history to history bins, and back.

Role: the discrete head's codec, float32 and bit-equal to the release's arithmetic (facts: Alpamayo-R1
`discrete_action_space.py`, `delta_tokenizer.py`), quirks included: bins are end-point inclusive, rounding is
half to even, the first history delta is the oldest pose minus the origin and usually clamps to bin 0.
Invariant: `decode(encode(a))` differs from in-range `a` by at most half a bin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenes.trajectory import FUTURE_STEPS, HISTORY_STEPS


@dataclass(frozen=True)
class FutureCodec:
    """Acceleration (m/s²) and curvature (1/m) to bins of [low, high] after normalising by mean and std.

    The release's discrete tokenizer uses 3000 bins over ±10; its nested statistics are read from the
    checkpoint's configuration. `carry_error` adds each step's rounding error to the next one, so that the sum
    over the horizon does not drift; False is the release's plain rounding. `forward_only`: the vehicle brakes to a
    standstill and not beyond it (scenes.dynamics.hold_at_standstill); False is the release, whose speed may go
    negative. With few bins choose ranges that make 0 a bin: else greedy decoding cannot drive straight on.
    """

    bins: int = 3000
    low: tuple[float, float] = (-10.0, -10.0)
    high: tuple[float, float] = (10.0, 10.0)
    mean: tuple[float, float] = (0.0, 0.0)
    std: tuple[float, float] = (1.0, 1.0)
    carry_error: bool = False
    forward_only: bool = False

    def encode(self, actions: np.ndarray) -> np.ndarray:
        """actions [..., T, 2] → bins [..., 2T] int32, interleaved acceleration, curvature.

        Raises ValueError on a non-finite action: a lost value has no bin.
        """
        if not np.isfinite(actions).all():
            raise ValueError("cannot encode non-finite actions; drop the clip or refit its motion")
        low, high = np.array(self.low, np.float32), np.array(self.high, np.float32)
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        scaled = (np.asarray(actions, np.float32) - mean) / std
        unit = (scaled - low) / (high - low) * np.float32(self.bins - 1)
        bins = self._diffuse(unit) if self.carry_error else np.clip(np.rint(unit), 0, self.bins - 1)
        return bins.astype(np.int32).reshape(*bins.shape[:-2], -1)

    def _diffuse(self, unit: np.ndarray) -> np.ndarray:
        bins = np.empty_like(unit)
        carry = np.zeros_like(unit[..., 0, :])
        for step in range(unit.shape[-2]):
            wanted = unit[..., step, :] + carry
            bins[..., step, :] = np.clip(np.rint(wanted), 0, self.bins - 1)
            carry = np.clip(wanted - bins[..., step, :], -1.0, 1.0)
        return bins

    def decode(self, bins: np.ndarray) -> np.ndarray:
        """bins [..., 2T] → actions [..., T, 2] float32. Raises ValueError when a bin is out of range."""
        bins = np.asarray(bins)
        if bins.shape[-1] % 2 or (bins.size and (bins.min() < 0 or bins.max() >= self.bins)):
            raise ValueError(f"bins must come in pairs within [0, {self.bins - 1}]")
        low, high = np.array(self.low, np.float32), np.array(self.high, np.float32)
        pairs = bins.reshape(*bins.shape[:-1], -1, 2).astype(np.float32)
        scaled = pairs / np.float32(self.bins - 1) * (high - low) + low
        return scaled * np.array(self.std, np.float32) + np.array(self.mean, np.float32)

    @property
    def tokens(self) -> int:
        """Tokens of one future trajectory (128)."""
        return 2 * FUTURE_STEPS


@dataclass(frozen=True)
class HistoryCodec:
    """Ego history positions to bins: first differences of x, y, z, step-major (48 tokens for 16 steps).

    stride: keep every stride-th step counted back from t0 (1 is the release; more makes a shorter prompt)."""

    bins: int = 1000
    low: tuple[float, float, float] = (-4.0, -4.0, -10.0)
    high: tuple[float, float, float] = (4.0, 4.0, 10.0)
    stride: int = 1

    def encode(self, xyz: np.ndarray) -> np.ndarray:
        """xyz [..., H, 3] m in the ego frame at t0 → bins [..., 3H] int32. Raises ValueError if non-finite."""
        if not np.isfinite(xyz).all():
            raise ValueError("cannot encode a non-finite ego history; drop the clip")
        points = np.asarray(xyz, np.float32)[..., (xyz.shape[-2] - 1) % self.stride :: self.stride, :]
        deltas = np.diff(points, axis=-2, prepend=np.zeros_like(points[..., :1, :]))
        low, high = np.array(self.low, np.float32), np.array(self.high, np.float32)
        unit = (deltas - low) / (high - low) * np.float32(self.bins - 1)
        return np.clip(np.rint(unit), 0, self.bins - 1).astype(np.int32).reshape(*xyz.shape[:-2], -1)

    @property
    def tokens(self) -> int:
        """Tokens of one history (48 with stride 1)."""
        return 3 * len(range((HISTORY_STEPS - 1) % self.stride, HISTORY_STEPS, self.stride))


def history_xyz(ego_history: np.ndarray) -> np.ndarray:
    """Ego history [..., H, 4] of x, y, yaw, v → [..., H, 3] of x, y, z with z = 0 (flat ground)."""
    xy = ego_history[..., :2]
    return np.concatenate([xy, np.zeros_like(xy[..., :1])], axis=-1)
