"""The backbone as learner, SFT and parity checks run it: Qwen3-VL whose head answers for chosen rows only.

Role: loads a policy folder and computes logits where they are wanted. Under the completion grammar a trajectory
position chooses among its bins and a forced position among nothing; logits of the whole vocabulary at every
position would be most of a small model's memory traffic and, at release size, gigabytes. Invariant: parameters,
their names and the saved config are transformers' own; without `head_slices` forward is transformers' own too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from transformers import Qwen3VLForConditionalGeneration

from policy.vision_speed import speed_up_vision


@dataclass(frozen=True)
class HeadSlice:
    """Logits wanted: positions [B, L] bool of the input sequence, and ids start … end-1 of the vocabulary."""

    positions: torch.Tensor
    start: int
    end: int


class SlicedHead(torch.nn.Linear):
    """Output head that can compute some of its rows; a module call, so that sharded weights are gathered."""

    def forward(self, hidden: torch.Tensor, start: int = 0, end: int | None = None) -> torch.Tensor:
        """hidden: [..., width] → [..., end - start]."""
        bias = None if self.bias is None else self.bias[start:end]
        return F.linear(hidden, self.weight[start:end], bias)


class Backbone(Qwen3VLForConditionalGeneration):  # type: ignore[misc]
    """Qwen3-VL with an optional list of head slices."""

    def forward(self, *args: Any, head_slices: Sequence[HeadSlice] | None = None, **kwargs: Any) -> Any:
        """transformers' output; with head_slices a tuple of logits [positions chosen, end - start], one each."""
        if head_slices is None:
            return super().forward(*args, **kwargs)
        hidden = self.model(*args, **kwargs).last_hidden_state
        return tuple(self.lm_head(hidden[part.positions], part.start, part.end) for part in head_slices)


# save_pretrained writes the class's name into config.json, where vLLM looks for the architecture.
Backbone.__name__ = Qwen3VLForConditionalGeneration.__name__


def load_backbone(folder: Path, dtype: torch.dtype = torch.float32) -> Any:
    """The backbone of a policy folder, with the fast vision tower. Raises OSError for a folder without one."""
    model = speed_up_vision(Backbone.from_pretrained(folder, dtype=dtype))
    model.lm_head.__class__ = SlicedHead
    return model


def before(chosen: torch.Tensor, length: int) -> torch.Tensor:
    """Positions [B, length] whose output predicts the chosen of the last L ids; chosen: [B, L] bool."""
    positions = torch.zeros((chosen.shape[0], length), dtype=torch.bool, device=chosen.device)
    first = length - chosen.shape[1] - 1
    positions[:, first : first + chosen.shape[1]] = chosen
    return positions
