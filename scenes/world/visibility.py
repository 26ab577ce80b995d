"""How many pixels of a cause the cameras see.

Role: gates labels, so that no sentence asks the policy to hallucinate. Road users, lights and signs are counted
in the renderer's instance ids; bends and ending lanes, which are ground, by projecting the ground they cover.
"""

from __future__ import annotations

import numpy as np

from scenes.cameras import Camera, CameraRig
from scenes.render import Rendered

GROUND_NAMES = ("crosswalk:", "stop_line:")

View = tuple[str, int, int]
"""Camera name, frame index (0 is the oldest) and pixels covered."""


def _project(points: np.ndarray, camera: Camera, rig: CameraRig) -> tuple[np.ndarray, np.ndarray]:
    """Pixel columns and rows [M] of the ground points [P, 2] (ego frame) that fall into the image."""
    x, y, height = camera.position
    cos, sin = np.cos(camera.yaw), np.sin(camera.yaw)
    dx, dy = points[:, 0] - x, points[:, 1] - y
    ahead, left = cos * dx + sin * dy, cos * dy - sin * dx
    down = np.cos(camera.pitch) * height - np.sin(camera.pitch) * ahead
    ahead = np.cos(camera.pitch) * ahead + np.sin(camera.pitch) * height
    focal = camera.focal(rig.width)
    seen = ahead > 0.5
    column = np.floor(0.5 * rig.width - focal * left[seen] / ahead[seen]).astype(np.int64)
    row = np.floor(0.5 * rig.height + focal * down[seen] / ahead[seen]).astype(np.int64)
    inside = (column >= 0) & (column < rig.width) & (row >= 0) & (row < rig.height)
    return column[inside], row[inside]


def ground_view(points: np.ndarray, rendered: Rendered, rig: CameraRig) -> View | None:
    """Best view at t0 of ground points [P, 2] in the ego frame: distinct pixels on which nothing stands before
    them. None when no camera sees any."""
    ground = [-1, *(i for i, name in enumerate(rendered.names) if name.startswith(GROUND_NAMES))]
    best: View | None = None
    for c, camera in enumerate(rig.cameras):
        column, row = _project(points, camera, rig)
        pixels = np.unique(row * rig.width + column)
        ids = rendered.instances[c, -1].reshape(-1)[pixels]
        count = int(np.isin(ids, ground).sum())
        if count and (best is None or count > best[2]):
            best = (camera.name, rig.frames - 1, count)
    return best
