"""One small batch that runs through every compiled loop of the rule rewards.

Role: what a scoring process does before it says that it serves, so that no call waits for numba; the first time on
a machine the loops are compiled, then they are loaded from disk.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rewards.score import ClipView, RolloutView
from scenes.clip import Agents, Clip, RoadMap
from scenes.dynamics import integrate

SPEED_MPS = 8.0
TEXT = "Slow down, then keep the lane."


def sample() -> tuple[list[RolloutView], ClipView]:
    """Two clips, with a map and without, and a rollout of each; road users near and far."""
    steps, history = 8, np.zeros((4, 4))
    history[:, 3] = SPEED_MPS
    actions = np.zeros((steps, 2))
    future = integrate(actions, SPEED_MPS)
    lane = np.stack([np.arange(-20.0, 40.0, 5.0), np.zeros(12)], axis=-1)
    area = np.array([[-30.0, -4.0], [60.0, -4.0], [60.0, 4.0], [-30.0, 4.0]])
    line = np.array([[30.0, -2.0], [30.0, 2.0]])
    poses = np.zeros((2, len(history) + steps, 3))
    poses[:, :, 0] = ((6.0,), (90.0,))
    users = Agents(
        ("a", "b"), ("car", "car"), np.full((2, 3), 2.0), poses, np.ones(poses.shape[:2], dtype=bool)
    )
    road = RoadMap((lane, lane + [0.0, 3.5]), (3.5, 3.5), (), (), (area,), (), (line,))
    size = (4.8, 1.9, 1.6, 1.4)
    mapped = Clip("mapped", "warm-up", 0.0, None, history, future, actions, size, users, road, None)
    clips = {"mapped": mapped, "bare": replace(mapped, clip_id="bare", road=None)}
    views = [
        RolloutView(name, "g", name, TEXT, True, None, actions - 0.1, integrate(actions - 0.1, SPEED_MPS))
        for name in clips
    ]
    return views, clips
