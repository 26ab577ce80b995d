"""transformers behind the engine interface: the slow, plain reference for parity tests.

Role: same grammar, temperature and seeds contract as the vLLM engine on the Hugging Face model itself.
Invariant: no cache outlives a call, so an update can leave nothing stale. Seeds give their own stream of samples,
not vLLM's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from policy.backbone import load_backbone
from policy.engine import Request, Sample
from policy.grammar import Phase
from policy.likelihood import masked_log_probs
from policy.model_inputs import ImageEncoder, Padded, backbone_inputs, pad_rows
from policy.prompt import Prompt
from policy.spec import PolicySpec


class TransformersEngine:
    """Autoregressive sampling with a key-value cache; implements policy.engine.Engine."""

    def __init__(self, folder: Path, version: int = 0) -> None:
        self.spec = PolicySpec.load(folder)
        self.model = load_backbone(folder).eval()
        self._images = ImageEncoder(folder)
        self._grammar = self.spec.grammar()
        self._version = version
        self._tokens = 0.0

    @property
    def version(self) -> int:
        """Version of the weights."""
        return self._version

    @torch.no_grad()
    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[str, list[Sample]]]:
        """See policy.engine.Engine. Refuses top_p and top_k."""
        for request in requests:
            if request.sampling.top_p != 1.0 or request.sampling.top_k:
                raise ValueError("the transformers engine samples with temperature only")
            samples = [self._one(request, request.seed + index) for index in range(request.samples)]
            yield request.request_id, samples

    def _one(self, request: Request, seed: int) -> Sample:
        generator = torch.Generator().manual_seed(seed)
        empty = Padded(torch.zeros((1, 0), dtype=torch.long), torch.zeros((1, 0), dtype=torch.bool))
        image_pad = self._grammar.vocabulary.image_pad
        inputs = backbone_inputs([request.prompt], empty, self._images, image_pad)
        output = self.model(**inputs, use_cache=True, logits_to_keep=1)
        ids: list[int] = []
        logprobs: list[float] = []
        while not ids or ids[-1] != self._grammar.last:
            token, logprob = self._pick(output.logits[:, -1:], ids, request.sampling.temperature, generator)
            ids.append(token)
            logprobs.append(logprob)
            # Without a mask transformers places the token after the cache; with one it would place all of them.
            output = self.model(
                input_ids=torch.tensor([[token]]), past_key_values=output.past_key_values, use_cache=True
            )
        self._tokens += len(ids)
        versions = np.full(len(ids), self._version, np.int32)
        return Sample(np.asarray(ids, np.int32), np.asarray(logprobs, np.float32), versions, "stop")

    def _pick(
        self, logits: torch.Tensor, ids: list[int], temperature: float, generator: torch.Generator
    ) -> tuple[int, float]:
        phases = self._grammar.phases(np.asarray([*ids, 0]))
        vocabulary = self._grammar.vocabulary
        if phases[-1] == Phase.FORCED:
            length = self._grammar.text_length(np.asarray(ids))
            if length is None:
                return vocabulary.cot_end, 0.0
            return (vocabulary.traj_start if len(ids) == length + 1 else vocabulary.traj_end), 0.0
        row = logits[0, 0, : vocabulary.size].clone()
        allowed = torch.zeros(vocabulary.size, dtype=torch.bool)
        if phases[-1] == Phase.TRAJECTORY:
            allowed[vocabulary.future_start : vocabulary.history_start] = True
        else:
            allowed = torch.from_numpy(self._grammar.text_ids(first=not ids))
        row[~allowed] = -torch.inf
        if temperature == 0:
            token = int(row.argmax())
            return token, float(torch.log_softmax(row, -1)[token])
        token = int(torch.multinomial(torch.softmax(row / temperature, -1), 1, generator=generator))
        return token, float(torch.log_softmax(row / temperature, -1)[token])

    @torch.no_grad()
    def log_probs(self, prompt_request: Request, sample: Sample) -> np.ndarray:
        """Log-probabilities [L] of a sample's own ids by one full forward pass."""
        ids = Padded(
            torch.from_numpy(sample.token_ids.astype(np.int64))[None],
            torch.ones((1, len(sample.token_ids)), dtype=torch.bool),
        )
        inputs = backbone_inputs(
            [prompt_request.prompt], ids, self._images, self._grammar.vocabulary.image_pad
        )
        phases = torch.from_numpy(self._grammar.phases(sample.token_ids))[None]
        temperature = prompt_request.sampling.temperature
        return masked_log_probs(self.model, inputs, phases, self._grammar, temperature)[0][0].numpy()

    @torch.no_grad()
    def score(self, prompts: Sequence[Prompt], ids: Sequence[np.ndarray]) -> list[np.ndarray]:
        """See policy.engine.Engine; one full forward pass a row."""
        result = []
        for prompt, row in zip(prompts, ids, strict=True):
            padded = pad_rows([row], fill=0)
            inputs = backbone_inputs([prompt], padded, self._images, self._grammar.vocabulary.image_pad)
            logits = self.model(**inputs, logits_to_keep=len(row) + 1).logits[0, :-1]
            table = torch.log_softmax(logits.float(), -1)
            result.append(table.gather(1, padded.ids[0][:, None]).squeeze(1).numpy())
        return result

    def update_weights(self, weights: Mapping[str, np.ndarray], version: int) -> None:
        """See policy.engine.Engine. Raises ValueError on an unknown tensor or a version that goes back."""
        if version <= self._version:
            raise ValueError(f"weights of version {version} offered, {self._version} is served already")
        state = {name: torch.from_numpy(np.asarray(value)) for name, value in weights.items()}
        result = self.model.load_state_dict(state, strict=False)
        if result.unexpected_keys:
            raise ValueError(f"unknown tensors: {result.unexpected_keys[:3]}")
        self._version = version

    def metrics(self) -> dict[str, float]:
        """Tokens generated so far."""
        return {"generated_tokens": self._tokens}

    def close(self) -> None:
        """Nothing to release beyond the object."""
