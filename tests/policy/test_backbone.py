"""The backbone's sliced head against transformers' full logits, and what it writes to disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import small_policy
import torch
from transformers import Qwen3VLForConditionalGeneration

from policy.backbone import HeadSlice, before, load_backbone
from policy.model_inputs import ImageEncoder, backbone_inputs, pad_rows
from policy.spec import PolicySpec


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_policy.build(tmp_path_factory.mktemp("policy"))


def test_before_shifts_by_one() -> None:
    chosen = torch.tensor([[True, False, True]])
    assert before(chosen, 6).tolist() == [[False, False, True, False, True, False]]


def test_slices_equal_the_full_logits_with_a_padding_mask(folder: Path) -> None:
    rng = np.random.default_rng(1)
    rows = pad_rows([rng.integers(1, 60, 9), rng.integers(1, 60, 5)], fill=0)
    image_pad = PolicySpec.load(folder).vocabulary_ids().image_pad
    inputs = backbone_inputs(small_policy.prompts(folder, 2), rows, ImageEncoder(folder), image_pad)
    length = inputs["input_ids"].shape[1]
    mask = torch.cat([torch.ones((2, length - 9), dtype=torch.bool), rows.mask], 1)
    plain = Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    full = plain(**inputs, attention_mask=mask.long()).logits
    odd = rows.mask & (torch.arange(9) % 2 == 1)
    slices = [HeadSlice(before(rows.mask, length), 0, 40), HeadSlice(before(odd, length), 7, 19)]
    first, second = load_backbone(folder)(**inputs, head_slices=slices)
    assert torch.allclose(first, full[slices[0].positions][:, :40], atol=1e-5)
    assert torch.allclose(second, full[slices[1].positions][:, 7:19], atol=1e-5)
    assert first.shape == (14, 40)


def test_a_saved_backbone_names_the_architecture_that_engines_know(folder: Path, tmp_path: Path) -> None:
    load_backbone(folder).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architectures"] == ["Qwen3VLForConditionalGeneration"]
