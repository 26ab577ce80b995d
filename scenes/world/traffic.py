"""Other road users: reactive car following, scripted shifts and crossings.

Role: one time step of all agents. Invariant: speeds stay >= 0; agents react to the ego and to each other only
through who drives ahead in the same lane (Intelligent Driver Model, Treiber et al. 2000) and red lights.
"""

from __future__ import annotations

import numpy as np

from scenes.trajectory import STEP_S
from scenes.world.batch import Batch, State
from scenes.world.spec import EGO_SIZE

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


def _braking_for_leads(
    batch: Batch, state: State, lane: np.ndarray, rows: np.ndarray, slots: np.ndarray
) -> np.ndarray:
    """Braking term [M] of M reactive agents (row, slot) for whoever is ahead in their lane, the ego included.
    lane: [B, N] where agents are, or will soon be, across the route."""
    traffic, one = batch.traffic, (len(rows), 1)
    v = state.agent_v[rows, slots, None]
    half_long, half_wide = traffic.half_long, traffic.half_wide
    other_s = np.concatenate([state.agent_s[rows], (state.s + EGO_SIZE[3])[rows, None]], axis=1)
    other_d = np.concatenate([lane[rows], state.d[rows, None]], axis=1)
    other_v = np.where(traffic.course == 1, state.agent_v, 0.0)[rows]
    other_v = np.concatenate([other_v, state.v[rows, None]], axis=1)
    other_long = np.concatenate([half_long[rows], np.full(one, EGO_SIZE[0] / 2)], axis=1)
    other_wide = np.concatenate([half_wide[rows], np.full(one, EGO_SIZE[1] / 2)], axis=1)
    here = np.concatenate([(traffic.present & (traffic.course >= 0))[rows], np.ones(one, bool)], axis=1)
    ahead = other_s - state.agent_s[rows, slots, None]
    beside = np.abs(other_d - lane[rows, slots, None]) < other_wide + half_wide[rows, slots, None] + 0.2
    gap = ahead - other_long - half_long[rows, slots, None]
    brake = interaction(v, v - other_v, gap)
    return np.max(np.where(here & beside & (ahead > 0.5), brake, 0.0), axis=1)


def accelerations(batch: Batch, state: State) -> np.ndarray:
    """Acceleration m/s² [B, N] of every agent."""
    traffic = batch.traffic
    v, s = state.agent_v, state.agent_s
    d, rate = lateral(batch, state)
    wish = np.where(state.time >= traffic.t_event, traffic.v_event, np.where(traffic.follows, traffic.v, v))
    toward = np.clip((wish - v) / STEP_S, -traffic.a_event, traffic.a_event)
    lane = d + np.clip(0.8 * rate, -1.5, 1.5)
    worst = np.zeros_like(v)
    reactive_slots = traffic.present & traffic.follows & (traffic.course == 1)
    worst[reactive_slots] = _braking_for_leads(batch, state, lane, *np.nonzero(reactive_slots))
    to_line = batch.stop_s[:, None] - s - traffic.half_long
    red = (batch.control == 1)[:, None] & (to_line > -1.0) & (traffic.course == 1)
    worst = np.maximum(worst, np.where(red, interaction(v, v, to_line, 0.3, 1.0), 0.0))
    reactive = np.minimum(toward, ACCEL * np.maximum(1.0 - (v / np.maximum(wish, 0.1)) ** 4, -1.0) - worst)
    accel = np.where(reactive_slots, reactive, toward)
    accel = np.clip(accel, -HARDEST - 1.0, 3.0)
    return np.where(traffic.parked, 0.0, np.maximum(accel, -v / STEP_S))


def advance(batch: Batch, state: State, accel: np.ndarray) -> None:
    """Move all agents one step, in place."""
    course = batch.traffic.course
    travelled = state.agent_v * STEP_S + 0.5 * accel * STEP_S**2
    state.agent_v = np.maximum(state.agent_v + accel * STEP_S, 0.0)
    state.agent_s = state.agent_s + course * travelled
    state.agent_d = state.agent_d + np.where(course == 0, batch.traffic.sign * travelled, 0.0)
