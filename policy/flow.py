"""Flow matching: the path from noise to actions, its loss, and the samplers that follow it. Pure functions.

Role: conventions of the release. t = 0 is noise, t = 1 data; x_t = t x + (1 - t) ε on a straight path, whose
velocity x - ε the network predicts; sampling integrates dx/dt = v(x, t) from ε ~ N(0, I) on an even grid, by
Euler as the release does, or by midpoint or Heun, which need two evaluations a step and are of second order.
Invariant: x is the normalised action; nothing here knows a network. Source: Alpamayo-R1's flow matching (facts
of the release); rectified flow, Liu et al., arXiv 2209.03003.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch

from policy.flow_options import Integrator

Velocity = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""v(x, t) for x: [..., T, 2] and t: 0-dimensional → [..., T, 2]."""

TIME_CONCENTRATION = 1.5
TIME_SCALE = 0.999


def training_times(uniform: torch.Tensor) -> torch.Tensor:
    """Training times from uniform numbers in [0, 1): 0.999 (1 - Beta(1.5, 1)), dense near noise.

    Beta(a, 1) has the distribution function u^a, so its quantile is u^(1/a).
    """
    return TIME_SCALE * (1.0 - uniform ** (1.0 / TIME_CONCENTRATION))


def interpolate(data: torch.Tensor, noise: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
    """x_t: [..., T, 2] on the path; time: [...]."""
    t = time[..., None, None]
    return t * data + (1.0 - t) * noise


def target_velocity(data: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """What the network should say anywhere on the path: data - noise."""
    return data - noise


def flow_loss(predicted: torch.Tensor, data: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Mean squared error of the velocity, in float32, over every entry."""
    return (predicted.float() - target_velocity(data, noise).float()).square().mean()


def guided(conditional: Velocity, unconditional: Velocity, scale: float) -> Velocity:
    """Classifier-free guidance: u + scale (c - u). With scale 1 the conditional velocity itself, and the other is
    never evaluated."""
    if scale == 1.0:
        return conditional

    def velocity(x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        free = unconditional(x, time)
        return free + scale * (conditional(x, time) - free)

    return velocity


def seeded_noise(rows: int, trajectories: int, waypoints: int, seed: int) -> torch.Tensor:
    """Standard normal [R, N, T, 2]: row r is drawn with seed + r alone, so it does not depend on R."""
    shape = (trajectories, waypoints, 2)
    return torch.stack(
        [torch.randn(shape, generator=torch.Generator().manual_seed(seed + row)) for row in range(rows)]
    )


def sample(velocity: Velocity, noise: torch.Tensor, steps: int, method: Integrator) -> torch.Tensor:
    """Follow the velocity from noise [..., T, 2] at t = 0 to data at t = 1 in `steps` equal steps.

    Raises ValueError for fewer than one step.
    """
    if steps < 1:
        raise ValueError(f"{steps} flow steps; at least 1 is needed (the release takes 10)")
    step = STEPS[method]
    grid = torch.linspace(0.0, 1.0, steps + 1, dtype=torch.float32, device=noise.device)
    x = noise
    for start, end in pairwise(grid):
        x = step(velocity, x, start, end)
    return x


def euler_step(v: Velocity, x: torch.Tensor, start: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    """x + h v(x, t): first order."""
    return x + (end - start) * v(x, start)


def midpoint_step(v: Velocity, x: torch.Tensor, start: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    """x + h v at the middle of an Euler half step: second order."""
    half = 0.5 * (end - start)
    return x + (end - start) * v(x + half * v(x, start), start + half)


def heun_step(v: Velocity, x: torch.Tensor, start: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    """x + h times the mean of the velocities at both ends of an Euler step: second order."""
    first = v(x, start)
    return x + 0.5 * (end - start) * (first + v(x + (end - start) * first, end))


STEPS = {
    Integrator.EULER: euler_step,
    Integrator.MIDPOINT: midpoint_step,
    Integrator.HEUN: heun_step,
}
