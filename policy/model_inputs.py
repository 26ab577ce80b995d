"""Torch inputs of the backbone for prompts and completions, the same for SFT, learner and parity checks.

Invariant: prompts come from policy.prompt and pixels from the folder's own image processor, which is the one
vLLM uses; rows are right-padded. No attention mask is made: under causal attention no token
sees the padding to its right, and attention without a mask is faster everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import Qwen2VLImageProcessor

from policy.prompt import Prompt


@dataclass(frozen=True)
class Padded:
    """Right-padded rows. ids: [B, L] int64; mask: [B, L] bool, True on real tokens."""

    ids: torch.Tensor
    mask: torch.Tensor


def pad_rows(rows: Sequence[np.ndarray], fill: int) -> Padded:
    """Stack id rows of different length. Raises ValueError on an empty batch."""
    if not rows:
        raise ValueError("no rows to pad")
    width = max(len(row) for row in rows)
    ids = np.full((len(rows), width), fill, np.int64)
    mask = np.zeros((len(rows), width), bool)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
        mask[index, : len(row)] = True
    return Padded(torch.from_numpy(ids), torch.from_numpy(mask))


class ImageEncoder:
    """Pixels of prompts, by the policy folder's own image processor."""

    def __init__(self, folder: Path) -> None:
        self._processor = Qwen2VLImageProcessor.from_pretrained(folder)

    def __call__(self, images: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """images [N, h, w, 3] uint8 → pixel_values [N * patches, features] and image_grid_thw [N, 3]."""
        batch = self._processor(images=list(images), return_tensors="pt")
        return batch["pixel_values"], batch["image_grid_thw"]


def backbone_inputs(
    prompts: Sequence[Prompt], completions: Padded, encoder: ImageEncoder, image_pad: int
) -> dict[str, Any]:
    """Keyword arguments of Qwen3VLForConditionalGeneration for prompt + completion rows (equal prompt lengths).

    Raises ValueError when prompts differ in length: left padding is not supported by the embedded path.
    """
    lengths = {len(prompt.ids) for prompt in prompts}
    if len(lengths) != 1:
        raise ValueError(f"prompts of lengths {sorted(lengths)} in one batch; batch by prompt length")
    prompt_ids = torch.from_numpy(np.stack([prompt.ids for prompt in prompts]).astype(np.int64))
    ids = torch.cat([prompt_ids, completions.ids], dim=1)
    pixels, grid = encoder(np.concatenate([prompt.images for prompt in prompts]))
    return {
        "input_ids": ids,
        "pixel_values": pixels,
        "image_grid_thw": grid,
        "mm_token_type_ids": (ids == image_pad).int(),
    }
