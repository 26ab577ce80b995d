"""Runs a batch of scenes with expert and traffic, and logs what bound the expert.

Role: the loop over 10 Hz steps. Invariant: the ego moves by `scenes.dynamics` and nothing else, so the logged
actions reproduce the logged motion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenes.trajectory import FUTURE_STEPS, HISTORY_STEPS, STEP_S
from scenes.world.batch import Batch, State
from scenes.world.expert import drive
from scenes.world.lateral import plan, steer
from scenes.world.traffic import accelerations, advance, lateral

STEPS = HISTORY_STEPS - 1 + FUTURE_STEPS


@dataclass(frozen=True)
class Trace:
    """K steps of B scenes from some state on. States at K+1 instants: ego [B, K+1, 4] world x, y, yaw, v; s, d
    [B, K+1]; agents [B, K+1, N, 4] of s, d, v, lateral rate. Logs of the K steps [B, K]: actions (…, 2), bound,
    bound_agent, cost (acceleration that the binding constraint costs), mode, target, cause, blocker."""

    ego: np.ndarray
    s: np.ndarray
    d: np.ndarray
    agents: np.ndarray
    actions: np.ndarray
    bound: np.ndarray
    bound_agent: np.ndarray
    cost: np.ndarray
    mode: np.ndarray
    target: np.ndarray
    cause: np.ndarray
    blocker: np.ndarray


def step_ego(batch: Batch, state: State, accel: np.ndarray, kappa: np.ndarray) -> None:
    """Move the ego one step, in place, as scenes.dynamics.integrate does."""
    v, yaw = state.v, state.yaw
    state.v = v + accel * STEP_S
    state.yaw = yaw + kappa * (v * STEP_S + 0.5 * accel * STEP_S**2)
    state.x = state.x + 0.5 * STEP_S * (v * np.cos(yaw) + state.v * np.cos(state.yaw))
    state.y = state.y + 0.5 * STEP_S * (v * np.sin(yaw) + state.v * np.sin(state.yaw))
    state.s, state.d = batch.routes.project(state.x, state.y, state.s + v * STEP_S)
    state.accel, state.kappa = accel, kappa


def _snapshot(batch: Batch, state: State) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    d, rate = lateral(batch, state)
    ego = np.stack([state.x, state.y, state.yaw, state.v], axis=-1)
    return ego, state.s.copy(), state.d.copy(), np.stack([state.agent_s, d, state.agent_v, rate], axis=-1)


def simulate(batch: Batch, state: State, steps: int) -> tuple[Trace, State]:
    """Advance a copy of `state` by `steps`. Returns the trace and the final state."""
    state = state.copy()
    shots, logs = [_snapshot(batch, state)], []
    for _ in range(steps):
        intent = plan(batch, state)
        speed = drive(batch, state, intent)
        kappa = steer(batch, state, intent.target)
        agent_accel = accelerations(batch, state)
        state.mode, state.target, state.cause = intent.mode, intent.target, intent.cause
        step_ego(batch, state, speed.accel, kappa)
        advance(batch, state, agent_accel)
        state.step += 1
        logs.append(
            (
                np.stack([speed.accel, kappa], axis=-1),
                speed.bound,
                speed.agent,
                speed.cost,
                intent.mode,
                intent.target,
                intent.cause,
                intent.blocker,
            )
        )
        shots.append(_snapshot(batch, state))
    states = [np.stack(column, axis=1) for column in zip(*shots, strict=True)]
    logged = [np.stack(column, axis=1) for column in zip(*logs, strict=True)]
    return Trace(*states, *logged), state
