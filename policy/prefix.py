"""What the expert attends to: the backbone's key-value cache up to and including <|traj_future_start|>.

Role: computes the cache of prompts and texts, and cuts out of it what the expert may see. Invariants: every row
has its own end and its own next position, so a padded batch gives each row exactly what it gets alone; a
detached prefix lets no gradient of the flow loss reach the backbone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache


@dataclass(frozen=True)
class Prefix:
    """keys, values: one a layer, [B, KV heads, S, head size]; visible: [B, S] bool, which cached tokens belong
    to the row; position: [B] int64, rotary position of the first token after them."""

    keys: tuple[torch.Tensor, ...]
    values: tuple[torch.Tensor, ...]
    visible: torch.Tensor
    position: torch.Tensor

    def detach(self) -> Prefix:
        """The same numbers without their history."""
        return Prefix(
            tuple(key.detach() for key in self.keys),
            tuple(value.detach() for value in self.values),
            self.visible,
            self.position,
        )

    def hidden(self, rows: torch.Tensor) -> Prefix:
        """The same prefix, of which the rows chosen ([B] bool) see nothing."""
        return Prefix(self.keys, self.values, self.visible & ~rows[:, None], self.position)

    def unseen(self) -> Prefix:
        """No cached token at all, at the same position: what an unconditional velocity sees. Costs no attention."""
        return Prefix(
            tuple(key[:, :, :0] for key in self.keys),
            tuple(value[:, :, :0] for value in self.values),
            self.visible[:, :0],
            self.position,
        )


def prefix_of(
    cache: DynamicCache,
    ends: torch.Tensor,
    rope_deltas: torch.Tensor,
    mask: torch.Tensor | None = None,
    *,
    detach: bool = True,
) -> Prefix:
    """The part of a backbone's cache before each row's end.

    ends: [B] index after the row's last visible token (that of <|traj_future_start|> + 1), padding to its left
    counted; rope_deltas: [B, 1], what transformers adds to a count of real tokens to get a rotary position; mask:
    [B, S] of real tokens when rows are padded on the left; detach: the stop-gradient of the release. Raises
    ValueError when an end lies outside the cache.
    """
    length = cache.get_seq_length()
    if bool((ends < 1).any()) or bool((ends > length).any()):
        raise ValueError(
            f"prefix ends {ends.tolist()} lie outside a cache of {length} tokens; the text must be run through the "
            "backbone up to and including <|traj_future_start|>"
        )
    visible = torch.arange(length, device=ends.device)[None] < ends[:, None]
    if mask is not None:
        visible = visible & mask[:, :length].bool()
    keys = tuple(layer.keys for layer in cache.layers)
    values = tuple(layer.values for layer in cache.layers)
    longest = int(ends.max())
    prefix = Prefix(
        tuple(key[:, :, :longest] for key in keys),
        tuple(value[:, :, :longest] for value in values),
        visible[:, :longest],
        visible.sum(-1) + rope_deltas.to(ends.device).view(-1).expand(len(ends)),
    )
    return prefix.detach() if detach else prefix


def prefill(backbone: Any, inputs: dict[str, Any]) -> tuple[DynamicCache, torch.Tensor]:
    """Run a whole batch through the backbone, without its output head; returns its cache and rope deltas [B, 1].

    inputs: keyword arguments as policy.model_inputs makes them.
    """
    cache = DynamicCache(config=backbone.config)
    backbone.model(**inputs, past_key_values=cache, use_cache=True)
    return cache, backbone.model.rope_deltas


def forget(cache: DynamicCache, length: int) -> None:
    """Cut a cache back to its first `length` tokens, in place."""
    surplus = cache.get_seq_length() - length
    if surplus > 0:
        cache.crop(-surplus)
