"""Derived names and shapes against transformers' modules on the meta device and the release's facts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextModel

from policy.release.backbone_shape import QWEN3_VL_8B, BackboneShape, backbone_shapes
from policy.release.compose import ExpertSize, compose_config
from policy.release.config import ReleaseConfig
from policy.release.coverage import coverage
from policy.release.findings import CheckpointError
from policy.release.sample import RELEASE_STATISTICS, SampleSize, build_sample
from policy.release.tensors import expected_expert, expected_tensors
from policy.release.vocabulary import QWEN_VOCABULARY
from policy.spec import PolicySpec


def release_config(**changes: Any) -> ReleaseConfig:
    """Alpamayo-R1-10B's configuration, as far as it is known."""
    raw = compose_config(
        PolicySpec(vocabulary=QWEN_VOCABULARY),
        expert=ExpertSize(),
        actions=RELEASE_STATISTICS,
        vlm_name_or_path="Qwen/Qwen3-VL-8B-Instruct",
        dtype="bfloat16",
    )
    raw |= changes
    return ReleaseConfig(Path("config.json"), json.dumps(raw), raw)


def meta_shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        model = Qwen3VLForConditionalGeneration(Qwen3VLConfig(**config))
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def test_backbone_names_and_shapes_are_transformers_own_at_release_size() -> None:
    assert backbone_shapes(BackboneShape.of(QWEN3_VL_8B)) == meta_shapes(dict(QWEN3_VL_8B))


def test_backbone_names_and_shapes_are_transformers_own_for_a_tied_sample(tmp_path: Path) -> None:
    sample = build_sample(tmp_path, SampleSize(tied=True))
    config = json.loads((sample.base / "config.json").read_text())
    assert backbone_shapes(BackboneShape.of(config)) == meta_shapes(config)


def test_expert_layers_are_a_qwen3_text_stack_without_embedding() -> None:
    shape = BackboneShape.of(QWEN3_VL_8B, 155697)
    size = ExpertSize()
    text = dict(QWEN3_VL_8B["text_config"]) | {
        "hidden_size": size.hidden,
        "intermediate_size": size.feed_forward,
        "num_attention_heads": size.heads,
        "head_dim": size.head_dim,
    }
    with torch.device("meta"):
        stack = Qwen3VLTextModel(Qwen3VLConfig(text_config=text).text_config)
    theirs = {
        f"expert.{name}": tuple(t.shape) for name, t in stack.state_dict().items() if "embed" not in name
    }
    ours = {
        name: due.shape
        for name, due in expected_expert(release_config(), shape).items()
        if name.startswith("expert.")
    }
    assert ours == theirs


def test_action_projections_are_as_the_release_stores_them() -> None:
    due = expected_expert(release_config(), BackboneShape.of(QWEN3_VL_8B, 155697))
    shapes = {name: each.shape for name, each in due.items() if name.startswith("action")}
    trunk = "action_in_proj.encoder.trunk"
    assert shapes == {
        "action_in_proj.sinus.0.freqs": (1, 10),
        "action_in_proj.sinus.1.freqs": (1, 10),
        "action_in_proj.timestep_fourier_encoder.freqs": (1, 10),
        f"{trunk}.0.weight": (512, 60),
        f"{trunk}.0.bias": (512,),
        f"{trunk}.2.weight": (512,),
        f"{trunk}.3.weight": (512, 512),
        f"{trunk}.3.bias": (512,),
        f"{trunk}.5.weight": (512,),
        f"{trunk}.6.weight": (2048, 512),
        f"{trunk}.6.bias": (2048,),
        "action_in_proj.norm.weight": (2048,),
        "action_in_proj.norm.bias": (2048,),
        "action_out_proj.weight": (2, 2048),
        "action_out_proj.bias": (2,),
        "action_space.accel_mean": (),
        "action_space.accel_std": (),
        "action_space.curvature_mean": (),
        "action_space.curvature_std": (),
    }
    assert {name for name in shapes if not due[name].required} == {
        name for name in shapes if name.startswith("action_space")
    }


def test_the_release_has_as_many_parameters_as_its_card_says() -> None:
    due = expected_tensors(release_config(), BackboneShape.of(QWEN3_VL_8B, 155697))
    counts = {"vlm.": 0, "expert.": 0}
    for name, each in due.items():
        size = 1
        for part in each.shape:
            size *= part
        for prefix in counts:
            counts[prefix] += size if name.startswith(prefix) else 0
    assert round(counts["vlm."] / 1e9, 1) in (8.7, 8.8), "8.2 B without one of the two vocabulary tables"
    assert round(counts["expert."] / 1e9, 1) == 2.3
    assert due["vlm.lm_head.weight"].shape == (155697, 4096)
    assert due["vlm.lm_head.weight"].dtypes == ("BF16",)


def test_a_missing_size_is_named_with_the_option_that_states_it() -> None:
    config = release_config(expert_cfg={"hidden_size": 2048})
    with pytest.raises(CheckpointError, match=r"expert_cfg\.intermediate_size; state it with --set"):
        expected_expert(config, BackboneShape.of(QWEN3_VL_8B))


def test_coverage_of_nothing_names_everything_that_is_required() -> None:
    due = expected_tensors(release_config(), BackboneShape.of(QWEN3_VL_8B, 155697))
    found = coverage(due, {})
    assert {finding.subject for finding in found} == {name for name, each in due.items() if each.required}
