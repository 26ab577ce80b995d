"""Flow matching against a Gaussian, whose velocity field and flow are known in closed form."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.flow import (
    TIME_SCALE,
    Velocity,
    flow_loss,
    guided,
    interpolate,
    sample,
    seeded_noise,
    target_velocity,
    training_times,
)
from policy.flow_options import Integrator

MEAN, SPREAD = 1.5, 0.4


def gaussian_velocity(x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
    """E[data - noise | x_t = x] for data ~ N(MEAN, SPREAD²): both are jointly normal with x_t."""
    variance = (time * SPREAD) ** 2 + (1 - time) ** 2
    return MEAN + (time * SPREAD**2 - (1 - time)) / variance * (x - time * MEAN)


def growth(x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
    """dx/dt = (1 + t) x, which carries x_0 to x_0 e^1.5."""
    return (1 + time) * x


def errors(method: Integrator, steps: tuple[int, ...], field: Velocity = gaussian_velocity) -> list[float]:
    """Largest distance from the exact flow for each count of steps; a Gaussian's is x_1 = MEAN + SPREAD x_0."""
    noise = torch.linspace(-2, 2, 2 * 64, dtype=torch.float64).view(64, 2)
    exact = MEAN + SPREAD * noise if field is gaussian_velocity else math.exp(1.5) * noise
    return [float((sample(field, noise, n, method) - exact).abs().max()) for n in steps]


@pytest.mark.parametrize(
    ("field", "method", "order"),
    [
        (gaussian_velocity, Integrator.EULER, 1),
        (gaussian_velocity, Integrator.HEUN, 2),
        (gaussian_velocity, Integrator.MIDPOINT, 3),  # its second-order error cancels on this field
        (growth, Integrator.EULER, 1),
        (growth, Integrator.HEUN, 2),
        (growth, Integrator.MIDPOINT, 2),
    ],
)
def test_samplers_converge_with_their_order(field: Velocity, method: Integrator, order: int) -> None:
    coarse, fine = errors(method, (32, 64), field)
    assert math.log2(coarse / fine) == pytest.approx(order, abs=0.15)


def test_second_order_beats_euler_at_equal_evaluations() -> None:
    assert errors(Integrator.HEUN, (10,))[0] < errors(Integrator.EULER, (20,))[0]
    assert Integrator.HEUN.evaluations == Integrator.MIDPOINT.evaluations == 2


def test_one_euler_step_follows_the_first_velocity_all_the_way() -> None:
    noise = torch.randn((3, 64, 2), generator=torch.Generator().manual_seed(0))
    assert torch.equal(sample(growth, noise, 1, Integrator.EULER), 2 * noise)


def test_no_step_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        sample(gaussian_velocity, torch.zeros(64, 2), 0, Integrator.EULER)


def test_the_path_starts_at_noise_ends_at_data_and_has_constant_velocity() -> None:
    generator = torch.Generator().manual_seed(1)
    data, noise = torch.randn((2, 5, 64, 2), generator=generator)
    assert torch.equal(interpolate(data, noise, torch.zeros(5)), noise)
    assert torch.equal(interpolate(data, noise, torch.ones(5)), data)
    moved = interpolate(data, noise, torch.full((5,), 0.75)) - interpolate(
        data, noise, torch.full((5,), 0.25)
    )
    assert torch.allclose(moved * 2, target_velocity(data, noise), atol=1e-6)
    assert float(flow_loss(target_velocity(data, noise), data, noise)) == 0.0
    assert float(flow_loss(target_velocity(data, noise) + 2.0, data, noise)) == pytest.approx(4.0, rel=1e-5)


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 1, exclude_max=True, width=32))
def test_times_are_the_quantiles_of_a_beta_distribution(uniform: float) -> None:
    time = float(training_times(torch.tensor(uniform)))
    assert 0 <= time <= TIME_SCALE + 1e-6
    beta = 1 - time / TIME_SCALE  # the distribution function of Beta(1.5, 1) is u^1.5
    assert beta**1.5 == pytest.approx(uniform, abs=1e-5)


def test_times_have_the_moments_of_the_release() -> None:
    times = training_times(torch.rand(200_000, generator=torch.Generator().manual_seed(2)))
    expected = torch.distributions.Beta(1.5, 1.0)
    assert float(times.mean()) == pytest.approx(TIME_SCALE * (1 - float(expected.mean)), abs=2e-3)
    assert float(times.std()) == pytest.approx(TIME_SCALE * float(expected.stddev), abs=2e-3)


def test_guidance_of_one_is_the_conditional_velocity_and_asks_for_no_other() -> None:
    assert guided(gaussian_velocity, growth, 1.0) is gaussian_velocity


def test_guidance_extrapolates_between_both_velocities() -> None:
    x, time = torch.ones(4), torch.tensor(0.5)
    conditional, free = gaussian_velocity(x, time), growth(x, time)
    assert torch.allclose(guided(gaussian_velocity, growth, 3.0)(x, time), free + 3 * (conditional - free))
    assert torch.allclose(guided(gaussian_velocity, growth, 0.0)(x, time), free)


def test_a_row_s_noise_is_its_seed_s_alone() -> None:
    many = seeded_noise(4, 2, 64, seed=10)
    assert torch.equal(seeded_noise(1, 2, 64, seed=12)[0], many[2])
    assert not torch.equal(many[0], many[1])
