"""The vision tower's two slow spots on a CPU, computed the fast way.

Role: transformers runs the patch embedding as a 3-D convolution whose kernel equals its stride, and attention one
image at a time. The same numbers come from one matrix product and one batched call where all images have one size,
as a policy's cameras do. Invariant: parameters keep their names, shapes and identity; outputs differ by rounding
only (tested); images of different sizes take transformers' own path.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from transformers.models.qwen3_vl.modeling_qwen3_vl import (
    Qwen3VLVisionAttention,
    Qwen3VLVisionPatchEmbed,
    apply_rotary_pos_emb_vision,
)


class LinearPatchEmbed(Qwen3VLVisionPatchEmbed):
    """Patch embedding as a matrix product with the convolution's own weight."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """hidden_states: [patches, channels * frames * height * width] → [patches, embed_dim]."""
        weight = self.proj.weight
        rows = hidden_states.to(weight.dtype).view(-1, weight[0].numel())
        return F.linear(rows, weight.view(self.embed_dim, -1), self.proj.bias)


class EqualImagesAttention(Qwen3VLVisionAttention):
    """Attention within each image, all images in one call."""

    def forward(
        self,
        hidden_states: torch.Tensor,
        cu_seqlens: torch.Tensor,
        position_embeddings: tuple[torch.Tensor, torch.Tensor] | None = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """hidden_states: [patches of all images, dim]; cu_seqlens: [images + 1] where each begins."""
        lengths = cu_seqlens[1:] - cu_seqlens[:-1]
        if position_embeddings is None or not bool((lengths == lengths[0]).all()):
            return super().forward(
                hidden_states, cu_seqlens, position_embeddings=position_embeddings, **kwargs
            )
        total = hidden_states.shape[0]
        query, key, value = (
            self.qkv(hidden_states).reshape(total, 3, self.num_heads, -1).permute(1, 0, 2, 3).unbind(0)
        )
        query, key = apply_rotary_pos_emb_vision(query, key, *position_embeddings)
        shape = (len(lengths), total // len(lengths), self.num_heads, -1)
        query, key, value = (part.reshape(shape).transpose(1, 2) for part in (query, key, value))
        mixed = F.scaled_dot_product_attention(query, key, value, scale=self.scaling)
        return self.proj(mixed.transpose(1, 2).reshape(total, -1))


def speed_up_vision(model: Any) -> Any:
    """Let a Qwen3-VL model compute its vision tower the fast way; returns the model."""
    visual = model.model.visual
    visual.patch_embed.__class__ = LinearPatchEmbed
    for block in visual.blocks:
        block.attn.__class__ = EqualImagesAttention
    return model
