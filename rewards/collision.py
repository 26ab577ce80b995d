"""Collision of predicted ego states with the recorded or simulated futures of other road users."""

from __future__ import annotations

import numpy as np

from scenes.clip import Clip
from scenes.geometry import box_clearance, ego_box_pose


def collides(states: np.ndarray, clip: Clip, margin_m: float = 0.0) -> np.ndarray:
    """[B] bool: the ego box, grown by `margin_m` on every side, overlaps an agent's box at some step.

    states: [B, T, 4] in the clip's frame, T the clip's future steps. Steps at which the expert's own box
    overlaps an agent's are not counted against a prediction: there the annotation is wrong."""
    if not clip.agents.ids:
        return np.zeros(len(states), dtype=bool)
    steps = states.shape[-2]
    length, width, _, offset = clip.ego_size
    size = np.array([length + 2.0 * margin_m, width + 2.0 * margin_m])
    poses = clip.agents.poses[:, -steps:]
    seen = clip.agents.valid[:, -steps:]
    sizes = clip.agents.sizes[:, None, :2]
    expert = ego_box_pose(clip.ego_future, offset)
    real = seen & ~(box_clearance(expert, np.array([length, width]), poses, sizes) < 0.0)
    ego = ego_box_pose(states, offset)[:, None]
    return np.any((box_clearance(ego, size, poses, sizes) < 0.0) & real, axis=(1, 2))
