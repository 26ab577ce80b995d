"""The fast vision tower against transformers' own, forward and backward."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_policy
import torch
from transformers import Qwen3VLForConditionalGeneration

from policy.model_inputs import ImageEncoder, Padded, backbone_inputs
from policy.spec import PolicySpec
from policy.vision_speed import speed_up_vision


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_policy.build(tmp_path_factory.mktemp("policy"))


def run(folder: Path, fast: bool) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model = Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    if fast:
        speed_up_vision(model)
    prompts = small_policy.prompts(folder, 3)
    empty = Padded(torch.zeros((3, 0), dtype=torch.long), torch.zeros((3, 0), dtype=torch.bool))
    image_pad = PolicySpec.load(folder).vocabulary_ids().image_pad
    inputs = backbone_inputs(prompts, empty, ImageEncoder(folder), image_pad)
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

    small_policy.build(tmp_path)
    ours, theirs = load_file(folder / "model.safetensors"), load_file(tmp_path / "model.safetensors")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
