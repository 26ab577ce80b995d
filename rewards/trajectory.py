"""The trajectory reward: distance to the expert, collision, time to collision, off-road, jerk, reversing, comfort.

value = - ade·min(ADE / ade_scale_m, ade_cap) - fde·min(FDE / ade_scale_m, ade_cap)
        - squared_l2·min(squared L2 / ade_scale_m², ade_cap²)
        - collision·1[collision] - ttc·max(0, 1 - min TTC / ttc_threshold_s) - short_ttc·share of short TTC
        - off_road·share off the road - jerk·min(jerk / jerk_scale, jerk_cap)
        - reverse·1[reverses] - comfort·(1 - share of comfort flags passed)

Highest 0 (the expert itself, without jerk). An invalid completion is the policy's own fault and gets the
lowest value of the range, with its reason; a clip without a drivable area has no off-road component, and where that
one has a weight, no value. Source of the form and the default weights: equation 11 of the Alpamayo-R1 paper (arXiv
2511.00088; squared distance there, which is `squared_l2` here; by default the capped distance instead, so that one
outlier does not rule a group), with weights from this project's learnability probe. docs/rewards-trajectory.md has
every component with its formula.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from rewards.annotation import FARTHEST_M, drive_fault, wild
from rewards.clip_cache import ClipCache
from rewards.clip_scene import ClipScene, ClipScenes
from rewards.collision import encounters
from rewards.comfort import FLAGS, comfort_flags, mean_jerk, reverses
from rewards.description import Component, Need
from rewards.off_road import share
from rewards.score import ClipView, RolloutView, Score, Status
from rewards.score_table import ScoreTable
from rewards.warm_up import sample
from scenes.clip import Clip

INF = float("inf")
CHUNK = 256
"""Rollouts measured at once; memory is bounded by it, whatever the batch."""
PARTS = (
    "ade",
    "fde",
    "squared_l2",
    "collision",
    "min_ttc",
    "short_ttc",
    "off_road",
    "mean_jerk",
    "reverse",
    "comfort",
    *(f"comfort/{flag}" for flag in FLAGS),
)
"""Columns of a table of scores, in this order."""
_COLUMN = {name: column for column, name in enumerate(PARTS)}


@dataclass(frozen=True)
class TrajectoryWeights:
    """See the module. Distances in m, jerk in m/s³, times in s; collision_margin_m grows the ego box on every side,
    for collision and time to collision alike. ValueError for a scale, cap or threshold that cannot be one."""

    ade: float = 1.0
    fde: float = 0.0
    squared_l2: float = 0.0
    collision: float = 1.0
    ttc: float = 0.0
    short_ttc: float = 0.0
    off_road: float = 0.0
    jerk: float = 0.02
    reverse: float = 0.25
    comfort: float = 0.0
    ade_scale_m: float = 3.0
    ade_cap: float = 2.0
    jerk_scale: float = 5.0
    jerk_cap: float = 2.0
    collision_margin_m: float = 0.0
    ttc_horizon_s: float = 3.0
    ttc_threshold_s: float = 1.5

    def __post_init__(self) -> None:
        for name in ("ade_scale_m", "jerk_scale", "ttc_horizon_s", "ttc_threshold_s"):
            if not 0.0 < getattr(self, name) < INF:
                raise ValueError(f"{name} is {getattr(self, name)}; pass a positive number")
        if self.ttc_threshold_s > self.ttc_horizon_s:
            why = f"{self.ttc_threshold_s:g} s is beyond ttc_horizon_s {self.ttc_horizon_s:g} s"
            raise ValueError(f"ttc_threshold_s {why}; look at least as far ahead")
        for field in fields(self):
            if not 0.0 <= getattr(self, field.name) < INF:
                raise ValueError(f"{field.name} is {getattr(self, field.name)}; pass a number of at least 0")

    @property
    def lowest(self) -> float:
        """The lower end of the value's range."""
        distance = (self.ade + self.fde) * self.ade_cap + self.squared_l2 * self.ade_cap**2
        danger = self.collision + self.ttc + self.short_ttc + self.off_road
        return -(distance + danger + self.jerk * self.jerk_cap + self.reverse + self.comfort)


class TrajectoryReward:
    """Distance to the expert's drive, danger, jerk and comfort of the predicted trajectory."""

    name = "trajectory"
    version = "2"
    high = 0.0
    needs = (Need.TRAJECTORY, Need.AGENTS, Need.MAP)
    components = (
        Component("ade", 0.0, INF, "mean distance to the expert over all steps, m"),
        Component("fde", 0.0, INF, "distance to the expert at the last step, m"),
        Component("squared_l2", 0.0, INF, "mean squared distance to the expert over all steps, m²"),
        Component("collision", 0.0, 1.0, "1: the ego box overlaps a road user's"),
        Component("min_ttc", 0.0, INF, "least time to collision over all steps, s; the horizon at most"),
        Component("short_ttc", 0.0, 1.0, "share of steps with a time to collision below the threshold"),
        Component("off_road", 0.0, 1.0, "share of steps off the drivable area; absent without one"),
        Component("mean_jerk", 0.0, INF, "mean change of acceleration, m/s³"),
        Component("reverse", 0.0, 1.0, "1: drives backwards"),
        Component("comfort", 0.0, 1.0, "share of the comfort flags passed"),
        *(Component(f"comfort/{flag}", 0.0, 1.0, "1: every step is within the limit") for flag in FLAGS),
    )

    def __init__(self, **weights: float) -> None:
        """weights: fields of TrajectoryWeights."""
        self.weights = TrajectoryWeights(**weights)
        self.low = self.weights.lowest
        self._scenes = ClipCache(ClipScene.of)

    def score(self, rollouts: Sequence[RolloutView], clips: ClipView) -> list[Score]:
        """One score a rollout; see the module. DATA where clip or drive are unfit: see rewards.annotation."""
        return list(self.score_table(rollouts, clips))

    def warm(self) -> None:
        """Have the compiled loops ready: see rewards.warm_up."""
        self.score_table(*sample())

    def score_table(self, rollouts: Sequence[RolloutView], clips: ClipView) -> ScoreTable:
        """As `score`, as columns."""
        count = len(rollouts)
        values, parts = np.full(count, np.nan), np.full((count, len(PARTS)), np.nan)
        told, missing = [""] * count, dict[int, Status]()
        scenes = {clip_id: self._scenes.get(clips[clip_id]) for clip_id in {r.clip_id for r in rollouts}}
        by_steps: dict[int, list[int]] = defaultdict(list)
        for index, rollout in enumerate(rollouts):
            if rollout.states is None or rollout.actions is None:
                told[index] = f"invalid completion: {rollout.reason or 'no trajectory'}"
                values[index] = self.low
                continue
            why = scenes[rollout.clip_id].fault or drive_fault(rollout, clips[rollout.clip_id])
            if why:
                told[index], missing[index] = why, Status.DATA
            else:
                by_steps[len(rollout.states)].append(index)
        for indices in by_steps.values():
            # Siblings side by side, so that a chunk prepares as few clips as can be.
            indices.sort(key=lambda i: rollouts[i].clip_id)
            for first in range(0, len(indices), CHUNK):
                some = indices[first : first + CHUNK]
                found, columns, faults = self._columns([rollouts[i] for i in some], scenes)
                values[some], parts[some] = found, columns
                for index, words in zip(some, tell(columns), strict=True):
                    told[index] = words
                for row, why in faults.items():
                    values[some[row]] = parts[some[row]] = np.nan
                    told[some[row]], missing[some[row]] = why, Status.DATA
        return ScoreTable(self.name, self.version, values, PARTS, parts, told, missing)

    def _columns(
        self, chosen: Sequence[RolloutView], scenes: Mapping[str, ClipScene]
    ) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
        """Values [R] and components [R, C] of fit rollouts of one horizon, and why some rows have none."""
        states = np.stack([r.states for r in chosen if r.states is not None])
        actions = np.stack([r.actions for r in chosen if r.actions is not None])
        place = {clip_id: row for row, clip_id in enumerate(dict.fromkeys(r.clip_id for r in chosen))}
        clip = np.array([place[r.clip_id] for r in chosen])
        unfit = wild(states, actions)
        states[unfit] = actions[unfit] = 0.0
        here = ClipScenes.of([scenes[clip_id] for clip_id in place])
        parts = measure_scenes(states, actions, clip, here, self.weights)
        values = combine(parts, self.weights)
        unmapped = "off_road has a weight, but the clip has no drivable area; set it to 0"
        faults = dict.fromkeys(np.flatnonzero(np.isnan(values)).tolist(), unmapped)
        beyond = f"the drive holds numbers that are not finite or beyond {FARTHEST_M:g}"
        faults |= dict.fromkeys(np.flatnonzero(unfit).tolist(), beyond)
        return values, np.stack([parts[name] for name in PARTS], axis=1), faults


def measure(
    states: np.ndarray,
    actions: np.ndarray,
    clip: np.ndarray,
    clips: Sequence[Clip],
    weights: TrajectoryWeights,
) -> dict[str, np.ndarray]:
    """Component name → [R] of states [R, T, 4] and actions [R, T, 2], row r driven in clips[clip[r]]; off_road
    is NaN where there is no drivable area. Every clip's future has T steps."""
    return measure_scenes(states, actions, clip, ClipScenes.of([ClipScene.of(one) for one in clips]), weights)


def measure_scenes(
    states: np.ndarray, actions: np.ndarray, clip: np.ndarray, scenes: ClipScenes, weights: TrajectoryWeights
) -> dict[str, np.ndarray]:
    """As `measure`, for clips that are prepared."""
    apart = states[..., :2] - scenes.experts[clip, :, :2]
    squared = apart[..., 0] ** 2 + apart[..., 1] ** 2
    distance = np.sqrt(squared)
    sizes = scenes.sizes[clip]
    met = encounters(states, clip, sizes, scenes.traffic, weights.collision_margin_m, weights.ttc_horizon_s)
    flags = comfort_flags(states)
    return {
        "ade": distance.mean(axis=-1),
        "fde": distance[:, -1],
        "squared_l2": squared.mean(axis=-1),
        "collision": met.collision.any(axis=-1).astype(float),
        "min_ttc": met.seconds.min(axis=-1),
        "short_ttc": (met.seconds < weights.ttc_threshold_s).mean(axis=-1),
        "off_road": share(states, clip, scenes.sizes, scenes.areas, scenes.judged),
        "mean_jerk": mean_jerk(actions),
        "reverse": reverses(states).astype(float),
        "comfort": np.mean([flags[name] for name in FLAGS], axis=0),
        **{f"comfort/{name}": flags[name].astype(float) for name in FLAGS},
    }


def combine(parts: dict[str, np.ndarray], weights: TrajectoryWeights) -> np.ndarray:
    """Value [R] of measured parts; the formula of the module. NaN where off_road counts and there is none."""
    w = weights
    lost = (
        w.ade * np.minimum(parts["ade"] / w.ade_scale_m, w.ade_cap)
        + w.fde * np.minimum(parts["fde"] / w.ade_scale_m, w.ade_cap)
        + w.squared_l2 * np.minimum(parts["squared_l2"] / w.ade_scale_m**2, w.ade_cap**2)
        + w.collision * parts["collision"]
        + w.ttc * np.maximum(1.0 - parts["min_ttc"] / w.ttc_threshold_s, 0.0)
        + w.short_ttc * parts["short_ttc"]
        + w.jerk * np.minimum(parts["mean_jerk"] / w.jerk_scale, w.jerk_cap)
        + w.reverse * parts["reverse"]
        + w.comfort * (1.0 - parts["comfort"])
    )
    # Without a weight it must not spread its NaN.
    return -(lost + w.off_road * parts["off_road"] if w.off_road else lost)


def tell(parts: np.ndarray) -> list[str]:
    """An explanation for each row of components [R, C]: both distances, then what is wrong."""
    limits = _COLUMN["comfort"] + 1
    found = parts.tolist()
    faulty = _faulty(parts).tolist()
    ade, fde = _COLUMN["ade"], _COLUMN["fde"]
    out = ["ADE %.2f m, FDE %.2f m" % (row[ade], row[fde]) for row in found]  # noqa: UP031 - the fastest way
    for index in np.flatnonzero(faulty).tolist():
        row = dict(zip(PARTS, found[index], strict=True))
        faults = [name for name in ("collision", "reverse") if row[name]]
        if row["short_ttc"] and not row["collision"]:
            faults.append(f"time to collision {row['min_ttc']:.2f} s")
        if row["off_road"] > 0.0:
            faults.append(f"off the road in {row['off_road']:.0%} of the steps")
        if row["comfort"] < 1.0:
            over = [name for name, passed in zip(FLAGS, found[index][limits:], strict=True) if not passed]
            faults.append(f"over the comfort limit in {', '.join(over)}")
        out[index] = "; ".join([out[index], *faults])
    return out


def _faulty(parts: np.ndarray) -> np.ndarray:
    """[R] bool: something is wrong beside the distance."""
    bad = parts[:, _COLUMN["comfort"]] < 1.0
    for name in ("collision", "reverse", "short_ttc", "off_road"):
        bad |= parts[:, _COLUMN[name]] > 0.0
    return bad
