"""Waypoints in and out of the expert: Fourier features of noisy actions and flow time, and the velocity read off.

Role: `action_in_proj` of the release. Each waypoint's acceleration, curvature and flow time become Fourier
features, a small network and a layer norm. Invariant: phases are computed in float32 whatever the weights are:
at 100 cycles a unit a 16-bit phase is off by whole radians. Parameter names are the release's. Source:
Alpamayo-R1, PerWaypointActionInProjV2 (read as facts: order of features, spacing, sqrt(2) scale, layer norm).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from policy.expert_spec import FeatureSpec

ACTION_SIZE = 2
NORM_EPSILON = 1e-5


class FourierFeatures(nn.Module):
    """Sines and cosines of one number at frequencies spaced evenly in the logarithm, unit mean square each."""

    freqs: torch.Tensor

    def __init__(self, count: int, max_frequency: float) -> None:
        super().__init__()
        if count % 2:
            raise ValueError(
                f"{count} Fourier features are not pairs of sine and cosine; choose an even number"
            )
        exponents = torch.linspace(0.0, math.log10(max_frequency), count // 2)
        self.register_buffer("freqs", (10.0**exponents)[None])

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Any:
        # A cast of the model to 16 bits must not reach the frequencies; a move to a device must.
        exact = self.freqs
        super()._apply(fn, recurse)
        self.freqs = exact.to(self.freqs.device, torch.float32)
        return self

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """[...] → [..., count] float32."""
        angles = values.float()[..., None] * self.freqs[0].float() * (2.0 * math.pi)
        return torch.cat([angles.sin(), angles.cos()], dim=-1) * math.sqrt(2.0)


class Trunk(nn.Module):
    """Linear, SiLU and RMS norm `layers` times, then a linear to the expert's width."""

    def __init__(self, inputs: int, spec: FeatureSpec, outputs: int) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for layer in range(spec.layers):
            parts.append(nn.Linear(inputs if layer == 0 else spec.hidden, spec.hidden))
            parts += [nn.SiLU(), nn.RMSNorm(spec.hidden, eps=NORM_EPSILON)]
        parts.append(nn.Linear(spec.hidden, outputs))
        self.trunk = nn.Sequential(*parts)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """[..., inputs] → [..., outputs]."""
        return self.trunk(features)


class ActionInProjection(nn.Module):
    """Noisy normalised actions and flow time to the expert's input tokens."""

    def __init__(self, spec: FeatureSpec, outputs: int) -> None:
        super().__init__()
        self.sinus = nn.ModuleList(
            FourierFeatures(spec.frequencies, spec.max_frequency) for _ in range(ACTION_SIZE)
        )
        self.timestep_fourier_encoder = FourierFeatures(spec.frequencies, spec.max_frequency)
        self.encoder = Trunk((ACTION_SIZE + 1) * spec.frequencies, spec, outputs)
        self.norm = nn.LayerNorm(outputs, eps=NORM_EPSILON)

    def forward(self, actions: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """actions: [..., T, 2] normalised; time: [...] flow time in [0, 1] → [..., T, outputs] in the weights'
        type."""
        with torch.autocast(actions.device.type, enabled=False):
            parts = [encode(actions[..., index]) for index, encode in enumerate(self.sinus)]
            when = self.timestep_fourier_encoder(time)[..., None, :]
            parts.append(when.expand(*actions.shape[:-1], when.shape[-1]))
            features = torch.cat(parts, dim=-1)
        return self.norm(self.encoder(features.to(self.norm.weight.dtype)))


def action_out_projection(inputs: int) -> nn.Linear:
    """Hidden states of waypoints to velocities [..., 2] (the release's `action_out_proj`)."""
    return nn.Linear(inputs, ACTION_SIZE)
