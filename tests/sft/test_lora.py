"""Adapters: nothing at first, the only thing trained, and gone into plain weights in the end."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_batch
import torch

from policy.backbone import load_backbone
from policy.spec import PolicySpec
from sft.examples import Section
from sft.lora import merge, merge_saved, with_adapter
from sft.loss import section_losses
from sft.options import LoraOptions

pytest.importorskip("peft")
OPTIONS = LoraOptions(rank=4, targets=("q_proj", "down_proj", "qkv"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_batch.build(tmp_path_factory.mktemp("policy"))


def text_loss(model: object, folder: Path) -> torch.Tensor:
    inputs, sections = small_batch.batch(folder, [4, 7])
    vocabulary = PolicySpec.load(folder).vocabulary_ids()
    return section_losses(model, inputs, sections, vocabulary)[Section.TEXT][0]


def test_only_adapters_learn_and_the_sliced_head_answers_through_them(folder: Path) -> None:
    before = float(text_loss(load_backbone(folder), folder).detach())
    adapted = with_adapter(load_backbone(folder), OPTIONS, seed=0)
    loss = text_loss(adapted, folder)
    assert float(loss.detach()) == before, "B starts at zero"
    loss.backward()
    learning = [name for name, weight in adapted.named_parameters() if weight.grad is not None]
    assert learning
    assert all("lora_" in name for name in learning)
    assert {layer for layer in OPTIONS.targets if any(layer in name for name in learning)} == {
        *OPTIONS.targets
    }


def test_merged_weights_are_a_plain_backbone_that_answers_alike(folder: Path, tmp_path: Path) -> None:
    plain = load_backbone(folder)
    names = set(plain.state_dict())
    adapted = with_adapter(load_backbone(folder), OPTIONS, seed=0)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.1, generator=torch.Generator().manual_seed(len(name)))
        moved = float(text_loss(adapted, folder).detach())
        adapted.save_pretrained(tmp_path / "adapter")
        merged = merge(adapted)
        merged.save_pretrained(tmp_path / "policy")
        assert abs(moved - float(text_loss(plain, folder))) > 1e-3
        assert float(text_loss(load_backbone(tmp_path / "policy"), folder)) == pytest.approx(moved, abs=1e-5)
    assert set(merged.state_dict()) == names
    assert all(weight.requires_grad for weight in merged.parameters())
    again = merge_saved(load_backbone(folder), tmp_path / "adapter").state_dict()
    assert all(torch.equal(again[name], weight) for name, weight in merged.state_dict().items())


def test_the_seed_makes_the_adapters(folder: Path) -> None:
    def first(seed: int) -> torch.Tensor:
        adapted = with_adapter(load_backbone(folder), OPTIONS, seed)
        return next(weight for name, weight in adapted.named_parameters() if "lora_A" in name)

    assert torch.equal(first(3), first(3))
    assert not torch.equal(first(3), first(4))


def test_a_target_that_names_no_layer_is_an_error(folder: Path) -> None:
    with pytest.raises(ValueError, match="quarkproj"):
        with_adapter(load_backbone(folder), LoraOptions(targets=("quarkproj",)), seed=0)
