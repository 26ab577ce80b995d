"""Share of the steps at which the ego's box is off the road.

A box is off the road where one of its four corners lies outside all drivable polygons of the clip.
Invariant: without a drivable area the answer is NaN, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rewards.drivable_area import DrivableAreas, drivable_areas
from scenes.clip import Clip


def off_road_share(states: np.ndarray, clip: np.ndarray, clips: Sequence[Clip]) -> np.ndarray:
    """Share [R] of the steps of states [R, T, >= 3] at which the ego's box is off the road of clips[clip[r]], whose
    expert futures have T steps as well.

    Steps at which the expert's own box is off are left out: there the map ends or is wrong. NaN where the clip has
    no drivable area, or one that the expert never keeps to."""
    sizes = np.array([one.ego_size for one in clips], dtype=np.float64)
    reach = float(0.5 * np.hypot(sizes[:, 0], sizes[:, 1]).max())
    areas = drivable_areas([one.road for one in clips], reach)
    expert = off_road(np.stack([one.ego_future for one in clips]), np.arange(len(clips)), sizes, areas)
    judged = (~expert & areas.mapped[:, None])[clip]
    steps = judged.sum(axis=-1)
    off = (off_road(states, clip, sizes, areas) & judged).sum(axis=-1)
    return np.where(steps > 0, off / np.maximum(steps, 1), np.nan)


def off_road(states: np.ndarray, clip: np.ndarray, sizes: np.ndarray, areas: DrivableAreas) -> np.ndarray:
    """[R, T] bool of states [R, T, >= 3], row r in the map of clip[r] with the ego's size in sizes [C, 4]
    (`Clip.ego_size`); False in clips without a map."""
    if not areas.mapped.any():
        return np.zeros(states.shape[:2], dtype=bool)
    x, y, yaw = (states[..., i] for i in range(3))
    cos, sin = np.cos(yaw), np.sin(yaw)
    length, width, _, ahead = sizes[clip, :, None].transpose(1, 0, 2)
    whose = np.repeat(clip, states.shape[1])
    half = 0.5 * (length * np.abs(sin) + width * np.abs(cos))
    clear = areas.clear((x + ahead * cos).ravel(), (y + ahead * sin).ravel(), half.ravel(), whose)
    # Corners are looked at only where the whole box is not on the road beyond doubt.
    doubt = np.flatnonzero(areas.mapped[whose] & ~clear)
    row = doubt // states.shape[1]
    x, y, cos, sin = (values.ravel()[doubt] for values in (x, y, cos, sin))
    length, width, ahead = length[row, 0], width[row, 0], ahead[row, 0]
    corners = [
        (x + along * cos - across * sin, y + along * sin + across * cos)
        for along in (ahead + 0.5 * length, ahead - 0.5 * length)
        for across in (0.5 * width, -0.5 * width)
    ]
    at_x, at_y = (np.concatenate(axis) for axis in zip(*corners, strict=True))
    off = np.zeros(states.shape[:2], dtype=bool)
    outside = areas.outside(at_x, at_y, np.tile(whose[doubt], len(corners)))
    off.ravel()[doubt] = outside.reshape(len(corners), -1).any(axis=0)
    return off
