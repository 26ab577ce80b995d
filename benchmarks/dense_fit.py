"""The release's action fit with dense matrices: what benchmarks/action_fit.py measures ours against.

Batched torch in float64. Every system is a dense matrix that is factored by Cholesky, as in the release; what all
samples share (heading and acceleration systems) is factored once. `multiplied=True` forms the normal equations of
the speed fit as products of the dense least-squares matrices; False writes their entries straight into the dense
matrix, the fastest form that is still dense.
"""

from __future__ import annotations

import torch

from scenes.dynamics import DEFAULT_FIT, FitSettings
from scenes.trajectory import STEP_S

F64 = torch.float64


def differences(n: int, order: int) -> torch.Tensor:
    """Finite differences of this order on n points, [n-order, n]."""
    matrix = torch.eye(n, dtype=F64)
    for _ in range(order):
        matrix = matrix[1:] - matrix[:-1]
    return matrix


def penalty(n: int, order: int, weight: float, dt: float) -> torch.Tensor:
    """weight / dt^(2 order) D'D, [n, n]."""
    d = differences(n, order)
    return weight / dt ** (2 * order) * (d.T @ d)


def solve(system: torch.Tensor, rhs: torch.Tensor) -> torch.Tensor:
    """Solutions [B, n] of dense positive definite systems [B, n, n] or [n, n]."""
    factor = torch.linalg.cholesky(system)
    if system.ndim == 2:
        return torch.cholesky_solve(rhs.T, factor).T
    return torch.cholesky_solve(rhs[..., None], factor)[..., 0]


def speed_system(
    xy: torch.Tensor, yaw: torch.Tensor, weight: float, dt: float, multiplied: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Normal matrices [B, n, n] and right-hand sides [B, n] of the trapezoid speed fit."""
    batch, n = yaw.shape
    unit = torch.stack((torch.cos(yaw), torch.sin(yaw)), dim=-1)
    wanted = 2.0 / dt * (xy[:, 1:] - xy[:, :-1])
    at = torch.arange(n - 1)
    smooth = penalty(n, 3, weight, dt)
    if multiplied:
        rows = torch.zeros(batch, n - 1, 2, n, dtype=F64)
        rows[:, at, :, at] = unit[:, :-1].transpose(0, 1)
        rows[:, at, :, at + 1] = unit[:, 1:].transpose(0, 1)
        flat = rows.reshape(batch, -1, n)
        return flat.mT @ flat + smooth, (flat.mT @ wanted.reshape(batch, -1, 1))[..., 0]
    system = smooth.expand(batch, n, n).clone()
    system[:, at, at] += 1.0
    system[:, at + 1, at + 1] += 1.0
    across = (unit[:, :-1] * unit[:, 1:]).sum(-1)
    system[:, at, at + 1] += across
    system[:, at + 1, at] += across
    rhs = torch.zeros(batch, n, dtype=F64)
    rhs[:, :-1] += (wanted * unit[:, :-1]).sum(-1)
    rhs[:, 1:] += (wanted * unit[:, 1:]).sum(-1)
    return system, rhs


def dense_fit(
    history: torch.Tensor,
    future: torch.Tensor,
    multiplied: bool,
    settings: FitSettings = DEFAULT_FIT,
    dt: float = STEP_S,
) -> torch.Tensor:
    """Actions [B, T, 2] for histories [B, H, 3] and futures [B, T, 3] of x, y, yaw without jumps, float64."""
    n = future.shape[1]
    eye = torch.eye(n, dtype=F64)
    system, rhs = speed_system(history[..., :2], history[..., 2], settings.v_lambda, dt, multiplied)
    v0 = solve(system + settings.v_ridge * torch.eye(history.shape[1], dtype=F64), rhs)[:, -1:]
    smooth = penalty(n + 1, 3, settings.theta_lambda, dt)[1:, 1:]
    theta = solve((1.0 + settings.theta_ridge) * eye + smooth, future[..., 2])
    yaw = torch.cat((torch.zeros_like(v0), theta), dim=1)
    xy = torch.cat((torch.zeros_like(future[:, :1, :2]), future[..., :2]), dim=1)
    system, rhs = speed_system(xy, yaw, settings.v_lambda, dt, multiplied)
    speed = solve(system[:, 1:, 1:] + settings.v_ridge * eye, rhs[:, 1:] - system[:, 1:, 0] * v0)
    speed = torch.cat((v0, speed), dim=1)
    smooth = penalty(n, 2, settings.a_lambda, dt)
    accel = solve((1.0 + settings.a_ridge) * eye + smooth, (speed[:, 1:] - speed[:, :-1]) / dt)
    step = dt * speed[:, :-1] + 0.5 * dt * dt * accel
    smooth = penalty(n, 2, settings.kappa_lambda, dt) + settings.kappa_ridge * eye
    kappa = solve(torch.diag_embed(step**2) + smooth, step * (yaw[:, 1:] - yaw[:, :-1]))
    return torch.stack((accel, kappa), dim=-1)
