"""The rollout worker: a vLLM engine in a Ray actor.

Role: clips in, parsed completions out, group by group as each finishes, so that scoring starts while others
still generate. Invariant: a broken engine ends the actor (Ray then reports it dead and the job makes another);
it is never called again. Prompts are built here from the clip store, so that no image crosses processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from policy.completion import Completion, parse_completion
from policy.engine import Request, Sample, Sampling
from policy.prompt import PromptBuilder
from policy.spec import PolicySpec
from policy.tokenizer import TextCodec
from policy.vllm_engine import VllmEngine, VllmOptions
from scenes.store import ClipStore


@dataclass(frozen=True)
class Dispatch:
    """One group to generate: `samples` completions of a clip with seeds seed, seed+1, …"""

    group_id: str
    clip_id: str
    samples: int
    seed: int
    sampling: Sampling


class RolloutWorker:
    """Generates groups of one clip store with one engine."""

    def __init__(self, policy: Path, store: Path, options: VllmOptions, version: int = 0) -> None:
        self._spec = PolicySpec.load(policy)
        self._text = TextCodec.load(policy)
        self._prompts = PromptBuilder(self._spec, self._text)
        self._grammar = self._spec.grammar()
        self._stores = {store: ClipStore.open(store)}
        self._store = self._stores[store]
        self._engine = VllmEngine(policy, options, version)

    def ready(self) -> int:
        """Weight version, once the engine is up."""
        return self._engine.version

    def use_store(self, store: Path) -> None:
        """Read clips from another store (evaluation splits)."""
        if store not in self._stores:
            self._stores[store] = ClipStore.open(store)
        self._store = self._stores[store]

    def generate(self, dispatches: Sequence[Dispatch]) -> Iterator[tuple[str, list[Completion]]]:
        """Yield (group id, completions in seed order) as groups finish."""
        requests = [
            Request(
                dispatch.group_id,
                self._prompts.build(self._store[self._store.index(dispatch.clip_id)]),
                dispatch.samples,
                dispatch.seed,
                dispatch.sampling,
            )
            for dispatch in dispatches
        ]
        for group_id, samples in self._engine.generate(requests):
            yield group_id, [self._parse(sample) for sample in samples]

    def _parse(self, sample: Sample) -> Completion:
        return parse_completion(
            sample.token_ids,
            sample.logprobs,
            sample.versions,
            sample.finish_reason,
            self._grammar,
            self._text.decode,
        )

    def update_weights(self, weights: Mapping[str, np.ndarray], version: int) -> int:
        """Serve new weights; returns the version now served."""
        self._engine.update_weights(weights, version)
        return self._engine.version

    def score(self, clip_ids: Sequence[str], ids: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Raw log-probabilities of ids after each clip's prompt (the probe of a weight sync)."""
        prompts = [self._prompts.build(self._store[self._store.index(clip_id)]) for clip_id in clip_ids]
        return self._engine.score(prompts, ids)

    def prompt_ids(self, clip_id: str) -> list[int]:
        """A prompt's ids as vLLM expanded them."""
        prompt = self._prompts.build(self._store[self._store.index(clip_id)])
        return self._engine.prompt_ids(Request("prompt", prompt, 1, 0, Sampling()))

    def metrics(self) -> dict[str, float]:
        """The engine's counters."""
        return self._engine.metrics()
