"""Other road users: reactive car following, scripted shifts and crossings.

Role: one time step of all agents. Invariant: speeds stay >= 0; agents react to the ego and to each other only
through who drives ahead in the same lane (Intelligent Driver Model, Treiber et al. 2000) and red lights.
"""

from __future__ import annotations

import numpy as np

from scenes.trajectory import STEP_S
from scenes.world.batch import Batch, State
from scenes.world.spec import EGO_REAR

ACCEL, BRAKE = 1.6, 2.0
HEADWAY_S, GAP_M = 1.0, 2.0
HARDEST = 4.0


def interaction(
    v: np.ndarray, closing: np.ndarray, gap: np.ndarray, headway: float = HEADWAY_S, least: float = GAP_M
) -> np.ndarray:
    """IDM's braking term A (s*/gap)² in m/s² (>= 0) for speed v, closing speed and bumper gap (m)."""
    desired = least + np.maximum(0.0, v * headway + v * closing / (2.0 * np.sqrt(ACCEL * BRAKE)))
    return ACCEL * (desired / np.maximum(gap, 0.5)) ** 2


def lateral(batch: Batch, state: State) -> tuple[np.ndarray, np.ndarray]:
    """Current d and its rate [B, N] of every agent: scripted shifts (quintic) and crossings."""
    traffic = batch.traffic
    u = np.clip((state.time - traffic.t_shift) / traffic.shift_s, 0.0, 1.0)
    moved = traffic.shift * u**3 * (10.0 - 15.0 * u + 6.0 * u * u)
    rate = traffic.shift * 30.0 * u * u * (1.0 - u) ** 2 / traffic.shift_s
    across = traffic.course == 0
    return state.agent_d + moved, np.where(across, traffic.sign * state.agent_v, rate)


def accelerations(batch: Batch, state: State) -> np.ndarray:
    """Acceleration m/s² [B, N] of every agent."""
    traffic = batch.traffic
    v, s = state.agent_v, state.agent_s
    d, rate = lateral(batch, state)
    wish = np.where(state.time >= traffic.t_event, traffic.v_event, np.where(traffic.follows, traffic.v, v))
    toward = np.clip((wish - v) / STEP_S, -traffic.a_event, traffic.a_event)
    lane = d + np.clip(0.8 * rate, -1.5, 1.5)
    width = traffic.half_wide
    # Candidates ahead of agent i: every agent j, and the ego as the last column.
    all_s = np.concatenate([s, (state.s + 1.4)[:, None]], axis=1)
    all_d = np.concatenate([lane, state.d[:, None]], axis=1)
    all_v = np.concatenate([np.where(traffic.course == 1, v, 0.0), state.v[:, None]], axis=1)
    half_long = np.concatenate([traffic.half_long, np.full((len(s), 1), 1.4 + EGO_REAR)], axis=1)
    half_wide = np.concatenate([width, np.full((len(s), 1), 0.95)], axis=1)
    here = np.concatenate([traffic.present & (traffic.course >= 0), np.ones((len(s), 1), bool)], axis=1)
    ahead = all_s[:, None, :] - s[:, :, None]
    beside = np.abs(all_d[:, None, :] - lane[:, :, None]) < half_wide[:, None, :] + width[:, :, None] + 0.2
    gap = ahead - half_long[:, None, :] - traffic.half_long[:, :, None]
    meets = here[:, None, :] & beside & (ahead > 0.5)
    brake = interaction(v[:, :, None], v[:, :, None] - all_v[:, None, :], gap)
    worst = np.max(np.where(meets, brake, 0.0), axis=2)
    to_line = batch.stop_s[:, None] - s - traffic.half_long
    red = (batch.control == 1)[:, None] & (to_line > -1.0) & (traffic.course == 1)
    worst = np.maximum(worst, np.where(red, interaction(v, v, to_line, 0.3, 1.0), 0.0))
    reactive = np.minimum(toward, ACCEL * np.maximum(1.0 - (v / np.maximum(wish, 0.1)) ** 4, -1.0) - worst)
    accel = np.where(traffic.follows & (traffic.course == 1), reactive, toward)
    accel = np.clip(accel, -HARDEST - 1.0, 3.0)
    return np.where(traffic.parked, 0.0, np.maximum(accel, -v / STEP_S))


def advance(batch: Batch, state: State, accel: np.ndarray) -> None:
    """Move all agents one step, in place."""
    course = batch.traffic.course
    travelled = state.agent_v * STEP_S + 0.5 * accel * STEP_S**2
    state.agent_v = np.maximum(state.agent_v + accel * STEP_S, 0.0)
    state.agent_s = state.agent_s + course * travelled
    state.agent_d = state.agent_d + np.where(course == 0, batch.traffic.sign * travelled, 0.0)
