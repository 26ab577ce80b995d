"""The ego vehicle's recorded motion, at any time and in any of its own frames.

Role: turns the 100 Hz egomotion table of a clip into poses at the model's 10 Hz. Positions follow the cubic
spline through all samples, rotations the shortest arc between neighbours (slerp): what the devkit's
interpolator does, so both give the same poses. Invariant: no pose is extrapolated or taken from a gap.
Frames: the table is in an anchor frame fixed at the clip's start; a frame at a time t has its origin on the
rear axle, x forward, y left, z up (the rig frame).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation, Slerp

from scenes.physical_ai.errors import DamagedInputError, OutsideInputError
from scenes.physical_ai.parquet import increasing, microseconds, numbers, read_table

POSITION, QUATERNION = ("x", "y", "z"), ("qx", "qy", "qz", "qw")
GAP_US = 150_000
"""Longest step between samples that is interpolated over: egomotion comes at 100 Hz, its offline version at
10 Hz; a longer one means that samples were lost."""
UNIT = 1e-2


@dataclass(frozen=True)
class Egomotion:
    """times_us: [n] int64, strictly increasing; positions: [n, 3] m and quaternions: [n, 4] (x, y, z, w) in
    the anchor frame."""

    times_us: np.ndarray
    positions: np.ndarray
    quaternions: np.ndarray

    @classmethod
    def read(cls, data: bytes, what: str) -> Egomotion:
        """Of a parquet file's bytes. Raises DamagedInputError naming `what`."""
        table = read_table(data, what, ("timestamp", *QUATERNION, *POSITION))
        if table.num_rows < 4:
            raise DamagedInputError(f"{what} holds {table.num_rows} samples; at least 4 are needed")
        times = microseconds(table, "timestamp", what)
        increasing(times, what)
        quaternions = numbers(table, QUATERNION, what)
        lengths = np.linalg.norm(quaternions, axis=1)
        if np.abs(lengths - 1.0).max() > UNIT:
            raise DamagedInputError(
                f"{what}: rotation of row {int(np.argmax(np.abs(lengths - 1.0)))} is no unit quaternion"
            )
        return cls(times, numbers(table, POSITION, what), quaternions)

    def at(self, times_us: np.ndarray) -> tuple[np.ndarray, Rotation]:
        """Positions [k, 3] and rotations at times [k], anchor frame. Raises OutsideInputError before the first
        sample, after the last, or within a gap."""
        wanted = np.asarray(times_us, np.int64)
        if wanted.min() < self.times_us[0] or wanted.max() > self.times_us[-1]:
            raise OutsideInputError(
                f"egomotion lasts from {self.times_us[0] / 1e6:.2f} to {self.times_us[-1] / 1e6:.2f} s,"
                f" {wanted.min() / 1e6:.2f} to {wanted.max() / 1e6:.2f} s are needed"
            )
        known = covered(self.times_us, wanted, GAP_US)
        if not known.all():
            raise OutsideInputError(
                f"egomotion has no samples within {GAP_US / 1e6:.2f} s around {wanted[~known][0] / 1e6:.2f} s"
            )
        start = self.times_us[0]
        positions = CubicSpline(self.times_us - start, self.positions)(wanted - start)
        first = max(int(np.searchsorted(self.times_us, wanted.min(), side="right")) - 1, 0)
        last = int(np.searchsorted(self.times_us, wanted.max(), side="left"))
        near = slice(max(first - 1, 0), last + 2)
        turned = Slerp(self.times_us[near] - start, Rotation.from_quat(self.quaternions[near]))
        return positions, turned(wanted - start)

    def frame(self, t0_us: int) -> RigFrame:
        """The frame of the rig at t0."""
        positions, rotations = self.at(np.array([t0_us]))
        return RigFrame(positions[0], rotations[0])


@dataclass(frozen=True)
class RigFrame:
    """A rig frame: origin [3] and rotation in the anchor frame."""

    origin: np.ndarray
    rotation: Rotation

    def local(self, positions: np.ndarray, rotations: Rotation) -> tuple[np.ndarray, np.ndarray]:
        """Anchor-frame poses in this frame: positions [n, 3] m, and yaws [n] rad in (-pi, pi]."""
        inverse = self.rotation.inv()
        return inverse.apply(positions - self.origin), yaw_of(inverse * rotations)


def covered(samples_us: np.ndarray, times_us: np.ndarray, gap_us: int) -> np.ndarray:
    """Whether each time lies on a sample, or between two that are at most gap_us apart."""
    after = np.searchsorted(samples_us, times_us, side="left")
    at_or_after = np.clip(after, 0, len(samples_us) - 1)
    before = np.clip(after - 1, 0, len(samples_us) - 1)
    exact = samples_us[at_or_after] == times_us
    inside = (after > 0) & (after < len(samples_us))
    return exact | (inside & (samples_us[at_or_after] - samples_us[before] <= gap_us))


def yaw_of(rotations: Rotation) -> np.ndarray:
    """Heading [n] rad of rotated x axes, seen from above."""
    forward = rotations.apply(np.array([1.0, 0.0, 0.0]))
    return np.arctan2(forward[..., 1], forward[..., 0])


def planar(egomotion: Egomotion, frame: RigFrame, times_us: np.ndarray) -> np.ndarray:
    """Poses [k, 3] of x, y, yaw at times [k], in `frame`, yaw without jumps."""
    positions, yaw = frame.local(*egomotion.at(times_us))
    return np.column_stack((positions[:, :2], np.unwrap(yaw)))
