"""A learned resampler: K scene tokens read all cameras and frames by cross attention.

Role: the module that learner and engine share; its weights are `model.resampler.*` of the policy. After Flex
(arXiv 2512.10947): joint attention over all views, only the scene tokens go on. Invariants: the count of inputs
is fixed (cameras x frames x tokens an image); a DeepStack plane is pooled with the attention of the main features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

SHARPNESS = 5.0
"""Logit by which a fresh scene token prefers its own stretch of the image tokens."""


class Resampler(torch.nn.Module):
    """inputs image tokens of `width` → outputs scene tokens. Weights are unset until loaded or `reset`."""

    def __init__(self, width: int, heads: int, inputs: int, outputs: int) -> None:
        super().__init__()
        if outputs > inputs or width % heads:
            raise ValueError(
                f"cannot resample {inputs} image tokens of width {width} to {outputs} with {heads} heads: "
                "scene_tokens must not exceed the image tokens, heads must divide the width"
            )
        self.heads, self.inputs = heads, inputs
        self.queries = torch.nn.Parameter(torch.empty(outputs, width))
        self.places = torch.nn.Parameter(torch.empty(inputs, width))
        self.norm = torch.nn.LayerNorm(width)
        self.key = torch.nn.Linear(width, width, bias=False)
        self.value = torch.nn.Linear(width, width, bias=False)
        self.out = torch.nn.Linear(width, width, bias=False)
        self.mix = torch.nn.Linear(width, width)
        self.gain = torch.nn.Linear(width, width)

    def forward(
        self, merged: torch.Tensor, planes: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """merged and each DeepStack plane [scenes, inputs, width] → the same for [scenes, outputs, width].

        Planes use the heads' mean attention and no weights of their own: they are added to the hidden states of
        a scene token, so they must speak of the places that this token looked at. Raises ValueError on another
        count of inputs.
        """
        if merged.shape[1] != self.inputs:
            raise ValueError(f"resampler of {self.inputs} image tokens got {merged.shape[1]}")
        normed = self.norm(merged)
        keys = self._split(self.key(normed) + self.places)
        queries = self._split(self.queries.unsqueeze(0))
        scale = (merged.shape[2] // self.heads) ** -0.5
        weights = torch.softmax((queries @ keys.transpose(-1, -2)).float() * scale, -1).to(merged.dtype)
        mixed = self.out((weights @ self._split(self.value(merged))).transpose(1, 2).flatten(2))
        tokens = mixed + self.gain(F.gelu(self.mix(self.norm(mixed))))
        shared = weights.mean(1)
        return tokens, [shared @ plane for plane in planes]

    def _split(self, rows: torch.Tensor) -> torch.Tensor:
        """[scenes, rows, width] → [scenes, heads, rows, width / heads]."""
        return rows.unflatten(2, (self.heads, -1)).transpose(1, 2)

    @torch.no_grad()
    def reset(self, seed: int) -> None:
        """Start as average pooling: each scene token over its own stretch of image tokens, values unchanged.

        A random start would hand a trained language model noise; from pooling it only has to learn where to look.
        """
        generator = torch.Generator().manual_seed(seed)
        outputs, width = self.queries.shape
        self.places.normal_(0.0, 1.0, generator=generator)
        owner = torch.arange(self.inputs) * outputs // self.inputs
        for index in range(outputs):
            # Sum over m places: its product with one of them is about width / heads, scaled to SHARPNESS.
            self.queries[index] = self.places[owner == index].sum(0)
        self.queries.mul_(SHARPNESS * (width // self.heads) ** -0.5)
        self.key.weight.normal_(0.0, 0.1 * width**-0.5, generator=generator)
        self.mix.weight.normal_(0.0, width**-0.5, generator=generator)
        for linear in (self.value, self.out):
            linear.weight.copy_(torch.eye(width))
        for zero in (self.gain.weight, self.gain.bias, self.mix.bias, self.norm.bias):
            zero.zero_()
        self.norm.weight.fill_(1.0)
