"""The rollout worker: a vLLM engine in a Ray actor.

Role: clips in, parsed completions out, group by group as each finishes, so that scoring starts while others
still generate. Invariant: a broken engine ends the actor (Ray then reports it dead and the job makes another);
it is never called again. Prompts are built here from the clip store, so that no image crosses processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from policy.completion import Completion, parse_completion
from policy.engine import Request, Sample, Sampling
from policy.flow_options import FlowOptions
from policy.prompt import PromptBuilder
from policy.spec import PolicySpec
from policy.tokenizer import TextCodec
from policy.vllm_engine import VllmEngine, VllmOptions
from scenes.store import ClipStore

if TYPE_CHECKING:
    from policy.expert_driver import ExpertDriver


@dataclass(frozen=True)
class Dispatch:
    """One group to generate: `samples` completions of a clip with seeds seed, seed+1, …"""

    group_id: str
    clip_id: str
    samples: int
    seed: int
    sampling: Sampling


class RolloutWorker:
    """Generates groups of one clip store with one engine. flow: let the policy's flow expert drive every valid
    completion, which then ends where the expert begins; None leaves that to its trajectory tokens."""

    def __init__(
        self,
        policy: Path,
        store: Path,
        options: VllmOptions,
        version: int = 0,
        flow: FlowOptions | None = None,
    ) -> None:
        self._spec = PolicySpec.load(policy)
        self._text = TextCodec.load(policy)
        self._prompts = PromptBuilder(self._spec, self._text)
        self._grammar = replace(self._spec.grammar(), trajectory=flow is None)
        self._stores = {store: ClipStore.open(store)}
        self._store = self._stores[store]
        self._expert = None if flow is None else _expert(policy, flow, options)
        self._engine = VllmEngine(policy, options, version, self._grammar)

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
        waiting = {request.request_id: request for request in requests}
        for group_id, samples in self._engine.generate(requests):
            request = waiting.pop(group_id)
            yield group_id, self._driven(request, [self._parse(sample) for sample in samples])

    def _driven(self, request: Request, completions: list[Completion]) -> list[Completion]:
        """The completions, with the expert's actions on the valid ones where the expert drives."""
        valid = [index for index, completion in enumerate(completions) if completion.valid]
        if self._expert is None or not valid:
            return completions
        seeds = [request.seed + index for index in valid]
        rows = [completions[index].token_ids for index in valid]
        for index, actions in zip(valid, self._expert.actions(request.prompt, rows, seeds), strict=True):
            completions[index] = replace(completions[index], expert_actions=actions)
        return completions

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
        """Serve new weights, to the expert's backbone too; returns the version now served."""
        if self._expert is not None:
            self._expert.update_weights(weights)
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
        """The engine's counters, and the expert's."""
        return self._engine.metrics() | ({} if self._expert is None else self._expert.metrics())


def _expert(policy: Path, flow: FlowOptions, options: VllmOptions) -> ExpertDriver:
    # Here, because importing this module must stay light and torch's threads are set in the actor.
    import torch

    from policy.expert_driver import ExpertDriver

    torch.set_num_threads(options.threads)
    return ExpertDriver(policy, flow, "cuda" if torch.cuda.is_available() else "cpu")
