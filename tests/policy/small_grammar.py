"""A small vocabulary and grammar for tests, with ids that are easy to read."""

from __future__ import annotations

import numpy as np

from policy.grammar import Grammar
from policy.vocabulary import Vocabulary

VOCABULARY = Vocabulary(
    base_size=20,
    future_bins=8,
    history_bins=4,
    text_banned=(12, 13, 14, 15, 16, 17, 18, 19),
    im_start=13,
    im_end=14,
    vision_start=15,
    vision_end=16,
    image_pad=18,
)
GRAMMAR = Grammar(VOCABULARY, max_text=6, future_tokens=4)


def completion(text: list[int], bins: list[int] | None = None) -> np.ndarray:
    """Ids of a well-formed completion."""
    v = VOCABULARY
    drive = [v.future_start + b for b in (bins if bins is not None else [0, 1, 2, 3])]
    return np.array([*text, v.cot_end, v.traj_start, *drive, v.traj_end])
