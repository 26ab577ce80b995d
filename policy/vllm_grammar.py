"""The completion grammar as a vLLM logits processor.

Role: masks each row's logits to the ids that policy.grammar allows at its position.
Invariant: per-row state is derived from the request's own output ids, so that moved, preempted and resumed rows
stay right. Loaded by vLLM in the engine process; configured per request through `extra_args["ar1_grammar"]`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from vllm.sampling_params import SamplingParams
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor, MoveDirectionality

from policy.grammar import Grammar
from policy.vocabulary import Vocabulary

if TYPE_CHECKING:
    from vllm.config import VllmConfig

EXTRA_ARG = "ar1_grammar"


def grammar_args(grammar: Grammar) -> dict[str, Any]:
    """Plain data that rebuilds the grammar inside the engine: a request's `extra_args`."""
    return {EXTRA_ARG: asdict(grammar)}


@dataclass
class Row:
    """One request in the batch. outputs is vLLM's live list of its ids; cot is the position of cot_end, or -1
    while the reasoning goes on; seen counts the ids already looked at."""

    grammar: Grammar
    outputs: list[int]
    cot: int = -1
    seen: int = 0

    def advance(self) -> int:
        """Position to sample next; looks at ids that arrived since the last call."""
        position = len(self.outputs)
        if self.cot < 0:
            for index in range(self.seen, position):
                if self.outputs[index] == self.grammar.vocabulary.cot_end:
                    self.cot = index
                    break
        self.seen = position
        return position


class GrammarProcessor(LogitsProcessor):
    """Masks logits by phase: text ids, one forced id, or the future range."""

    def __init__(self, vllm_config: VllmConfig, device: torch.device, is_pin_memory: bool) -> None:
        del is_pin_memory
        self.device = device
        self.width = vllm_config.model_config.get_vocab_size()
        self.rows: dict[int, Row] = {}
        self._grammars: dict[str, Grammar] = {}
        self._masks: dict[tuple[int, bool], torch.Tensor] = {}

    @classmethod
    def validate_params(cls, sampling_params: SamplingParams) -> None:
        """Nothing to refuse: requests without the argument are left alone."""

    def is_argmax_invariant(self) -> bool:
        """Masking changes the argmax, so greedy decoding needs it too."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow rows as vLLM removes, adds and moves them (in that order)."""
        if batch_update is None:
            return
        for index in batch_update.removed:
            self.rows.pop(index, None)
        for index, params, _prompt, outputs in batch_update.added:
            args = (params.extra_args or {}).get(EXTRA_ARG)
            self.rows.pop(index, None)
            if args is not None:
                self.rows[index] = Row(self._grammar(args), outputs)
        for source, target, direction in batch_update.moved:
            moved, other = self.rows.pop(source, None), self.rows.pop(target, None)
            if moved is not None:
                self.rows[target] = moved
            if other is not None and direction == MoveDirectionality.SWAP:
                self.rows[source] = other

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Mask logits [rows, vocabulary] in place."""
        texts: dict[tuple[int, bool], list[int]] = {}
        trajectories: list[int] = []
        forced_rows: list[int] = []
        forced_ids: list[int] = []
        grammar: Grammar | None = None
        for index, row in self.rows.items():
            grammar = row.grammar
            position, vocabulary = row.advance(), grammar.vocabulary
            inside = position - row.cot - 2
            if row.cot < 0 and position < grammar.max_text:
                texts.setdefault((id(grammar), position == 0), []).append(index)
            elif row.cot >= 0 and 0 <= inside < grammar.future_tokens:
                trajectories.append(index)
            else:
                forced_rows.append(index)
                after_cot = vocabulary.traj_start if inside < 0 else vocabulary.traj_end
                forced_ids.append(vocabulary.cot_end if row.cot < 0 else after_cot)
        for key, indices in texts.items():
            mask = self._text_mask(key, self.rows[indices[0]].grammar)
            logits[indices] = logits[indices].masked_fill(mask, -torch.inf)
        if trajectories and grammar is not None:
            start = grammar.vocabulary.future_start
            end = start + grammar.vocabulary.future_bins
            kept = logits[trajectories, start:end]
            logits[trajectories] = -torch.inf
            logits[trajectories, start:end] = kept
        if forced_rows:
            logits[forced_rows] = -torch.inf
            logits[forced_rows, forced_ids] = 0.0
        return logits

    def _grammar(self, args: dict[str, Any]) -> Grammar:
        key = repr(args)
        if key not in self._grammars:
            vocabulary = Vocabulary(
                **{**args["vocabulary"], "text_banned": tuple(args["vocabulary"]["text_banned"])}
            )
            self._grammars[key] = Grammar(vocabulary, args["max_text"], args["future_tokens"])
        return self._grammars[key]

    def _text_mask(self, key: tuple[int, bool], grammar: Grammar) -> torch.Tensor:
        if key not in self._masks:
            banned = torch.ones(self.width, dtype=torch.bool, device=self.device)
            banned[: grammar.vocabulary.size] = torch.from_numpy(~grammar.text_ids(first=key[1]))
            self._masks[key] = banned
        return self._masks[key]
