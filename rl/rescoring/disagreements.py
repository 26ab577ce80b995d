"""The rollouts on which old and new disagree most, kept while a run streams by.

Invariant: at most `top` are held of each kind, whatever the run's length; among equal ones the smaller rollout
id comes first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from rewards.score import Score
from rl.rollout import Rollout

TEXT_CHARACTERS = 2000


@dataclass(frozen=True)
class Disagreement:
    """One rollout before and after. distance: |new - old|; value: the reward's score, or the advantage."""

    distance: float
    step: int
    group_id: str
    rollout_id: str
    clip_id: str
    text: str
    old: float | None
    new: float | None
    old_advantage: float | None
    new_advantage: float | None
    old_explanation: str
    new_explanation: str

    def row(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


class Worst:
    """The `top` largest disagreements of one kind."""

    def __init__(self, top: int) -> None:
        self.top = top
        self.kept: list[Disagreement] = []

    def threshold(self) -> float:
        """A disagreement below this cannot be kept."""
        return self.kept[-1].distance if len(self.kept) >= self.top > 0 else 0.0

    def add(self, found: Iterable[Disagreement]) -> None:
        """Take over those that belong to the worst."""
        ranked = sorted([*self.kept, *found], key=lambda d: (-d.distance, d.rollout_id))
        self.kept = ranked[: self.top]


def disagreement(
    distance: float,
    step: int,
    before: Rollout,
    after: Rollout,
    old: tuple[float | None, str],
    new: tuple[float | None, str],
) -> Disagreement:
    """A record of one rollout; old and new are (value, explanation)."""
    return Disagreement(
        distance=distance,
        step=step,
        group_id=before.group_id,
        rollout_id=before.rollout_id,
        clip_id=before.clip_id,
        text=before.completion.text[:TEXT_CHARACTERS],
        old=old[0],
        new=new[0],
        old_advantage=before.advantage,
        new_advantage=after.advantage,
        old_explanation=old[1],
        new_explanation=new[1],
    )


def scores_told(rollout: Rollout) -> str:
    """Every score of a rollout in one line."""
    return "; ".join(_told(score) for score in rollout.scores)


def _told(score: Score) -> str:
    value = f"missing ({score.status})" if score.value is None else f"{score.value:.4g}"
    return f"{score.reward} {value}"
