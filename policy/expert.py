"""The expert network: a Qwen3-VL text stack without embedding, attending layer by layer to the backbone's cache.

Role: one token per waypoint, all tokens of a trajectory attending to each other both ways and to the prefix of
their row. Several trajectories of one row share its keys and values: they stand side by side in the sequence,
and a block-diagonal mask keeps them apart, so a prefix of 3,000 tokens is read once a layer instead of once a
sample. Invariant: parameter names are the release's (`layers.N.…`, `norm`); nothing of the prefix is changed.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from transformers.models.qwen3_vl.modeling_qwen3_vl import (
    Qwen3VLTextDecoderLayer,
    Qwen3VLTextRMSNorm,
    Qwen3VLTextRotaryEmbedding,
)

from policy.expert_spec import ExpertSpec
from policy.prefix import Prefix


def expert_text_config(backbone_config: Any, spec: ExpertSpec) -> Any:
    """The backbone's text configuration with the expert's widths; layers, KV heads and head size stay the
    backbone's.

    Raises ValueError when the query heads are no multiple of the KV heads.
    """
    config = copy.deepcopy(backbone_config.get_text_config())
    if spec.heads % config.num_key_value_heads:
        raise ValueError(
            f"{spec.heads} expert heads do not share {config.num_key_value_heads} KV heads of the backbone evenly; "
            "choose a multiple"
        )
    config.hidden_size, config.intermediate_size = spec.hidden, spec.feed_forward
    config.num_attention_heads = spec.heads
    config._attn_implementation = "sdpa"
    return config


class SharedPrefix:
    """A prefix as the attention layers see it: `update` puts the tokens' own keys and values behind the cached
    ones.

    Without gradient they go into one buffer a layer that is kept from call to call, so that a sampler's steps copy
    the prefix once.
    """

    def __init__(self, prefix: Prefix) -> None:
        self._prefix = prefix
        self._buffers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """keys, values: [B, KV heads, tokens, head size] → with the prefix in front."""
        cached, held = self._prefix.keys[layer], self._prefix.values[layer]
        if torch.is_grad_enabled():
            return torch.cat([cached, keys], 2), torch.cat([held, values], 2)
        length = cached.shape[2]
        found = self._buffers.get(layer)
        if found is None or found[0].shape[2] != length + keys.shape[2]:
            self._buffers[layer] = (torch.cat([cached, keys], 2), torch.cat([held, values], 2))
        else:
            found[0][:, :, length:] = keys
            found[1][:, :, length:] = values
        return self._buffers[layer]


def attention_mask(visible: torch.Tensor, trajectories: int, waypoints: int) -> torch.Tensor | None:
    """[B, 1, N T, S + N T] bool, True where a token may look: its row's visible prefix and its own trajectory.

    visible: [B, S]. None when everything is allowed, because attention without a mask is faster.
    """
    if trajectories == 1 and bool(visible.all()):
        return None
    rows, tokens = visible.shape[0], trajectories * waypoints
    number = torch.arange(tokens, device=visible.device) // waypoints
    own = (number[:, None] == number[None, :]).expand(rows, tokens, tokens)
    seen = visible[:, None, :].expand(rows, tokens, visible.shape[1])
    return torch.cat([seen, own], dim=-1)[:, None]


class Expert(nn.Module):
    """The text stack. config: expert_text_config's result."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(
            Qwen3VLTextDecoderLayer(config, index) for index in range(config.num_hidden_layers)
        )
        for layer in self.layers:
            layer.self_attn.is_causal = False
        self.norm = Qwen3VLTextRMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.rotary_emb = Qwen3VLTextRotaryEmbedding(config=config)

    def forward(
        self, tokens: torch.Tensor, shared: SharedPrefix, mask: torch.Tensor | None, positions: torch.Tensor
    ) -> torch.Tensor:
        """tokens: [B, N T, width]; mask: attention_mask's; positions: [B, N T] rotary positions → [B, N T,
        width]."""
        rotary = self.rotary_emb(tokens, positions[None].expand(3, -1, -1))
        hidden = tokens
        for layer in self.layers:
            hidden = layer(
                hidden,
                attention_mask=mask,
                past_key_values=shared,
                position_embeddings=rotary,
                use_cache=True,
            )
        return self.norm(hidden)
