"""What a reward is asked and what it answers.

Invariant: a failed score has `value is None` and a status that says why; it is never 0. A scored one is
finite. Both sides of the wire and in-process callers use these types.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np

from rewards.redaction import redact
from scenes.clip import Clip


class Status(StrEnum):
    """How scoring one rollout ended. Only INFRASTRUCTURE and DEADLINE may be retried."""

    OK = "ok"
    INFRASTRUCTURE = "infrastructure"
    DATA = "data"
    REWARD_BUG = "reward_bug"
    DEADLINE = "deadline"
    REFUSED = "refused"


@dataclass(frozen=True)
class RolloutView:
    """What a reward sees of one rollout. actions: [T, 2], states: [T, 4] (see scenes.trajectory), both None
    when the completion is invalid; reason says why it is. version is the policy's weight version."""

    rollout_id: str
    group_id: str
    clip_id: str
    text: str
    valid: bool
    reason: str | None = None
    actions: np.ndarray | None = None
    states: np.ndarray | None = None
    tokens: int = 0
    version: int = 0


@dataclass(frozen=True)
class Score:
    """One record: a finite value, or None with the cause in `status` and `explanation`, which is kept without the
    secrets that error texts may quote (see rewards.redaction)."""

    reward: str
    value: float | None
    status: Status = Status.OK
    components: Mapping[str, float] = field(default_factory=dict)
    explanation: str = ""
    version: str = ""
    attempts: int = 1
    latency_s: float = 0.0
    cached: bool = False

    def __post_init__(self) -> None:
        if (self.value is None) == (self.status is Status.OK):
            raise ValueError(f"score of {self.reward!r}: value {self.value} contradicts status {self.status}")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"score of {self.reward!r} is {self.value}; report a failure as a missing score")
        if self.value is None:
            # The one place that every error text passes on its way to a wire, a ledger or a page.
            object.__setattr__(self, "explanation", redact(self.explanation))

    @classmethod
    def of_table(
        cls, common: Mapping[str, object], value: float, components: Mapping[str, float], explanation: str
    ) -> Score:
        """A score out of columns that are checked as a whole (see `rewards.score_table`): a finite value, and the
        fields that it shares with the others in `common`. It spares half of what a score costs."""
        score = object.__new__(cls)
        vars(score).update(common, value=value, components=components, explanation=explanation)
        return score


ClipView = Mapping[str, Clip]
"""Clips by id, without cameras unless the reward declared that it needs images."""


class Reward(Protocol):
    """A reward over a batch. Higher is better; `low` and `high` state the range of `value`."""

    name: str
    version: str
    low: float
    high: float

    def score(self, rollouts: Sequence[RolloutView], clips: ClipView) -> list[Score]:
        """One score a rollout, in order."""
        ...
