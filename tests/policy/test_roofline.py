"""Counted operations against torch's own counter, on a small policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import small_policy
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from policy.device_probe import probe
from policy.expert_model import build_expert
from policy.expert_spec import ExpertSpec, FeatureSpec
from policy.flow import seeded_noise
from policy.flow_options import FlowOptions, Integrator
from policy.lockstep import feed, repeat
from policy.planner import Planner
from policy.prefix import prefix_of
from policy.roofline import Cost, PolicyShape, Rates, release_shape
from policy.shape_of import policy_shape

ROWS, TEXT = 3, 5


@pytest.fixture(scope="module")
def planner(tmp_path_factory: pytest.TempPathFactory) -> Planner:
    path = small_policy.build(tmp_path_factory.mktemp("policy"))
    spec = ExpertSpec(hidden=48, feed_forward=80, heads=4, features=FeatureSpec(hidden=24, max_frequency=8))
    build_expert(path, spec, seed=3).save(path)
    return Planner(path)


def counted(work: Any) -> float:
    """Operations that torch counts; attention as plain matrix products, which its counter knows."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        work()
    return float(counter.get_total_flops())


def test_operations_agree_with_torch_s_counter(planner: Planner, tmp_path: Path) -> None:
    prompt = small_policy.prompts(_folder(planner, tmp_path), 1)[0]
    shape = policy_shape(planner, len(prompt.ids), element=4)
    stages = shape.stages(ROWS, TEXT, evaluations=4)
    inputs = planner.inputs(prompt)
    seen = planner.see(inputs)
    measured = {
        "vision": counted(lambda: planner.see(inputs)),
        "prefill": counted(lambda: planner.prefill(inputs, seen)),
    }
    cache, logits = planner.prefill(inputs, seen)
    repeat(cache, ROWS)
    state = planner.lockstep(ROWS, 1.0, seed=0)
    logits = logits.expand(ROWS, -1)

    def decode() -> None:
        nonlocal logits
        for _ in range(TEXT):
            logits = feed(planner.backbone, cache, state.pick(logits))

    with torch.no_grad():
        measured["text"] = counted(decode)
        prefix = prefix_of(
            cache, torch.full((ROWS,), len(prompt.ids) + TEXT), planner.backbone.model.rope_deltas
        )
        noise = seeded_noise(ROWS, 1, 64, 0)
        measured["flow"] = counted(
            lambda: planner.expert.sample(prefix, noise, FlowOptions(2, Integrator.HEUN))
        )
    # Dense attention computes both halves of a causal square, so a prefill may count a little more.
    for name, flops in measured.items():
        assert stages[name].flops == pytest.approx(flops, rel=0.12 if name == "prefill" else 0.02), name


def _folder(planner: Planner, tmp_path: Path) -> Path:
    planner.spec.save(tmp_path)
    planner._text.tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_a_stage_is_bound_by_the_slower_roof() -> None:
    rates = Rates("device", flops=100.0, bytes=10.0)
    assert Cost(1000.0, 10.0).seconds(rates) == 10.0
    assert Cost(1000.0, 10.0).bound(rates) == "compute"
    assert Cost(1000.0, 1000.0).seconds(rates) == 100.0
    assert Cost(1000.0, 1000.0).bound(rates) == "memory"
    assert Cost(1.0, 2.0).times(3) + Cost(1.0, 1.0) == Cost(4.0, 7.0)


def test_release_weights_are_those_of_its_card() -> None:
    shape: PolicyShape = release_shape()
    backbone = shape.text.layers * shape.text.layer_weights + 2 * shape.text.hidden * shape.text.vocabulary
    assert backbone == pytest.approx(8.2e9, rel=0.02)
    assert shape.expert.layers * shape.expert.layer_weights == pytest.approx(2.3e9, rel=0.03)


def test_samples_that_share_weights_cost_less_than_samples_alone() -> None:
    alone, together = (release_shape().stages(rows, 40, 5)["text"].bytes for rows in (1, 6))
    assert together < 2 * alone


def test_the_probe_finds_rates_above_zero() -> None:
    rates = probe(torch.device("cpu"), torch.float32)
    assert rates.flops > 1e8
    assert rates.bytes > 1e8
    assert rates.name
