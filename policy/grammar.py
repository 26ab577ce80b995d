"""The completion grammar: which ids may follow, as a pure state machine over token positions.

Role: sampler (vLLM, transformers) and learner mask logits with the same rule, so that both speak of the same
distribution. Grammar: reasoning text, cot_end, traj_future_start, exactly 2T future bins, traj_future_end; where
the flow expert drives, the completion ends with traj_future_start, which is all that the expert reads.
Invariant: a position has one phase; FORCED positions have one choice, log-probability 0, and no loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from policy.vocabulary import Vocabulary


class Phase(IntEnum):
    """What a position of a completion may hold."""

    TEXT = 0
    TRAJECTORY = 1
    FORCED = 2


@dataclass(frozen=True)
class Grammar:
    """vocabulary and the two lengths. max_text: reasoning tokens before cot_end is forced; at least one text
    token comes before cot_end may be chosen. trajectory: whether bins follow traj_future_start, or nothing."""

    vocabulary: Vocabulary
    max_text: int
    future_tokens: int = 128
    trajectory: bool = True

    @property
    def max_tokens(self) -> int:
        """Longest completion: text, cot_end, traj_start, and with a trajectory bins and traj_end."""
        return self.max_text + 2 + (self.future_tokens + 1 if self.trajectory else 0)

    @property
    def last(self) -> int:
        """The id that ends a completion."""
        return self.vocabulary.traj_end if self.trajectory else self.vocabulary.traj_start

    def text_ids(self, first: bool) -> np.ndarray:
        """[size] bool: ids that a text position may hold; cot_end is excluded at the first position."""
        allowed = np.zeros(self.vocabulary.size, bool)
        allowed[: self.vocabulary.base_size] = True
        allowed[list(self.vocabulary.text_banned)] = False
        allowed[self.vocabulary.cot_end] = not first
        return allowed

    def text_length(self, ids: np.ndarray) -> int | None:
        """Reasoning tokens before cot_end, or None when there is no cot_end."""
        ends = np.flatnonzero(np.asarray(ids) == self.vocabulary.cot_end)
        return int(ends[0]) if ends.size else None

    def phases(self, ids: np.ndarray) -> np.ndarray:
        """ids [L] → phase of each position [L] int8, from the ids that came before it."""
        ids = np.asarray(ids)
        phases = np.full(len(ids), Phase.TEXT, np.int8)
        if len(ids) > self.max_text:
            phases[self.max_text] = Phase.FORCED
        length = self.text_length(ids)
        if length is None:
            return phases
        start = length + 2
        phases[length + 1 :] = Phase.FORCED
        phases[start : start + self.future_tokens] = Phase.TRAJECTORY
        return phases

    def violation(self, ids: np.ndarray) -> str | None:
        """Why ids [L] are not a complete sentence of the grammar; None when they are."""
        ids, vocabulary = np.asarray(ids), self.vocabulary
        length = self.text_length(ids)
        if length is None:
            return "no <|cot_end|>: the completion was truncated in its reasoning"
        if length == 0:
            return "empty reasoning text"
        if length > self.max_text:
            return f"reasoning of {length} tokens exceeds the budget of {self.max_text}"
        allowed = self.text_ids(first=False)
        text = ids[:length]
        if ((text < 0) | (text >= len(allowed))).any() or not allowed[text].all():
            return "reasoning holds an id that is not text"
        if len(ids) < length + 2 or ids[length + 1] != vocabulary.traj_start:
            return "<|traj_future_start|> does not follow <|cot_end|>"
        if not self.trajectory:
            more = len(ids) - length - 2
            return f"{more} tokens after <|traj_future_start|>, where the expert drives" if more else None
        bins = ids[length + 2 : length + 2 + self.future_tokens] - vocabulary.future_start
        if len(bins) < self.future_tokens:
            return f"{len(bins)} trajectory tokens instead of {self.future_tokens}"
        if (bins < 0).any() or (bins >= vocabulary.future_bins).any():
            return "a trajectory token is outside the future range"
        rest = ids[length + 2 + self.future_tokens :]
        if len(rest) != 1 or rest[0] != vocabulary.traj_end:
            return f"<|traj_future_end|> does not close {self.future_tokens} trajectory tokens"
        return None
