"""comma2k19 drives as poses at the model's rate.

Role: one more recording to judge the motion fit on: 60 s of a motorway at 20 Hz, positions by GNSS and vision.
Frame: a plane tangent to the Earth at the first position, x east, y north. The recording device sits behind
the windscreen, not on the rear axle, and heading is the direction of travel: on a motorway both differ from
the vehicle's own by less than the recording's noise.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from scenes.recorded.recording import RecordingError
from scenes.trajectory import STEP_S

NEEDED = ("frame_times", "frame_positions", "frame_velocities")
SLOWEST_M_S = 1.0
"""Below this speed the direction of travel is noise."""


def read_drive(path: Path) -> np.ndarray:
    """Poses [n, 3] of x, y m and yaw rad (without jumps) each 0.1 s. Raises RecordingError naming the file for a
    missing or foreign one, or for one that goes slower than 1 m/s."""
    try:
        with np.load(path, allow_pickle=False) as data:
            times, positions, velocities = (np.asarray(data[name], np.float64) for name in NEEDED)
    except FileNotFoundError as error:
        raise RecordingError(f"{path} does not exist; point at a comma2k19 segment saved as .npz") from error
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise RecordingError(f"{path} is no comma2k19 segment with {', '.join(NEEDED)}: {error}") from error
    if not (np.diff(times) > 0.0).all() or positions.shape != (len(times), 3) != velocities.shape:
        raise RecordingError(f"{path}: times must increase, one position and velocity [3] each")
    east_north = tangent_plane(positions[0])
    plane, speed = (positions - positions[0]) @ east_north.T, velocities @ east_north.T
    if np.linalg.norm(speed, axis=1).min() < SLOWEST_M_S:
        raise RecordingError(f"{path} goes slower than {SLOWEST_M_S} m/s, where its heading is not known")
    yaw = np.unwrap(np.arctan2(speed[:, 1], speed[:, 0]))
    at = np.arange(times[0], times[-1], STEP_S)
    return np.column_stack([np.interp(at, times, values) for values in (plane[:, 0], plane[:, 1], yaw)])


def tangent_plane(ecef: np.ndarray) -> np.ndarray:
    """East and north at an Earth-centred position [3], as rows of [2, 3]; on a sphere, which tilts the plane by
    0.2 degrees at most."""
    up = ecef / np.linalg.norm(ecef)
    east = np.cross((0.0, 0.0, 1.0), up)
    east /= np.linalg.norm(east)
    return np.stack((east, np.cross(up, east)))
