"""Fewer vision tokens on the learner's side: transformers' Qwen3-VL model between its tower and its text.

Role: runs the tower, keeps or resamples its tokens and their DeepStack planes, and places what is left.
Invariants: rows, planes and positions come from policy.vision_tokens and policy.vision_resampler, as in the engine
(policy.vllm_vision); a decode step, which brings no pixels, is transformers' own.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLModel

from policy.spec import VisionTokensSpec
from policy.vision_tokens import MERGE, kept_tokens, mrope_positions


class CompressedModel(Qwen3VLModel):  # type: ignore[misc]
    """Qwen3VLModel that reads fewer image tokens; `tokens` is its VisionTokensSpec."""

    tokens: VisionTokensSpec

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        image_grid_thw: torch.Tensor | None = None,
        mm_token_type_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        mm_encoder_outputs: Any = None,
        **kwargs: Any,
    ) -> Any:
        """transformers' output. Raises ValueError on left padding, on a wrong count of image placeholders, and on
        positions or encoder outputs made elsewhere: both belong to the choice of tokens."""
        if position_ids is not None or mm_encoder_outputs is not None:
            raise ValueError("a policy with vision_tokens makes its own position_ids and encoder outputs")
        del mm_token_type_ids  # says again which ids are image placeholders
        if pixel_values is None or image_grid_thw is None or input_ids is None:
            return super().forward(input_ids=input_ids, attention_mask=attention_mask, **kwargs)
        if attention_mask is not None and not bool(attention_mask[:, 0].all()):
            raise ValueError("left-padded rows are not supported with vision_tokens; pad on the right")
        features = self.get_image_features(pixel_values, image_grid_thw, return_dict=True)
        merged, planes = features.pooler_output, features.deepstack_features
        is_image = input_ids == self.config.image_token_id
        if self.tokens.kind == "prune":
            grids = image_grid_thw.tolist()
            counts = [self.tokens.kept(h * w // MERGE**2) for _, h, w in grids]
            kept = self.choose(pixel_values, image_grid_thw, counts)
            merged = [rows[indices] for rows, indices in zip(merged, kept, strict=True)]
            planes = [[rows[i] for rows, i in zip(plane, kept, strict=True)] for plane in planes]
            positions, deltas = self._positions(is_image, kept, grids)
        else:
            scenes = len(input_ids)
            stacked, pooled = self.resampler(
                torch.cat(tuple(merged)).unflatten(0, (scenes, -1)),
                [torch.cat(tuple(plane)).unflatten(0, (scenes, -1)) for plane in planes],
            )
            merged, planes = [stacked.flatten(0, 1)], [[plane.flatten(0, 1)] for plane in pooled]
            # A scene token has no place in an image: it stands where a word would.
            positions = torch.arange(input_ids.shape[1]).expand(3, scenes, -1)
            deltas = torch.zeros((scenes, 1), dtype=torch.long)
        self.rope_deltas = deltas.to(input_ids.device)
        return super().forward(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=positions.to(input_ids.device),
            mm_encoder_outputs={"image": SimpleNamespace(pooler_output=merged, deepstack_features=planes)},
            **kwargs,
        )

    def choose(
        self, pixel_values: torch.Tensor, grid_thw: torch.Tensor, counts: list[int]
    ) -> list[torch.Tensor]:
        """Indices of the tokens kept of each image; a method, so that benchmarks can try other rules."""
        return kept_tokens(pixel_values, grid_thw, counts)

    def _positions(
        self, is_image: torch.Tensor, kept: list[torch.Tensor], grids: list[list[int]]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Positions [3, B, L] and deltas [B, 1]; images are dealt to rows in order."""
        each = len(kept) // len(is_image)
        placed = [
            mrope_positions(row.cpu(), kept[i * each : (i + 1) * each], grids[i * each : (i + 1) * each])
            for i, row in enumerate(is_image)
        ]
        return torch.stack([p for p, _ in placed], 1), torch.tensor([[delta] for _, delta in placed])
