"""A rollout and its group, from dispatch to the ledger.

Invariant: every dispatched group ends exactly once: trained, dropped with a reason, or cancelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from policy.completion import Completion
from rewards.score import Score
from scenes.trajectory import Trajectory


class Fate(StrEnum):
    """How a group, or one rollout of it, ended."""

    TRAINED = "trained"
    DROPPED = "dropped"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Rollout:
    """One completion of one clip. rollout_id is "<group_id>/<index>"; total: combined reward, advantage: what
    the learner was given, shares: advantage by reward name (they sum to it); None where not computed."""

    rollout_id: str
    group_id: str
    index: int
    clip_id: str
    seed: int
    completion: Completion
    trajectory: Trajectory | None
    scores: tuple[Score, ...] = ()
    total: float | None = None
    advantage: float | None = None
    shares: Mapping[str, float] = field(default_factory=dict)
    fate: Fate = Fate.TRAINED
    fate_reason: str | None = None


@dataclass(frozen=True)
class Group:
    """G rollouts of one clip under one dispatch. step counts optimiser batches from 1; version is the weight
    version that was served when it was dispatched; disagreement is the curator's divergence in nats; weights are
    those that its rewards were combined with."""

    group_id: str
    step: int
    clip_id: str
    version: int
    rollouts: tuple[Rollout, ...]
    fate: Fate = Fate.TRAINED
    fate_reason: str | None = None
    disagreement: float | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
