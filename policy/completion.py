"""What the policy answered: token ids, their probabilities, and what they say and drive.

Role: parse completion ids into reasoning text and trajectory bins without re-tokenising anything.
Invariant: an invalid completion is a state with a reason; its bins are None, never filled in.
Numpy alone, so that rewards can import it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Completion:
    """One sampled answer of L tokens.

    token_ids: [L] int32; logprobs: [L] float32 nats under the distribution that was sampled (after grammar
    mask and temperature; 0 where the grammar left one choice); versions: [L] int32 weight version per token;
    forced: [L] bool, the grammar left one choice (kept out of the loss); bins: [2T] int32 trajectory bins
    interleaved acceleration, curvature, or None when invalid; reason: why it is invalid.
    """

    token_ids: np.ndarray
    logprobs: np.ndarray
    versions: np.ndarray
    forced: np.ndarray
    finish_reason: str
    text: str
    bins: np.ndarray | None
    valid: bool
    reason: str | None = None
