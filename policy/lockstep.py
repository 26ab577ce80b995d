"""Several completions of one prompt, token by token side by side, over one key-value cache.

Role: sampling for `ar1 drive`, `ar1 latency` and the flow benchmarks, where the cache is wanted afterwards;
rollouts come from vLLM. Invariants: the prompt is run once and its cache repeated a row; rows begin together and
each takes one token a step, so no row is ever padded before its end; the grammar rules each row on its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache

from policy.grammar import Grammar


@dataclass
class Lockstep:
    """State of R rows. ids, logprobs: what each row sampled so far, one list a step of [R] arrays; cot: [R] step
    at which a row chose <|cot_end|>, -1 before."""

    grammar: Grammar
    rows: int
    temperature: float
    generator: torch.Generator
    ids: list[np.ndarray] = field(default_factory=list)
    logprobs: list[np.ndarray] = field(default_factory=list)
    cot: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.cot = np.full(self.rows, -1)
        size = self.grammar.vocabulary.size
        trajectory = torch.zeros(size, dtype=torch.bool)
        start = self.grammar.vocabulary.future_start
        trajectory[start : start + self.grammar.vocabulary.future_bins] = True
        first, later = (torch.from_numpy(self.grammar.text_ids(first=value)) for value in (True, False))
        self._masks = {"first": first, "text": later, "trajectory": trajectory}

    @property
    def step(self) -> int:
        """Tokens each row has sampled."""
        return len(self.ids)

    @property
    def text_done(self) -> bool:
        """Whether every row has sampled <|traj_future_start|>."""
        return bool((self.cot >= 0).all()) and self.step >= int(self.cot.max()) + 2

    @property
    def done(self) -> bool:
        """Whether every row has sampled <|traj_future_end|>."""
        return (
            bool((self.cot >= 0).all()) and self.step >= int(self.cot.max()) + 3 + self.grammar.future_tokens
        )

    def pick(self, logits: torch.Tensor) -> torch.Tensor:
        """Sample the next token of each row [R, 1] from logits [R, vocabulary] (temperature 0: the likeliest)."""
        allowed = torch.stack([self._allowed(row) for row in range(self.rows)]).to(logits.device)
        masked = logits[:, : self.grammar.vocabulary.size].float().masked_fill(~allowed, -torch.inf)
        if self.temperature == 0:
            table = torch.log_softmax(masked, -1)
            chosen = masked.argmax(-1, keepdim=True)
        else:
            table = torch.log_softmax(masked / self.temperature, -1)
            chosen = torch.multinomial(table.exp().cpu(), 1, generator=self.generator).to(logits.device)
        picked = chosen[:, 0].cpu().numpy()
        ended = (self.cot < 0) & (picked == self.grammar.vocabulary.cot_end)
        self.cot[ended] = self.step
        self.ids.append(picked.astype(np.int32))
        self.logprobs.append(table.gather(1, chosen)[:, 0].cpu().numpy().astype(np.float32))
        return chosen

    def _allowed(self, row: int) -> torch.Tensor:
        step, cot, vocabulary = self.step, int(self.cot[row]), self.grammar.vocabulary
        if cot < 0 and step < self.grammar.max_text:
            return self._masks["first" if step == 0 else "text"]
        inside = step - cot - 2
        if cot >= 0 and 0 <= inside < self.grammar.future_tokens:
            return self._masks["trajectory"]
        only = torch.zeros(vocabulary.size, dtype=torch.bool)
        # A row that is through repeats its last mark until the others are; `completion` leaves that out.
        only[
            vocabulary.cot_end if cot < 0 else vocabulary.traj_start if inside < 0 else vocabulary.traj_end
        ] = True
        return only

    def completion(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Ids and log-probabilities [L] of one row, up to its <|traj_future_end|> or as far as it got."""
        length = int(self.cot[row]) + 3 + self.grammar.future_tokens if self.cot[row] >= 0 else self.step
        ids, logprobs = np.stack(self.ids)[:length, row], np.stack(self.logprobs)[:length, row]
        return ids, logprobs


def repeat(cache: DynamicCache, rows: int) -> DynamicCache:
    """The cache of one prompt for several rows, in place."""
    if rows > 1:
        cache.batch_repeat_interleave(rows)
    return cache


def feed(backbone: Any, cache: DynamicCache, tokens: torch.Tensor) -> torch.Tensor:
    """Run one token a row [R, 1] through the backbone; returns logits [R, vocabulary] for the next."""
    # Without a mask transformers places the token after the cache; with one it would place all of them.
    output = backbone(input_ids=tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return output.logits[:, -1]
