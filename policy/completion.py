"""What the policy answered: token ids, their probabilities, and what they say and drive.

Role: parse completion ids into reasoning text and trajectory bins without re-tokenising anything.
Invariant: an invalid completion is a state with a reason; its bins are None, never filled in.
Numpy alone, so that rewards can import it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from policy.grammar import Grammar, Phase
from policy.trajectory_tokens import FutureCodec
from scenes.dynamics import hold_at_standstill, integrate
from scenes.trajectory import Trajectory


@dataclass(frozen=True)
class Completion:
    """One sampled answer of L tokens.

    token_ids: [L] int32; logprobs: [L] float32 nats under the distribution that was sampled (after grammar
    mask and temperature; 0 where the grammar left one choice); versions: [L] int32 weight version per token;
    forced: [L] bool, the grammar left one choice (kept out of the loss); bins: [2T] int32 trajectory bins
    interleaved acceleration, curvature, or None when invalid or never sampled; reason: why it is invalid;
    expert_actions: [T, 2] float32 m/s², 1/m that the flow expert gave for this text, which are then what is driven,
    or None.
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
    expert_actions: np.ndarray | None = None

    @property
    def learned(self) -> np.ndarray:
        """[L] bool: tokens that what was rewarded depends on. Forced ones are not among them, nor are trajectory
        tokens that nobody drove because the expert did."""
        if self.expert_actions is None or self.bins is None:
            return ~self.forced
        text = len(self.token_ids) - len(self.bins) - 2
        return ~self.forced & (np.arange(len(self.token_ids)) < text)

    @property
    def trajectory_from(self) -> str | None:
        """Whose trajectory is driven and rewarded: "discrete", "expert", or None where nothing can be driven."""
        if self.expert_actions is not None:
            return "expert"
        return None if self.bins is None else "discrete"


def parse_completion(
    token_ids: Sequence[int] | np.ndarray,
    logprobs: Sequence[float] | np.ndarray,
    versions: Sequence[int] | np.ndarray,
    finish_reason: str,
    grammar: Grammar,
    decode_text: Callable[[list[int]], str],
) -> Completion:
    """Parse sampled ids [L] with their log-probabilities and weight versions.

    decode_text turns base-vocabulary ids into text. Raises ValueError when the three lengths differ: that is a
    bug of the engine, not a property of the completion.
    """
    ids = np.asarray(token_ids, np.int32)
    if not len(ids) == len(logprobs) == len(versions):
        raise ValueError(f"{len(ids)} ids, {len(logprobs)} log-probabilities, {len(versions)} versions")
    reason = grammar.violation(ids)
    probabilities = np.asarray(logprobs, np.float32)
    if reason is None and not np.isfinite(probabilities).all():
        reason = "a sampled token has no finite log-probability"
    length = grammar.text_length(ids)
    words = ids[: len(ids) if length is None else length]
    words = words[words < grammar.vocabulary.base_size]
    bins = None
    if reason is None and length is not None and grammar.trajectory:
        bins = ids[length + 2 : length + 2 + grammar.future_tokens] - grammar.vocabulary.future_start
    return Completion(
        token_ids=ids,
        logprobs=probabilities,
        versions=np.asarray(versions, np.int32),
        forced=grammar.phases(ids) == Phase.FORCED,
        finish_reason=finish_reason,
        text=decode_text([int(token) for token in words]).strip(),
        bins=bins,
        valid=reason is None,
        reason=reason,
    )


def drive(completion: Completion, codec: FutureCodec, speed: float) -> Trajectory | None:
    """The trajectory of a valid completion from speed m/s at t0; None for an invalid one, and for one without
    trajectory tokens that no expert has driven.

    The flow expert's where the completion carries its actions, else that of its own trajectory tokens.
    """
    if completion.expert_actions is not None:
        return drive_actions(completion.expert_actions, codec, speed)
    if completion.bins is None:
        return None
    return drive_actions(codec.decode(completion.bins), codec, speed)


def drive_actions(actions: np.ndarray, codec: FutureCodec, speed: float) -> Trajectory:
    """The trajectory that actions [T, 2] (m/s², 1/m) lead to from speed m/s at t0. Its actions are those driven:
    with a forward-only codec a braking vehicle ends at a standstill."""
    driven = actions.astype(np.float64)
    if codec.forward_only:
        driven[:, 0] = hold_at_standstill(driven[:, 0], speed)
    return Trajectory(actions=driven, states=integrate(driven, np.float64(speed)))
