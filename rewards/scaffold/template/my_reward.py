"""The reward my_reward: whether the predicted drive gets as far as the expert's.

value = 1 - min(|s - s*| / max(s*, 10 m), 1), where s and s* are the distances, in m, that the predicted and the
expert's drive end from the start. Replace this formula by your own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rewards.description import Component, Need
from rewards.score import ClipView, RolloutView, Score
from scenes.clip import Clip


class MyReward:
    """Progress of the predicted drive, measured by the expert's."""

    name = "my_reward"
    version = (
        "1"  # change it whenever the value of some rollout may change: old scores are not mixed with new
    )
    low, high = 0.0, 1.0  # a value outside is reported as a bug of this reward
    needs = (Need.TRAJECTORY,)  # what you read: TEXT, TRAJECTORY, AGENTS, MAP, IMAGES, LABEL
    components = (Component("progress_m", 0.0, float("inf"), "distance from start to end, m"),)

    def __init__(self, floor_m: float = 10.0) -> None:
        """floor_m: the least distance to measure by, so that standing clips divide by no 0.

        Set it in a job with `options: {floor_m: 5.0}`."""
        self.floor_m = floor_m

    def score(self, rollouts: Sequence[RolloutView], clips: ClipView) -> list[Score]:
        """One score a rollout, in order. Raise for what is wrong; never answer 0 for what failed."""
        return [self._one(rollout, clips[rollout.clip_id]) for rollout in rollouts]

    def _one(self, rollout: RolloutView, clip: Clip) -> Score:
        if rollout.states is None:
            # The policy's completion did not parse: its own fault, so the lowest value and not a missing one.
            return Score(self.name, self.low, explanation=f"invalid: {rollout.reason}", version=self.version)
        reached = float(np.linalg.norm(rollout.states[-1, :2]))  # states [T, 4]: x, y, yaw, v
        due = float(np.linalg.norm(clip.ego_future[-1, :2]))
        value = 1.0 - min(abs(reached - due) / max(due, self.floor_m), 1.0)
        told = f"{reached:.1f} m of the expert's {due:.1f} m"
        parts = {"progress_m": reached}
        return Score(self.name, value, components=parts, explanation=told, version=self.version)
