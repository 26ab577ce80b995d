"""comma2k19: a drive on the globe becomes the same drive on a plane."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scenes.recorded.comma2k19 import read_drive, tangent_plane
from scenes.recorded.recording import RecordingError

PLACE = np.array([-2.7e6, -4.3e6, 3.85e6])


def save(path: Path, speed: float, turn: float, **changes: np.ndarray) -> Path:
    """20 s of a drive at constant speed and yaw rate."""
    times = np.arange(0.0, 20.0, 0.05) + 700.0
    plane = tangent_plane(PLACE)
    yaw = 0.4 + turn * (times - 700.0)
    velocity = speed * np.column_stack((np.cos(yaw), np.sin(yaw)))
    steps = np.concatenate((np.zeros((1, 2)), np.cumsum(0.025 * (velocity[1:] + velocity[:-1]), axis=0)))
    data = {
        "frame_times": times,
        "frame_positions": PLACE + steps @ plane,
        "frame_velocities": velocity @ plane,
    }
    np.savez(path, **{**data, **changes})  # type: ignore[arg-type]
    return path


def test_speed_heading_and_turn_come_back(tmp_path: Path) -> None:
    poses = read_drive(save(tmp_path / "drive.npz", 25.0, 0.05))
    assert len(poses) in (199, 200)
    assert np.allclose(np.linalg.norm(np.diff(poses[:, :2], axis=0), axis=1), 2.5, atol=1e-3)
    assert np.allclose(poses[:, 2], 0.4 + 0.05 * 0.1 * np.arange(len(poses)), atol=1e-6)
    heading = np.arctan2(*(np.diff(poses[:, :2], axis=0).T[::-1]))
    assert np.allclose(heading, 0.5 * (poses[1:, 2] + poses[:-1, 2]), atol=1e-3)


def test_unusable_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="does not exist"):
        read_drive(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(RecordingError, match="is no comma2k19 segment"):
        read_drive(tmp_path / "text.npz")
    with pytest.raises(RecordingError, match="slower than"):
        read_drive(save(tmp_path / "slow.npz", 0.5, 0.0))
    backwards = save(tmp_path / "back.npz", 9.0, 0.0, frame_times=np.arange(400.0)[::-1])
    with pytest.raises(RecordingError, match="must increase"):
        read_drive(backwards)
