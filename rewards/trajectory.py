"""The trajectory reward: distance to the expert, collision, jerk, reversing, comfort.

value = - ade·min(ADE / ade_scale_m, ade_cap) - fde·min(FDE / ade_scale_m, ade_cap)
        - collision·1[collision] - jerk·min(jerk / jerk_scale, jerk_cap)
        - reverse·1[reverses] - comfort·(1 - share of comfort flags passed)

Highest 0 (the expert itself, without jerk). An invalid completion is the policy's own fault and gets the
lowest value of the range, with its reason. Source of the form and the default weights: equation 11 of the
Alpamayo-R1 paper (arXiv 2511.00088; squared distance there, capped distance here so that one outlier does not
rule a group), with weights from this project's learnability probe.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rewards.collision import collides
from rewards.comfort import comfort_flags, mean_jerk, reverses
from rewards.description import Component, Need
from rewards.score import ClipView, RolloutView, Score, Status
from scenes.clip import Clip

INF = float("inf")


@dataclass(frozen=True)
class TrajectoryWeights:
    """See the module. Distances in m, jerk in m/s³; collision_margin_m grows the ego box on every side."""

    ade: float = 1.0
    fde: float = 0.0
    collision: float = 1.0
    jerk: float = 0.02
    reverse: float = 0.25
    comfort: float = 0.0
    ade_scale_m: float = 3.0
    ade_cap: float = 2.0
    jerk_scale: float = 5.0
    jerk_cap: float = 2.0
    collision_margin_m: float = 0.0

    @property
    def lowest(self) -> float:
        """The lower end of the value's range."""
        distance = (self.ade + self.fde) * self.ade_cap
        return -(distance + self.collision + self.jerk * self.jerk_cap + self.reverse + self.comfort)


FLAGS = (
    "longitudinal_acceleration",
    "lateral_acceleration",
    "jerk",
    "longitudinal_jerk",
    "yaw_acceleration",
    "yaw_rate",
)


class TrajectoryReward:
    """Distance to the expert's drive, collisions, jerk and comfort of the predicted trajectory."""

    name = "trajectory"
    version = "1"
    high = 0.0
    needs = (Need.TRAJECTORY, Need.AGENTS)
    components = (
        Component("ade", 0.0, INF, "mean distance to the expert over all steps, m"),
        Component("fde", 0.0, INF, "distance to the expert at the last step, m"),
        Component("collision", 0.0, 1.0, "1: the ego box overlaps a road user's"),
        Component("mean_jerk", 0.0, INF, "mean change of acceleration, m/s³"),
        Component("reverse", 0.0, 1.0, "1: drives backwards"),
        Component("comfort", 0.0, 1.0, "share of the comfort flags passed"),
        *(Component(f"comfort/{flag}", 0.0, 1.0, "1: every step is within the limit") for flag in FLAGS),
    )

    def __init__(self, **weights: float) -> None:
        """weights: fields of TrajectoryWeights."""
        self.weights = TrajectoryWeights(**weights)
        self.low = self.weights.lowest

    def score(self, rollouts: Sequence[RolloutView], clips: ClipView) -> list[Score]:
        """One score a rollout; see the module. DATA when the clip's horizon differs from the rollout's."""
        scores: dict[int, Score] = {}
        by_clip: dict[str, list[int]] = defaultdict(list)
        for index, rollout in enumerate(rollouts):
            clip = clips[rollout.clip_id]
            if rollout.states is None or rollout.actions is None:
                why = f"invalid completion: {rollout.reason or 'no trajectory'}"
                scores[index] = Score(self.name, self.low, explanation=why, version=self.version)
            elif len(rollout.states) != len(clip.ego_future):
                why = f"{len(rollout.states)} predicted steps, {len(clip.ego_future)} expert steps"
                scores[index] = Score(self.name, None, Status.DATA, explanation=why, version=self.version)
            else:
                by_clip[rollout.clip_id].append(index)
        for clip_id, indices in by_clip.items():
            chosen = [rollouts[i] for i in indices]
            states = np.stack([r.states for r in chosen if r.states is not None])
            actions = np.stack([r.actions for r in chosen if r.actions is not None])
            scores.update(zip(indices, self._score_clip(states, actions, clips[clip_id]), strict=True))
        return [scores[i] for i in range(len(rollouts))]

    def _score_clip(self, states: np.ndarray, actions: np.ndarray, clip: Clip) -> list[Score]:
        parts = measures(states, actions, clip, self.weights.collision_margin_m)
        values = combine(parts, self.weights)
        return [
            Score(
                self.name,
                float(values[row]),
                components={name: float(column[row]) for name, column in parts.items()},
                explanation=_tell({name: float(column[row]) for name, column in parts.items()}),
                version=self.version,
            )
            for row in range(len(states))
        ]


def measures(
    states: np.ndarray, actions: np.ndarray, clip: Clip, margin_m: float = 0.0
) -> dict[str, np.ndarray]:
    """Component name → [B] of states [B, T, 4] and actions [B, T, 2] driven in a clip."""
    distance = np.linalg.norm(states[..., :2] - clip.ego_future[:, :2], axis=-1)
    flags = comfort_flags(states)
    return {
        "ade": distance.mean(axis=-1),
        "fde": distance[:, -1],
        "collision": collides(states, clip, margin_m).astype(float),
        "mean_jerk": mean_jerk(actions),
        "reverse": reverses(states).astype(float),
        "comfort": np.mean([flags[name] for name in FLAGS], axis=0),
        **{f"comfort/{name}": flags[name].astype(float) for name in FLAGS},
    }


def combine(parts: dict[str, np.ndarray], weights: TrajectoryWeights) -> np.ndarray:
    """Value [B] of measured parts; the formula of the module."""
    w = weights
    return -(
        w.ade * np.minimum(parts["ade"] / w.ade_scale_m, w.ade_cap)
        + w.fde * np.minimum(parts["fde"] / w.ade_scale_m, w.ade_cap)
        + w.collision * parts["collision"]
        + w.jerk * np.minimum(parts["mean_jerk"] / w.jerk_scale, w.jerk_cap)
        + w.reverse * parts["reverse"]
        + w.comfort * (1.0 - parts["comfort"])
    )


def _tell(parts: dict[str, float]) -> str:
    told = f"ADE {parts['ade']:.2f} m, FDE {parts['fde']:.2f} m"
    faults = [name for name in ("collision", "reverse") if parts[name]]
    uncomfortable = [name for name in FLAGS if not parts[f"comfort/{name}"]]
    limits = f"over the comfort limit in {', '.join(uncomfortable)}" if uncomfortable else ""
    return "; ".join(filter(None, [told, *faults, limits]))
