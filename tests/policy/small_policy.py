"""A policy folder small enough to build in a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from policy.embedded import build_embedded
from policy.prompt import Prompt, PromptBuilder
from policy.spec import (
    CameraSpec,
    EmbeddedSize,
    FutureSpec,
    HistorySpec,
    PolicySpec,
    PromptSpec,
    VisionTokensSpec,
)
from policy.tokenizer import TextCodec

SENTENCE = "keep the lane and slow down because the light is red ."


def build(folder: Path, seed: int = 1, vision_tokens: VisionTokensSpec | None = None) -> Path:
    """Two cameras, 64 future bins, 8 tokens of text."""
    build_embedded(
        folder,
        [SENTENCE],
        size=EmbeddedSize(),
        future=FutureSpec(bins=64),
        history=HistorySpec(bins=32),
        prompt=PromptSpec(),
        cameras=CameraSpec(names=("front_wide", "front_tele"), frames=1, width=96, height=64),
        max_text=8,
        seed=seed,
        vision_tokens=vision_tokens,
    )
    return folder


def prompts(folder: Path, count: int) -> list[Prompt]:
    """Prompts with random images."""
    builder = PromptBuilder(PolicySpec.load(folder), TextCodec.load(folder))
    rng = np.random.default_rng(0)
    history = np.zeros((16, 4))
    history[:, 0] = np.linspace(-15, 0, 16)
    images = rng.integers(0, 255, (count, 2, 64, 96, 3), dtype=np.uint8)
    return [Prompt(builder.ids(history), each) for each in images]
