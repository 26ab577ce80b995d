"""A driver: texts, discrete trajectories and flow trajectories of one clip, from one pass over its prompt.

Role: what `ar1 drive`, `ar1 latency` and the flow benchmarks run, on transformers. Invariants: images and prompt
are computed once, whatever the count of samples; text, trajectory tokens and flow read one cache, which the
expert sees up to and including <|traj_future_start|>; results depend on the clip and the seed alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache

from policy.backbone import load_backbone
from policy.completion import Completion, parse_completion
from policy.expert_model import ExpertModel
from policy.flow import seeded_noise
from policy.flow_options import FlowOptions
from policy.lockstep import Lockstep, feed, repeat
from policy.model_inputs import ImageEncoder, Padded, backbone_inputs
from policy.prefix import Prefix, prefix_of
from policy.prompt import Prompt
from policy.spec import PolicySpec
from policy.tokenizer import TextCodec


@dataclass(frozen=True)
class Plans:
    """R samples of one clip. completions: [R], without trajectory tokens (so not valid) where they were not
    asked for; flow: [R, N, T, 2] float32 actions, N trajectories a text; seconds: by stage."""

    completions: tuple[Completion, ...]
    flow: np.ndarray
    seconds: dict[str, float]


@dataclass
class Texts:
    """R sampled texts of one prompt and the cache they left. state: what each row sampled so far; logits: [R,
    vocabulary] of each row's next token; prefix: what the expert sees."""

    cache: DynamicCache
    state: Lockstep
    logits: torch.Tensor
    prefix: Prefix


@dataclass
class Stopwatch:
    """Seconds by stage; waits for the device, so that a stage is charged for what it started."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of a block to a stage."""
        began = time.perf_counter()
        yield
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began


class Planner:
    """Drives with one policy folder. Raises FileNotFoundError when it has no expert."""

    def __init__(self, folder: Path, dtype: torch.dtype = torch.float32) -> None:
        self.spec = PolicySpec.load(folder)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.expert = ExpertModel.load(folder, dtype).to(self.device)
        self.backbone = load_backbone(folder, dtype).eval().to(self.device)
        self.grammar = self.spec.grammar()
        self._text = TextCodec.load(folder)
        self._images = ImageEncoder(folder)

    def inputs(self, prompt: Prompt) -> dict[str, Any]:
        """Keyword inputs of the backbone for one prompt."""
        empty = Padded(torch.zeros((1, 0), dtype=torch.long), torch.zeros((1, 0), dtype=torch.bool))
        inputs = backbone_inputs([prompt], empty, self._images, self.grammar.vocabulary.image_pad)
        return {name: value.to(self.device) for name, value in inputs.items()}

    @torch.no_grad()
    def see(self, inputs: dict[str, Any]) -> Any:
        """The vision tower's output for one prompt's images."""
        return self.backbone.model.get_image_features(
            inputs["pixel_values"], inputs["image_grid_thw"], return_dict=True
        )

    @torch.no_grad()
    def prefill(self, inputs: dict[str, Any], seen: Any) -> tuple[DynamicCache, torch.Tensor]:
        """Cache of one prompt, and logits [1, vocabulary] of the first token of the answer."""
        cache = DynamicCache(config=self.backbone.config)
        rest = {name: value for name, value in inputs.items() if name != "pixel_values"}
        output = self.backbone(
            **rest,
            mm_encoder_outputs={"image": seen},
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return cache, output.logits[:, -1]

    def lockstep(self, rows: int, temperature: float, seed: int) -> Lockstep:
        """A sampler of R rows."""
        return Lockstep(self.grammar, rows, temperature, torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def texts(
        self, prompt: Prompt, samples: int, temperature: float, seed: int, watch: Stopwatch | None = None
    ) -> Texts:
        """Sample texts up to and including <|traj_future_start|>; images and prompt are computed once."""
        watch = watch or Stopwatch()
        inputs = self.inputs(prompt)
        with watch.stage("vision"):
            seen = self.see(inputs)
        with watch.stage("prefill"):
            cache, logits = self.prefill(inputs, seen)
        state = self.lockstep(samples, temperature, seed)
        with watch.stage("text"):
            logits = self._decode(repeat(cache, samples), logits.expand(samples, -1), state, text_only=True)
        ends = torch.from_numpy(len(prompt.ids) + state.cot + 2).to(self.device)
        return Texts(cache, state, logits, prefix_of(cache, ends, self.backbone.model.rope_deltas))

    @torch.no_grad()
    def trajectory_tokens(self, texts: Texts) -> None:
        """Sample every row's own trajectory tokens, from where its text ended."""
        texts.logits = self._decode(texts.cache, texts.logits, texts.state, text_only=False)

    def completions(self, texts: Texts) -> tuple[Completion, ...]:
        """What the rows sampled so far, parsed; not valid before trajectory_tokens."""
        return tuple(self._parse(*texts.state.completion(row)) for row in range(texts.state.rows))

    def noise(self, rows: int, trajectories: int, seed: int) -> torch.Tensor:
        """Start of the flow [R, N, T, 2]: row r's with seed + r."""
        return seeded_noise(rows, trajectories, self.expert.spec.waypoints, seed).to(self.device)

    def plan(
        self,
        prompt: Prompt,
        samples: int,
        temperature: float,
        seed: int,
        flow: FlowOptions,
        *,
        trajectories: int = 1,
        discrete: bool = True,
    ) -> Plans:
        """Sample texts of one prompt, then a flow trajectory (or several) of each text, and with `discrete` each
        text's own trajectory tokens. Temperature 0 is greedy: every text is the same then, not every flow.
        """
        watch = Stopwatch()
        texts = self.texts(prompt, samples, temperature, seed, watch)
        with watch.stage("flow"):
            actions = self.expert.sample(texts.prefix, self.noise(samples, trajectories, seed), flow)
        if discrete:
            with watch.stage("discrete"):
                self.trajectory_tokens(texts)
        return Plans(self.completions(texts), actions.float().cpu().numpy(), watch.seconds)

    def _decode(
        self, cache: DynamicCache, logits: torch.Tensor, state: Lockstep, *, text_only: bool
    ) -> torch.Tensor:
        while not (state.text_done if text_only else state.done):
            logits = feed(self.backbone, cache, state.pick(logits))
        return logits

    def _parse(self, ids: np.ndarray, logprobs: np.ndarray) -> Completion:
        versions = np.zeros(len(ids), np.int32)
        return parse_completion(ids, logprobs, versions, "stop", self.grammar, self._text.decode)
