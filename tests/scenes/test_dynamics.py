"""The integrator and its inverse, against a slow dense implementation of the release's formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenes.banded import BLOCK, solve
from scenes.dynamics import (
    FitSettings,
    fit_actions,
    hold_at_standstill,
    initial_speed,
    integrate,
)
from scenes.geometry import to_frame

DT = 0.1


def smooth_motion(seed: int, batch: int = 8) -> np.ndarray:
    """[batch, 80, 4] smooth motions in the ego frame of their 16th state."""
    rng = np.random.default_rng(seed)
    t = np.arange(79) * DT
    phase = rng.uniform(0.0, 6.0, (2, batch, 1))
    accel = rng.uniform(0.2, 1.2, (batch, 1)) * np.sin(
        2 * np.pi * rng.uniform(0.05, 0.2, (batch, 1)) * t + phase[0]
    )
    kappa = rng.uniform(0.0, 0.03, (batch, 1)) * np.sin(
        2 * np.pi * rng.uniform(0.03, 0.12, (batch, 1)) * t + phase[1]
    )
    v0 = rng.uniform(7.0, 15.0, batch)
    states = integrate(np.stack([accel, kappa], axis=-1), v0)
    start = np.concatenate([np.zeros((batch, 1, 3)), v0[:, None, None]], axis=2)
    states = np.concatenate([start, states], axis=1)
    origin = states[:, 15:16, :3]
    states[..., :2] = to_frame(states[..., :2], origin)
    states[..., 2] -= origin[..., 2]
    states[:, 15, :3] = 0.0
    return states


@given(st.lists(st.floats(-8.0, 4.0), min_size=1, max_size=64), st.floats(0.0, 20.0))
def test_braking_ends_at_a_standstill_and_nothing_else_changes(accel: list[float], v0: float) -> None:
    held = hold_at_standstill(accel, v0)
    speed = integrate(np.stack([held, np.zeros(len(accel))], axis=-1), v0)[:, 3]
    assert speed.min() >= 0.0
    moving = np.concatenate([[v0], speed[:-1]]) + DT * np.array(accel) > 1e-6
    np.testing.assert_array_equal(held[moving], np.array(accel)[moving])
    assert (speed[~moving] < 1e-5).all()


def test_integrate_matches_a_loop():
    rng = np.random.default_rng(0)
    actions = np.stack([rng.normal(0, 1, 64), rng.normal(0, 0.05, 64)], axis=-1)
    x = y = theta = 0.0
    v = 8.0
    rows = []
    for a, k in actions:
        v1, theta1 = v + a * DT, theta + k * (v * DT + 0.5 * a * DT * DT)
        x += 0.5 * DT * (v * np.cos(theta) + v1 * np.cos(theta1))
        y += 0.5 * DT * (v * np.sin(theta) + v1 * np.sin(theta1))
        v, theta = v1, theta1
        rows.append((x, y, theta, v))
    assert np.allclose(integrate(actions, 8.0), np.array(rows), atol=1e-12)


def test_integrate_batches_like_single_samples():
    rng = np.random.default_rng(1)
    actions, v0 = rng.normal(0, 0.1, (3, 5, 64, 2)), rng.uniform(0, 10, (3, 5))
    assert np.array_equal(integrate(actions, v0)[2, 4], integrate(actions[2, 4], v0[2, 4]))


def test_integrate_refuses_wrong_shape():
    with pytest.raises(ValueError, match="pass"):
        integrate(np.zeros((64, 3)), 1.0)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_fit_then_integrate_reproduces_smooth_motion(seed):
    states = smooth_motion(seed)
    history, future = states[:, :16], states[:, 16:]
    rebuilt = integrate(fit_actions(history, future), initial_speed(history))
    error = np.linalg.norm(rebuilt[..., :2] - future[..., :2], axis=-1)
    assert error.max() < 0.3
    assert error.mean() < 0.1


def differences(n: int, order: int) -> np.ndarray:
    matrix = np.eye(n)
    for _ in range(order):
        matrix = np.diff(matrix, axis=0)
    return matrix


def dense_fit(history: np.ndarray, future: np.ndarray) -> np.ndarray:
    """The release's inverse for one sample, with dense matrices and explicit least squares."""

    def speeds(xy, yaw, known):
        n = len(yaw)
        unit = np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)
        rows = np.zeros((n - 1, 2, n))
        for i in range(n - 1):
            rows[i, :, i], rows[i, :, i + 1] = unit[i], unit[i + 1]
        data, right = rows.reshape(-1, n), (2.0 / DT * np.diff(xy, axis=0)).reshape(-1)
        smooth = 1e-6**0.5 / DT**3 * differences(n, 3)
        system, rhs = np.vstack([data, smooth]), np.concatenate([right, np.zeros(n - 3)])
        if known is not None:
            rhs = rhs - system[:, 0] * known
            system = system[:, 1:]
        return np.linalg.solve(system.T @ system + 1e-4 * np.eye(system.shape[1]), system.T @ rhs)

    v0 = speeds(history[:, :2], np.unwrap(history[:, 2]), None)[-1]
    d3 = (1e-6**0.5 / DT**3 * differences(65, 3))[:, 1:]
    theta = np.linalg.solve(np.eye(64) * (1 + 1e-8) + d3.T @ d3, np.unwrap(future[:, 2]))
    yaw = np.concatenate([[0.0], theta])
    v = np.concatenate([[v0], speeds(np.vstack([[0, 0], future[:, :2]]), yaw, v0)])
    d2 = 1e-4**0.5 / DT**2 * differences(64, 2)
    accel = np.linalg.solve(np.eye(64) * (1 + 1e-4) + d2.T @ d2, np.diff(v) / DT)
    step = np.diag(DT * v[:-1] + 0.5 * DT * DT * accel)
    kappa = np.linalg.solve(step @ step + d2.T @ d2 + 1e-4 * np.eye(64), step @ np.diff(yaw))
    return np.stack([accel, kappa], axis=-1)


def test_fit_matches_dense_implementation():
    states = smooth_motion(3)
    banded = fit_actions(states[:, :16], states[:, 16:])
    for sample, actions in zip(states, banded, strict=True):
        assert np.allclose(actions, dense_fit(sample[:16], sample[16:]), atol=1e-7)


def test_fit_takes_extra_leading_axes_and_uses_its_settings():
    states = smooth_motion(4, batch=6)
    flat = fit_actions(states[:, :16], states[:, 16:])
    nested = fit_actions(states.reshape(2, 3, 80, 4)[:, :, :16], states.reshape(2, 3, 80, 4)[:, :, 16:])
    assert np.array_equal(nested.reshape(6, 64, 2), flat)
    stiff = fit_actions(states[:, :16], states[:, 16:], FitSettings(a_lambda=1.0))
    assert np.abs(np.diff(stiff[..., 0], axis=1)).max() < np.abs(np.diff(flat[..., 0], axis=1)).max()


def test_fit_refuses_history_that_does_not_end_at_the_origin_and_non_finite_poses():
    states = smooth_motion(5)
    with pytest.raises(ValueError, match="origin"):
        fit_actions(states[:, :16] + 1.0, states[:, 16:])
    broken = states.copy()
    broken[0, 20, 0] = np.nan
    with pytest.raises(ValueError, match="non-finite"):
        fit_actions(broken[:, :16], broken[:, 16:])


@pytest.mark.parametrize("samples", [1, 5, BLOCK, 2 * BLOCK + 3])
def test_banded_solver_matches_dense_and_rejects_indefinite(samples: int) -> None:
    rng = np.random.default_rng(6)
    full, columns = np.zeros((samples, 12, 12)), np.zeros((12, 3, samples))
    for b in range(samples):
        half = np.tril(np.triu(rng.normal(size=(12, 12)), -2), 0)
        full[b] = half @ half.T + 0.5 * np.eye(12)
        for k in range(3):
            columns[: 12 - k, k, b] = np.diagonal(full[b], -k)
    rhs = rng.normal(size=(12, samples))
    ridged = full + 0.1 * np.eye(12)
    own = np.linalg.solve(ridged, rhs.T[..., None])[..., 0].T
    assert np.allclose(solve(columns, rhs, 0.1), own)
    assert np.allclose(solve(columns[..., 0], rhs, 0.1), np.linalg.solve(ridged[0], rhs))
    columns[4, 0, -1] = -1.0
    with pytest.raises(np.linalg.LinAlgError, match="pivot 4"):
        solve(columns, rhs, 0.1)


def test_a_window_has_the_same_actions_to_the_last_bit_in_any_batch() -> None:
    motion = smooth_motion(5, 33)
    history, future = motion[:, :16], motion[:, 16:]
    together = fit_actions(history, future)
    for at in (0, 17, 32):
        assert np.array_equal(together[at], fit_actions(history[at], future[at]))
    assert np.array_equal(
        together[:12].reshape(3, 4, 64, 2),
        fit_actions(*(p[:12].reshape(3, 4, -1, 4) for p in (history, future))),
    )
