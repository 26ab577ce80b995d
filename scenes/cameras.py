"""The camera rig: where the cameras sit on the ego vehicle and what they see.

Role: the one description of the pinhole cameras that the renderer, the clip store and the closed loop share.
Invariant: cameras come in the release's ascending index order (scenes.clip.CAMERA_NAMES) and the last frame
is t0. Poses are synthetic: the release's calibration files are not part of this project.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scenes.clip import CAMERA_NAMES
from scenes.trajectory import HISTORY_STEPS, STEP_S


@dataclass(frozen=True)
class Camera:
    """A pinhole camera without roll. position: x, y, z m in the ego frame; yaw: rad, positive looks left;
    pitch: rad, positive looks down; fov: horizontal field of view, rad."""

    name: str
    position: tuple[float, float, float]
    yaw: float
    pitch: float
    fov: float

    def focal(self, width: int) -> float:
        """Focal length in pixels of an image `width` pixels wide."""
        return 0.5 * width / math.tan(0.5 * self.fov)


@dataclass(frozen=True)
class CameraRig:
    """C cameras that each take `frames` images of width x height pixels at t0-(frames-1)*frame_step_s … t0.

    Raises ValueError when the frames do not fall on history steps or the cameras are out of order."""

    cameras: tuple[Camera, ...]
    frames: int = 1
    frame_step_s: float = STEP_S
    width: int = 96
    height: int = 64

    def __post_init__(self) -> None:
        if not self.cameras:
            raise ValueError("the rig has no camera; name at least one of " + ", ".join(CAMERA_NAMES))
        stride = self.frame_step_s / STEP_S
        if self.frames < 1 or stride < 0.5 or abs(stride - round(stride)) > 1e-6:
            raise ValueError(
                f"{self.frames} frames {self.frame_step_s} s apart:"
                f" need at least 1 frame and a multiple of {STEP_S} s"
            )
        if (self.frames - 1) * round(stride) > HISTORY_STEPS - 1:
            raise ValueError(
                f"{self.frames} frames {self.frame_step_s} s apart reach before the history of"
                f" {HISTORY_STEPS} steps of {STEP_S} s; use fewer frames or a smaller step"
            )
        if self.width < 2 or self.height < 2:
            raise ValueError(f"images of {self.width}x{self.height} pixels: need at least 2x2")
        for camera in self.cameras:
            if not 0.0 < camera.fov < math.pi:
                raise ValueError(f"camera {camera.name!r}: field of view {camera.fov} rad is not in (0, pi)")

    @property
    def names(self) -> tuple[str, ...]:
        """Camera names in order."""
        return tuple(camera.name for camera in self.cameras)

    @property
    def history_indices(self) -> tuple[int, ...]:
        """Index on the history axis (H-1 is t0) of each frame, oldest first."""
        stride = round(self.frame_step_s / STEP_S)
        return tuple(HISTORY_STEPS - 1 - stride * back for back in reversed(range(self.frames)))

    @property
    def times(self) -> np.ndarray:
        """[F] seconds relative to t0, oldest first; the last is 0.0."""
        return (np.array(self.history_indices, dtype=np.float64) - (HISTORY_STEPS - 1)) * STEP_S


_CAMERAS = {
    camera.name: camera
    for camera in (
        Camera("cross_left", (2.2, 0.95, 1.2), math.radians(70), 0.0, math.radians(120)),
        Camera("front_wide", (1.8, 0.0, 1.5), 0.0, 0.0, math.radians(120)),
        Camera("cross_right", (2.2, -0.95, 1.2), math.radians(-70), 0.0, math.radians(120)),
        Camera("front_tele", (1.8, 0.0, 1.5), 0.0, 0.0, math.radians(30)),
    )
}


def default_rig(
    cameras: Sequence[str] = CAMERA_NAMES, frames: int = 1, width: int = 96, height: int = 64
) -> CameraRig:
    """The rig named like the release's four cameras: three of 120° (left, ahead, right) and one of 30° ahead.

    cameras: subset of CAMERA_NAMES in any order (the rig keeps the release's order); frames: history frames
    0.1 s apart. Raises ValueError for an unknown or repeated name."""
    unknown = sorted(set(cameras) - set(CAMERA_NAMES))
    if unknown or len(set(cameras)) != len(cameras):
        raise ValueError(
            f"cameras {list(cameras)}: each must be one of {', '.join(CAMERA_NAMES)}, named once"
        )
    ordered = tuple(_CAMERAS[name] for name in CAMERA_NAMES if name in cameras)
    return CameraRig(ordered, frames=frames, width=width, height=height)
