"""The rows of one step as the learner takes them.

Role: flattens scored groups into (clip, ids, log-probabilities, advantage) rows of a fixed count.
Invariant: a step always has the configured number of rows; rows of dropped rollouts are empty (no token in the
loss), so that dropping never changes the shape of an update, only its content.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rl.rollout import Fate, Group


@dataclass(frozen=True)
class Row:
    """One completion to learn from. token_ids, logprobs: [L]; learned: [L] bool, tokens in the loss; advantage None
    marks an empty row."""

    clip_id: str
    token_ids: np.ndarray
    logprobs: np.ndarray
    learned: np.ndarray
    advantage: float | None


@dataclass(frozen=True)
class TrainingBatch:
    """Rows of one step, in dispatch order."""

    step: int
    rows: tuple[Row, ...]

    @property
    def trained(self) -> int:
        """Rows that carry gradient."""
        return sum(row.advantage is not None for row in self.rows)


def make_batch(step: int, groups: Sequence[Group]) -> TrainingBatch:
    """Rows of all groups. Raises ValueError when no rollout is left to train on."""
    rows = []
    for group in groups:
        for rollout in group.rollouts:
            trained = group.fate is Fate.TRAINED and rollout.fate is Fate.TRAINED
            rows.append(
                Row(
                    clip_id=group.clip_id,
                    token_ids=rollout.completion.token_ids,
                    logprobs=rollout.completion.logprobs,
                    learned=rollout.completion.learned,
                    advantage=rollout.advantage if trained else None,
                )
            )
    batch = TrainingBatch(step, tuple(rows))
    if not batch.trained:
        raise ValueError(f"step {step} has no rollout left to train on; see the drop reasons in the ledger")
    return batch
