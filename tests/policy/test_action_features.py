"""Fourier features: the release's formula, in float32 whatever the weights are."""

from __future__ import annotations

import math

import pytest
import torch

from policy.action_features import ActionInProjection, FourierFeatures
from policy.expert_spec import ExpertSpec, FeatureSpec

RELEASE_TRUNK = {
    "encoder.trunk.0.weight": (512, 60),
    "encoder.trunk.0.bias": (512,),
    "encoder.trunk.2.weight": (512,),
    "encoder.trunk.3.weight": (512, 512),
    "encoder.trunk.3.bias": (512,),
    "encoder.trunk.5.weight": (512,),
    "encoder.trunk.6.weight": (2048, 512),
    "encoder.trunk.6.bias": (2048,),
    "norm.weight": (2048,),
    "norm.bias": (2048,),
    "sinus.0.freqs": (1, 10),
    "sinus.1.freqs": (1, 10),
    "timestep_fourier_encoder.freqs": (1, 10),
}


def test_features_follow_the_formula() -> None:
    features = FourierFeatures(20, 100.0)(torch.tensor([0.3]))[0]
    for index in range(10):
        frequency = 100 ** (index / 9)
        phase = 2 * math.pi * frequency * float(torch.tensor(0.3))
        assert float(features[index]) == pytest.approx(math.sqrt(2) * math.sin(phase), abs=2e-4)
        assert float(features[10 + index]) == pytest.approx(math.sqrt(2) * math.cos(phase), abs=2e-4)


def test_a_half_precision_projection_keeps_exact_phases() -> None:
    exact = FourierFeatures(20, 100.0)
    half = FourierFeatures(20, 100.0).to(torch.float16).bfloat16()
    values = torch.linspace(-3, 3, 101)
    assert half.freqs.dtype == torch.float32
    assert torch.equal(half(values), exact(values))
    rounded = FourierFeatures(20, 100.0)
    wrong = torch.sin((values.half()[:, None] * rounded.freqs.half() * 2 * math.pi).float()) * math.sqrt(2)
    assert float((wrong - exact(values)[:, :10]).abs().max()) > 0.2, "what 16-bit phases would cost"


def test_names_and_shapes_are_the_release_s() -> None:
    projection = ActionInProjection(ExpertSpec().features, ExpertSpec().hidden)
    assert {name: tuple(value.shape) for name, value in projection.state_dict().items()} == RELEASE_TRUNK


def test_a_batch_of_times_equals_each_time_alone() -> None:
    projection = ActionInProjection(FeatureSpec(hidden=32), 16)
    actions = torch.randn((3, 2, 64, 2), generator=torch.Generator().manual_seed(0))
    times = torch.rand((3, 2), generator=torch.Generator().manual_seed(1))
    together = projection(actions, times)
    assert together.shape == (3, 2, 64, 16)
    assert torch.allclose(projection(actions[1, 1], times[1, 1]), together[1, 1], atol=1e-6)


def test_an_odd_count_is_refused() -> None:
    with pytest.raises(ValueError, match="even"):
        FourierFeatures(7, 100.0)
