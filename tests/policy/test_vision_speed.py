"""The fast vision tower against transformers' own, forward and backward."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import Qwen3VLForConditionalGeneration

from policy.embedded import build_embedded
from policy.model_inputs import ImageEncoder, Padded, backbone_inputs
from policy.prompt import Prompt, PromptBuilder
from policy.spec import CameraSpec, EmbeddedSize, FutureSpec, HistorySpec, PolicySpec, PromptSpec
from policy.tokenizer import TextCodec
from policy.vision_speed import speed_up_vision


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policy")
    build_embedded(
        path,
        ["keep the lane and slow down because the light is red ."],
        size=EmbeddedSize(),
        future=FutureSpec(bins=64),
        history=HistorySpec(bins=32),
        prompt=PromptSpec(),
        cameras=CameraSpec(names=("front_wide", "front_tele"), frames=1, width=96, height=64),
        max_text=8,
        seed=1,
    )
    return path


def run(folder: Path, fast: bool) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model = Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    if fast:
        speed_up_vision(model)
    spec = PolicySpec.load(folder)
    builder = PromptBuilder(spec, TextCodec.load(folder))
    rng = np.random.default_rng(0)
    history = np.zeros((16, 4))
    history[:, 0] = np.linspace(-15, 0, 16)
    prompts = [
        Prompt(builder.ids(history), rng.integers(0, 255, (2, 64, 96, 3), dtype=np.uint8)) for _ in range(3)
    ]
    empty = Padded(torch.zeros((3, 0), dtype=torch.long), torch.zeros((3, 0), dtype=torch.bool))
    inputs = backbone_inputs(prompts, empty, ImageEncoder(folder), spec.vocabulary_ids().image_pad)
    logits = model(**inputs).logits
    logits.square().mean().backward()
    grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return logits.detach(), grads


def test_same_numbers_forward_and_backward(folder: Path) -> None:
    slow, slow_grads = run(folder, fast=False)
    fast, fast_grads = run(folder, fast=True)
    assert float((slow - fast).abs().max()) <= 1e-4
    assert set(slow_grads) == set(fast_grads)
    for name, grad in slow_grads.items():
        largest = float(grad.abs().max())
        assert float((grad - fast_grads[name]).abs().max()) <= 1e-4 * largest + 1e-9, name
    assert slow_grads["model.visual.patch_embed.proj.weight"].abs().sum() > 0


def test_the_same_arguments_build_the_same_weights(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    spec = PolicySpec.load(folder)
    build_embedded(
        tmp_path,
        ["keep the lane and slow down because the light is red ."],
        size=EmbeddedSize(),
        future=spec.future,
        history=spec.history,
        prompt=spec.prompt,
        cameras=spec.cameras,
        max_text=8,
        seed=1,
    )
    ours, theirs = load_file(folder / "model.safetensors"), load_file(tmp_path / "model.safetensors")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
