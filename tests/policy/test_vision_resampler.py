"""The resampler: what a fresh one does, what training reaches, and what a folder without its weights says."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import small_policy
import torch

from policy.backbone import load_backbone
from policy.compress import compress_policy
from policy.model_inputs import ImageEncoder, Padded, backbone_inputs
from policy.spec import PolicySpec, VisionTokensSpec
from policy.vision_resampler import Resampler

FIVE = VisionTokensSpec(kind="resample", scene_tokens=5)


def fresh(inputs: int, outputs: int) -> Resampler:
    resampler = Resampler(32, 4, inputs, outputs)
    resampler.reset(0)
    return resampler


def test_as_many_scene_tokens_as_image_tokens_start_as_nearly_the_same() -> None:
    rows = torch.randn(2, 12, 32, generator=torch.Generator().manual_seed(1))
    tokens, (plane,) = fresh(12, 12)(rows, [2 * rows])
    nearest = torch.cdist(tokens, rows).argmin(-1)
    assert (nearest == torch.arange(12)).float().mean() > 0.8
    assert torch.cosine_similarity(tokens, rows, dim=-1).mean() > 0.7
    assert torch.cosine_similarity(plane, rows, dim=-1).mean() > 0.7


def test_attention_of_the_planes_is_a_mean() -> None:
    ones = torch.ones(1, 12, 32)
    _, (plane,) = fresh(12, 3)(torch.randn(1, 12, 32), [ones])
    assert torch.allclose(plane, torch.ones(1, 3, 32), atol=1e-5)


@pytest.mark.parametrize(("outputs", "heads"), [(13, 4), (4, 5)])
def test_impossible_shapes_are_refused(outputs: int, heads: int) -> None:
    with pytest.raises(ValueError, match="cannot resample 12 image tokens"):
        Resampler(32, heads, 12, outputs)
    with pytest.raises(ValueError, match="resampler of 12 image tokens got 11"):
        fresh(12, 3)(torch.zeros(1, 11, 32), [])


def test_gradients_reach_resampler_and_tower_and_a_saved_copy_is_the_same(tmp_path: Path) -> None:
    folder = small_policy.build(tmp_path / "policy", vision_tokens=FIVE)
    model = load_backbone(folder)
    prompts = small_policy.prompts(folder, 2)
    assert int((prompts[0].ids == PolicySpec.load(folder).vocabulary_ids().image_pad).sum()) == 5
    empty = Padded(torch.zeros((2, 0), dtype=torch.long), torch.zeros((2, 0), dtype=torch.bool))
    image_pad = PolicySpec.load(folder).vocabulary_ids().image_pad
    inputs = backbone_inputs(prompts, empty, ImageEncoder(folder), image_pad)
    logits = model(**inputs).logits
    logits.square().mean().backward()
    for name in ("queries", "places", "key.weight", "value.weight", "gain.weight"):
        assert model.model.resampler.get_parameter(name).grad.abs().sum() > 0, name
    assert model.model.visual.patch_embed.proj.weight.grad.abs().sum() > 0
    model.save_pretrained(tmp_path / "checkpoint")  # as a stage of SFT leaves it: no ar1.json beside it
    with torch.no_grad():
        assert torch.equal(load_backbone(tmp_path / "checkpoint")(**inputs).logits, logits)


def test_a_resampler_is_added_to_a_policy_and_missed_where_it_is_not(tmp_path: Path) -> None:
    source = small_policy.build(tmp_path / "policy")
    compress_policy(source, tmp_path / "five", FIVE, seed=3)
    ours, theirs = load_backbone(tmp_path / "five").state_dict(), load_backbone(source).state_dict()
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())
    added = {name for name in ours if name not in theirs}
    assert all(name.startswith("model.resampler.") for name in added)
    assert np.isfinite([float(ours[name].sum()) for name in added]).all()
    shutil.copy(tmp_path / "five" / "ar1.json", source / "ar1.json")
    with pytest.raises(ValueError, match=r"has no model\.resampler"):
        load_backbone(source)
    with pytest.raises(ValueError, match="resamples its vision tokens"):
        compress_policy(tmp_path / "five", tmp_path / "again", FIVE)
