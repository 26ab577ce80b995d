"""Tensors of one step for the push trainer.

Role: rows of rl.training_batch plus prompts from the clip store → the dictionary TRL's loss reads.
Invariant: prompt images and ids are rebuilt from the clip by the same builder that served the sampler; sampled
ids are taken as they are, never re-tokenised; padding and forced tokens are outside the loss.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from policy.grammar import Phase
from policy.model_inputs import ImageEncoder, backbone_inputs, pad_rows
from policy.prompt import Prompt, PromptBuilder
from policy.spec import PolicySpec
from policy.tokenizer import TextCodec
from rl.training_batch import Row, TrainingBatch
from scenes.store import ClipStore


class BatchMaker:
    """Makes learner tensors from rows; reads prompts from one clip store."""

    def __init__(self, policy: Path, store: ClipStore, seed: int) -> None:
        spec = PolicySpec.load(policy)
        self.grammar = spec.grammar()
        self._prompts = PromptBuilder(spec, TextCodec.load(policy))
        self._images = ImageEncoder(policy)
        self._store = store
        self._seed = seed

    def prompt(self, clip_id: str) -> Prompt:
        """Prompt of a clip. Raises KeyError when the store lacks it."""
        return self._prompts.build(self._store[self._store.index(clip_id)])

    def model_inputs(self, clip_ids: list[str], ids: list[np.ndarray]) -> tuple[dict[str, Any], torch.Tensor]:
        """Backbone inputs of prompt + ids rows, and the row mask [B, L] of real completion tokens."""
        padded = pad_rows(ids, fill=self.grammar.vocabulary.traj_end)
        cache = {clip_id: self.prompt(clip_id) for clip_id in set(clip_ids)}
        prompts = [cache[clip_id] for clip_id in clip_ids]
        return backbone_inputs(prompts, padded, self._images, self.grammar.vocabulary.image_pad), padded.mask

    def __call__(self, batch: TrainingBatch) -> dict[str, Any]:
        """The dictionary that PushGRPOTrainer's intake returns."""
        rows = batch.rows
        inputs, mask = self.model_inputs([row.clip_id for row in rows], [row.token_ids for row in rows])
        width = mask.shape[1]
        prompt_ids, completion_ids = inputs["input_ids"][:, :-width], inputs["input_ids"][:, -width:]
        phases = np.full(mask.shape, Phase.FORCED, np.int8)
        logprobs = np.zeros(mask.shape, np.float32)
        for index, row in enumerate(rows):
            if row.advantage is not None:
                length = len(row.token_ids)
                # Tokens that nobody drove are treated as forced: no logits, no loss.
                known = self.grammar.phases(row.token_ids)
                phases[index, :length] = np.where(row.learned, known, Phase.FORCED)
                logprobs[index, :length] = np.where(row.learned, row.logprobs, 0.0)
        free = torch.from_numpy(phases != Phase.FORCED)
        trained = torch.tensor([row.advantage is not None for row in rows])
        loss_mask = mask & free & trained[:, None]
        images = len(inputs["image_grid_thw"]) // len(rows)
        return {
            "prompt_ids": prompt_ids,
            "prompt_mask": torch.ones_like(prompt_ids),
            "completion_ids": completion_ids,
            "completion_mask": mask.long(),
            "tool_mask": (free & trained[:, None]).long(),
            "phases": torch.from_numpy(phases),
            "advantages": torch.tensor([_advantage(row) for row in rows], dtype=torch.float32),
            "old_per_token_logps": torch.from_numpy(logprobs),
            "num_items_in_batch": loss_mask.sum(),
            "pixel_values": inputs["pixel_values"],
            "image_grid_thw": inputs["image_grid_thw"],
            "num_images": [images] * len(rows),
            "mm_token_type_ids": inputs["mm_token_type_ids"],
            "shuffle_seed": self._seed * 1_000_003 + batch.step,
        }


def _advantage(row: Row) -> float:
    # An empty row has no token in the loss, so its factor is never used.
    return 0.0 if row.advantage is None else row.advantage
