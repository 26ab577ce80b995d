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
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

from policy.compressed_model import CompressedModel
from policy.spec import SPEC_FILE, PolicySpec, VisionTokensSpec
from policy.vision_resampler import Resampler
from policy.vision_speed import speed_up_vision
from policy.vision_tokens import check_processor

CONFIG_KEY = "ar1_vision_tokens"
"""Key of config.json that says which vision tokens a model with fewer of them was saved with."""


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
    """Qwen3-VL with an optional list of head slices, and fewer vision tokens where its config says so."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        told = getattr(config, CONFIG_KEY, None)
        if told is None:
            return
        tokens = VisionTokensSpec.model_validate(told["tokens"])
        self.model.__class__ = CompressedModel
        self.model.tokens = tokens
        if tokens.scene_tokens is not None:
            width = config.text_config.hidden_size
            self.model.resampler = Resampler(width, tokens.heads, told["inputs"], tokens.scene_tokens)

    def forward(self, *args: Any, head_slices: Sequence[HeadSlice] | None = None, **kwargs: Any) -> Any:
        """transformers' output; with head_slices a tuple of logits [positions chosen, end - start], one each."""
        if head_slices is None:
            return super().forward(*args, **kwargs)
        hidden = self.model(*args, **kwargs).last_hidden_state
        return tuple(self.lm_head(hidden[part.positions], part.start, part.end) for part in head_slices)


# save_pretrained writes the class's name into config.json, where vLLM looks for the architecture.
Backbone.__name__ = Qwen3VLForConditionalGeneration.__name__


def tell_vision_tokens(config: Any, spec: PolicySpec) -> Any:
    """Write a policy's vision tokens into its model's config, where Backbone and save_pretrained find them."""
    if spec.vision_tokens.kind != "none":
        inputs = spec.images * spec.cameras.tokens_per_image
        setattr(config, CONFIG_KEY, {"tokens": spec.vision_tokens.model_dump(), "inputs": inputs})
    elif hasattr(config, CONFIG_KEY):
        delattr(config, CONFIG_KEY)
    return config


def load_backbone(folder: Path, dtype: torch.dtype = torch.float32) -> Any:
    """The backbone of a policy folder, with the fast vision tower and the vision tokens that its ar1.json names.

    Raises OSError for a folder without a model, ValueError where a resampler is configured but has no weights.
    """
    config = Qwen3VLConfig.from_pretrained(folder)
    if (folder / SPEC_FILE).is_file():  # a checkpoint inside a stage has none; its config was told
        tell_vision_tokens(config, PolicySpec.load(folder))
    model, found = Backbone.from_pretrained(folder, config=config, dtype=dtype, output_loading_info=True)
    if missing := sorted(name for name in found["missing_keys"] if ".resampler." in name):
        raise ValueError(
            f"{folder} says vision_tokens.kind resample but has no {missing[0]}; start one with "
            "`ar1 vision-tokens`, or train one by `ar1 sft` with policy.vision_tokens"
        )
    if getattr(config, CONFIG_KEY, None) is not None and (folder / "preprocessor_config.json").is_file():
        check_processor(folder)
    model = speed_up_vision(model)
    model.lm_head.__class__ = SlicedHead
    return model


def before(chosen: torch.Tensor, length: int) -> torch.Tensor:
    """Positions [B, length] whose output predicts the chosen of the last L ids; chosen: [B, L] bool."""
    positions = torch.zeros((chosen.shape[0], length), dtype=torch.bool, device=chosen.device)
    first = length - chosen.shape[1] - 1
    positions[:, first : first + chosen.shape[1]] = chosen
    return positions
