"""Imperfect demonstrations: what supervised stages imitate, so that reinforcement has something to repair.

Role: adds autocorrelated control noise to the clean expert and replaces a share of the sentences by one for
another plausible decision. Invariants: deterministic in (seed, clip id), whatever the order of calls; the
speed of the noisy motion never goes negative.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from scenes.clip import Clip, Demonstration
from scenes.decisions import Direction, FactorKind, Lateral, Longitudinal
from scenes.dynamics import forward_only
from scenes.trajectory import STEP_S
from scenes.world.phrasing import sentence

Plausible = tuple[Longitudinal, Lateral, tuple[FactorKind, ...]]

SLOW_MPS = 2.0
"""Speed below which a demonstration's acceleration noise fades to nothing at standstill."""

_SPEED, _KEEP = Longitudinal.SET_SPEED_TRACKING, Lateral.LANE_KEEPING
PLAUSIBLE: tuple[Plausible, ...] = (
    (_SPEED, _KEEP, ()),
    (Longitudinal.LEAD_FOLLOWING, _KEEP, (FactorKind.LEAD_VEHICLE,)),
    (Longitudinal.LEAD_FOLLOWING, _KEEP, (FactorKind.CUT_IN_VEHICLE,)),
    (Longitudinal.SPEED_ADAPTATION, _KEEP, (FactorKind.CURVE,)),
    (Longitudinal.STOP_STATIC, _KEEP, (FactorKind.RED_LIGHT,)),
    (Longitudinal.STOP_STATIC, _KEEP, (FactorKind.STOP_SIGN,)),
    (Longitudinal.YIELD, _KEEP, (FactorKind.PEDESTRIAN,)),
    (Longitudinal.YIELD, _KEEP, (FactorKind.CROSS_TRAFFIC,)),
    (Longitudinal.PASSING_ACCELERATION, Lateral.LANE_CHANGE, (FactorKind.LEAD_VEHICLE,)),
    (Longitudinal.GAP_SEARCHING, Lateral.MERGE_SPLIT, (FactorKind.ADJACENT_VEHICLE, FactorKind.LANE_END)),
    (_SPEED, Lateral.MERGE_SPLIT, (FactorKind.LANE_END,)),
    (_SPEED, Lateral.IN_LANE_NUDGE, (FactorKind.PARKED_VEHICLE,)),
    (_SPEED, Lateral.OUT_OF_LANE_NUDGE, (FactorKind.PARKED_VEHICLE,)),
    (_SPEED, Lateral.OUT_OF_LANE_NUDGE, (FactorKind.CONES,)),
    (Longitudinal.LEAD_FOLLOWING, Lateral.ABORT, (FactorKind.ADJACENT_VEHICLE,)),
    (Longitudinal.SPEED_ADAPTATION, Lateral.TURN, (FactorKind.ROUTE_TURN,)),
    (Longitudinal.YIELD, Lateral.PULL_OVER, (FactorKind.ONCOMING_VEHICLE,)),
)
"""Decisions with typical causes that a wrong sentence may claim."""


@dataclass(frozen=True)
class ImperfectionConfig:
    """First-order autoregressive noise (coefficient a step of 0.1 s, stationary standard deviation) on
    acceleration m/s² and curvature 1/m, and the share of sentences that claim another decision."""

    accel_coefficient: float = 0.97
    accel_sigma: float = 0.3
    kappa_coefficient: float = 0.9
    kappa_sigma: float = 0.001
    wrong_share: float = 0.15

    def __post_init__(self) -> None:
        for name in ("accel_coefficient", "kappa_coefficient"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ValueError(
                    f"{name} is {getattr(self, name)}; it must be in [0, 1) for stationary noise"
                )
        if self.accel_sigma < 0.0 or self.kappa_sigma < 0.0 or not 0.0 <= self.wrong_share <= 1.0:
            raise ValueError("standard deviations must be >= 0 and wrong_share in [0, 1]")


def autoregressive(steps: int, coefficient: float, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Stationary AR(1) noise [steps] with standard deviation sigma."""
    shocks = rng.standard_normal(steps) * sigma
    shocks[1:] *= np.sqrt(1.0 - coefficient**2)
    for k in range(1, steps):
        shocks[k] += coefficient * shocks[k - 1]
    return shocks


def _disturbed(accel: np.ndarray, noise: np.ndarray, v0: float) -> np.ndarray:
    """Accelerations [T] with noise that fades below SLOW_MPS (who holds the brake does not creep), raised just
    enough that the speed stays >= 0."""
    out, v = accel.copy(), v0
    for k in range(len(accel)):
        out[k] = forward_only(accel[k] + noise[k] * min(1.0, v / SLOW_MPS), v)
        v = max(v + out[k] * STEP_S, 0.0)
    return out


def demonstrate(clip: Clip, config: ImperfectionConfig, seed: int) -> Demonstration:
    """The imperfect demonstration of a labelled clip. Raises ValueError when the clip has no label."""
    if clip.label is None:
        raise ValueError(f"clip {clip.clip_id!r} has no label to demonstrate; label it first")
    digest = hashlib.blake2b(f"{seed}/{clip.clip_id}".encode(), digest_size=16).digest()
    rng = np.random.default_rng(np.frombuffer(digest, dtype=np.uint32))
    steps = len(clip.actions)
    noise = autoregressive(steps, config.accel_coefficient, config.accel_sigma, rng)
    kappa = clip.actions[:, 1] + autoregressive(steps, config.kappa_coefficient, config.kappa_sigma, rng)
    accel = _disturbed(clip.actions[:, 0], noise, float(clip.ego_history[-1, 3]))
    wrong = bool(rng.random() < config.wrong_share)
    label = clip.label
    mine = (label.longitudinal or _SPEED, label.lateral or _KEEP)
    if wrong:
        others = [entry for entry in PLAUSIBLE if entry[:2] != mine]
        longitudinal, lateral, kinds = others[int(rng.integers(len(others)))]
    else:
        longitudinal, lateral = mine
        kinds = tuple(factor.kind for factor in label.factors)
    chosen = Direction.LEFT if rng.random() < 0.5 else Direction.RIGHT
    side = chosen if wrong else label.direction
    text = sentence(longitudinal, lateral, side, kinds, rng)
    return Demonstration(clip.clip_id, text, np.stack([accel, kappa], axis=-1), wrong)
