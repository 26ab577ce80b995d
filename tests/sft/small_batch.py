"""A small policy and batches of prompt, text and trajectory for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from policy.embedded import build_embedded
from policy.model_inputs import ImageEncoder, backbone_inputs, pad_rows
from policy.prompt import Prompt, PromptBuilder
from policy.spec import CameraSpec, EmbeddedSize, FutureSpec, HistorySpec, PolicySpec, PromptSpec
from policy.tokenizer import TextCodec
from sft.examples import Section

SENTENCE = "keep the lane and slow down because the light is red ."
TRAJECTORY = 6
"""Trajectory tokens of a row: no need for all 128 here."""


def build(folder: Path) -> Path:
    """One camera, 32 future bins."""
    build_embedded(
        folder,
        [SENTENCE],
        size=EmbeddedSize(),
        future=FutureSpec(bins=32),
        history=HistorySpec(bins=32),
        prompt=PromptSpec(system="", instruction=""),
        cameras=CameraSpec(names=("front_wide",), frames=1, width=96, height=64),
        max_text=16,
        seed=1,
    )
    return folder


def batch(
    folder: Path, words: list[int], rows: slice = slice(None), padding: int = 0
) -> tuple[dict[str, Any], torch.Tensor]:
    """Backbone inputs and sections of rows with so many text tokens each, and padding columns beyond the longest.

    Row i is the same whatever other rows are taken.
    """
    spec = PolicySpec.load(folder)
    vocabulary = spec.vocabulary_ids()
    prompt = PromptBuilder(spec, TextCodec.load(folder)).ids(np.zeros((16, 4)))
    prompts, targets, sections = [], [], []
    for index, count in list(enumerate(words))[rows]:
        rng = np.random.default_rng(index)
        images = rng.integers(0, 255, (1, 64, 96, 3), dtype=np.uint8)
        prompts.append(Prompt(prompt, images))
        text = rng.integers(1, 60, count)
        bins = vocabulary.future_start + rng.integers(0, 32, TRAJECTORY)
        targets.append(np.concatenate([text, [vocabulary.traj_start], bins, [vocabulary.traj_end]]))
        kinds = [Section.TEXT] * count + [Section.MARK] + [Section.TRAJECTORY] * TRAJECTORY + [Section.MARK]
        sections.append(np.array(kinds))
    targets[0] = np.append(targets[0], np.zeros(padding, int))
    sections[0] = np.append(sections[0], np.full(padding, Section.NONE))
    inputs = backbone_inputs(prompts, pad_rows(targets, 0), ImageEncoder(folder), vocabulary.image_pad)
    return inputs, pad_rows(sections, Section.NONE).ids
