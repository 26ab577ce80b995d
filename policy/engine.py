"""What an inference engine is to the rest: prompts in, samples with probabilities and versions out.

Role: the small interface behind which vLLM serves rollouts and transformers serves parity tests.
Invariants: samples obey the completion grammar; log-probabilities are of the distribution sampled from; every
token knows the weight version that sampled it; after `update_weights` no cache of older weights is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from policy.prompt import Prompt


class EngineError(RuntimeError):
    """The engine broke and must be recreated; an infrastructure failure, not a property of a rollout."""


@dataclass(frozen=True)
class Sampling:
    """How to decode. temperature 0 is greedy; top_p and top_k below all mass are for evaluation only, because
    training would need the kept set again."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0

    @property
    def trainable(self) -> bool:
        """Whether the learner can reproduce the distribution exactly."""
        return self.temperature > 0 and self.top_p == 1.0 and self.top_k == 0


@dataclass(frozen=True)
class Request:
    """One prompt, sampled `samples` times with seeds seed, seed+1, …"""

    request_id: str
    prompt: Prompt
    samples: int
    seed: int
    sampling: Sampling


@dataclass(frozen=True)
class Sample:
    """token_ids: [L] int32; logprobs: [L] float32 nats; versions: [L] int32 weight version per token."""

    token_ids: np.ndarray
    logprobs: np.ndarray
    versions: np.ndarray
    finish_reason: str


class Engine(Protocol):
    """A served policy."""

    @property
    def version(self) -> int:
        """Version of the weights that the next token is sampled with."""
        ...

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[str, list[Sample]]]:
        """Yield (request id, its samples in seed order) as each request finishes."""
        ...

    def score(self, prompts: Sequence[Prompt], ids: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Raw log-probabilities [L] (no mask, temperature 1) of ids after each prompt."""
        ...

    def update_weights(self, weights: Mapping[str, np.ndarray], version: int) -> None:
        """Load every named float32 tensor (Hugging Face names) in memory and drop all caches."""
        ...

    def metrics(self) -> dict[str, float]:
        """Counters since the engine started."""
        ...

    def close(self) -> None:
        """Release the engine's memory and workers."""
        ...
