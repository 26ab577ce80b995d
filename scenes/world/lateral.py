"""The expert's lateral plan and steering.

Role: decides each step whether to keep the lane, nudge, change lanes, merge, pull over or abort, from what is
on the road at that step, and steers to the plan. Invariant: nothing is planned before the scene's onset, so
that every lateral decision starts at or after t0; a plan records the agent that caused it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from scenes.trajectory import STEP_S
from scenes.world.batch import KINDS, Batch, State
from scenes.world.route import KAPPA, YAW
from scenes.world.spec import EGO_FRONT, EGO_REAR
from scenes.world.traffic import lateral

HALF_WIDTH = 0.95
MARGIN, CONE_MARGIN = 0.6, 0.4
SLOW_LEAD = 0.72
"""A lead slower than this share of the set speed is worth passing."""
CONE = KINDS.index("cone")


class Mode(IntEnum):
    """Lateral plans."""

    KEEP = 0
    IN_LANE_NUDGE = 1
    OUT_OF_LANE_NUDGE = 2
    CHANGE = 3
    MERGE = 4
    PULL_OVER = 5
    ABORT = 6


@dataclass(frozen=True)
class Plan:
    """mode, target d m, cause (agent slot or -1), blocker (slot of the agent that forbids a manoeuvre, or -1),
    needs_gap: the lane ends and the next is taken, all [B]; front_gap, agent_d, agent_rate: [B, N] bumper gap
    and lateral position and rate of every agent."""

    mode: np.ndarray
    target: np.ndarray
    cause: np.ndarray
    blocker: np.ndarray
    needs_gap: np.ndarray
    front_gap: np.ndarray
    agent_d: np.ndarray
    agent_rate: np.ndarray


def _first(mask: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Slot [B] with the least score among mask [B, N], or -1."""
    best = np.argmin(np.where(mask, score, np.inf), axis=1)
    return np.where(mask.any(axis=1), best, -1)


@dataclass(frozen=True)
class _Sight:
    """Relations of the ego to every agent [B, N] at one step."""

    d: np.ndarray
    rate: np.ndarray
    ahead: np.ndarray
    front: np.ndarray
    rear: np.ndarray


def _look(batch: Batch, state: State) -> _Sight:
    d, rate = lateral(batch, state)
    ahead = state.agent_s - state.s[:, None]
    front = ahead - batch.traffic.half_long - EGO_FRONT
    rear = -ahead - batch.traffic.half_long - EGO_REAR
    return _Sight(d, rate, ahead, front, rear)


def _lane_taken(batch: Batch, state: State, sight: _Sight, side: np.ndarray) -> np.ndarray:
    """Slot [B] of the nearest agent that forbids moving one lane to `side` (+1 or -1), or -1."""
    traffic, v = batch.traffic, state.v[:, None]
    centre = (side * batch.width)[:, None]
    soon = sight.d + np.clip(1.5 * sight.rate, -2.0, 2.0)
    reach = HALF_WIDTH + traffic.half_wide + 0.3
    in_lane = (np.abs(sight.d - centre) < reach) | (np.abs(soon - centre) < reach)
    near = (sight.front < 3.0 + 3.0 * np.maximum(0.0, v - state.agent_v)) & (sight.ahead > 0.0)
    near |= (sight.rear < 4.0 + 3.0 * np.maximum(0.0, state.agent_v - v)) & (sight.ahead <= 0.0)
    taken = traffic.present & (traffic.course == 1) & in_lane & near
    return _first(taken, np.abs(sight.ahead))


def _oncoming_taken(batch: Batch, state: State, sight: _Sight, beyond: np.ndarray) -> np.ndarray:
    """Slot [B] of the nearest oncoming agent met before the ego is `beyond` m further, or -1."""
    v = state.v[:, None]
    need = (v + state.agent_v) * np.clip((beyond[:, None] + 12.0) / np.maximum(v, 3.0), 2.0, 7.0) + 8.0
    met = batch.traffic.present & (batch.traffic.course == -1) & (sight.ahead > -6.0) & (sight.ahead < need)
    return _first(met & (np.abs(sight.d - batch.width[:, None]) < 1.9), sight.ahead)


@dataclass(frozen=True)
class _Nudge:
    """Shift m [B] that obstacles beside the path ask for (0: none), the obstacle, and where it ends."""

    shift: np.ndarray
    cause: np.ndarray
    end: np.ndarray


def _nudge(batch: Batch, state: State, sight: _Sight) -> _Nudge:
    traffic, v = batch.traffic, state.v[:, None]
    rows = np.arange(len(state.v))
    beside = traffic.present & (traffic.edge != 0)
    near = np.maximum(14.0, 4.2 * v) + np.where(traffic.kind == CONE, 12.0, 0.0)
    beside &= (sight.front < near) & (sight.rear < 1.0)
    margin = np.where(traffic.kind == CONE, CONE_MARGIN, MARGIN)
    room = HALF_WIDTH + traffic.half_wide + margin
    left = np.where(beside & (traffic.edge < 0), sight.d + room, -np.inf)
    right = np.where(beside & (traffic.edge > 0), room - sight.d, -np.inf)
    by_left, by_right = np.argmax(left, axis=1), np.argmax(right, axis=1)
    most_left, most_right = left[rows, by_left], right[rows, by_right]
    goes_left = most_left >= most_right
    size = np.where(goes_left, most_left, most_right)
    slot = np.where(goes_left, by_left, by_right)
    wanted = size > 0.12
    shift = np.where(wanted, np.where(goes_left, size, -size), 0.0)
    same_side = beside & (traffic.edge == np.where(goes_left, -1, 1)[:, None])
    end = np.max(np.where(same_side, sight.front + 2.0 * traffic.half_long, -np.inf), axis=1)
    return _Nudge(shift, np.where(wanted, slot, -1), np.where(wanted, end, 0.0))


def plan(batch: Batch, state: State) -> Plan:
    """The lateral plan at this step, from the previous one in `state`."""
    sight = _look(batch, state)
    mode, target, cause = state.mode.copy(), state.target.copy(), state.cause.copy()
    awake = state.time >= batch.onset - 1e-9
    left, right = np.ones_like(target), -np.ones_like(target)
    taken_left, taken_right = _lane_taken(batch, state, sight, left), _lane_taken(batch, state, sight, right)
    blocker = np.full(len(mode), -1)
    slow = _first(_passable(batch, state, sight), sight.ahead)
    mode, target, cause = _plan_started(
        batch, state, awake, slow, (taken_left, taken_right), (mode, target, cause)
    )
    idle = awake & (mode == Mode.KEEP)

    mode, target, cause, blocker = _plan_nudge(
        batch, state, sight, idle, (mode, target, cause, blocker), (taken_left, taken_right)
    )
    idle = awake & (mode == Mode.KEEP) & (blocker < 0)
    merging = idle & (batch.lane_end_s - state.s - EGO_FRONT < 6.0 * state.v)
    free = merging & (taken_left < 0)
    mode, target = np.where(free, int(Mode.MERGE), mode), np.where(free, batch.width, target)
    needs_gap = merging & ~free
    blocker = np.where(needs_gap, taken_left, blocker)
    idle &= ~merging

    wants = idle & (slow >= 0) & (batch.left_lane | batch.right_lane)
    go_left = wants & batch.left_lane & (taken_left < 0)
    go_right = wants & ~go_left & batch.right_lane & (taken_right < 0)
    mode = np.where(go_left | go_right, int(Mode.CHANGE), mode)
    target = np.where(go_left, batch.width, np.where(go_right, -batch.width, target))
    cause = np.where(go_left | go_right, slow, cause)
    stuck = wants & ~go_left & ~go_right
    blocker = np.where(stuck, np.where(batch.left_lane, taken_left, taken_right), blocker)
    mode, target, cause = _plan_pull_over(batch, state, sight, awake, (mode, target, cause))
    return Plan(mode, target, cause, blocker, needs_gap, sight.front, sight.d, sight.rate)


_Draft = tuple[np.ndarray, np.ndarray, np.ndarray]


def _plan_started(
    batch: Batch,
    state: State,
    awake: np.ndarray,
    slow: np.ndarray,
    taken: tuple[np.ndarray, np.ndarray],
    draft: _Draft,
) -> _Draft:
    """Begin the lane change of scenes that have one under way at t0; until halfway it is given up when the
    lane is taken, or when there is no slow lead to pass any more."""
    mode, target, cause = draft
    begin = (batch.started != 0) & ~awake & (state.time >= batch.t_started - 1e-9) & (mode == Mode.KEEP)
    mode = np.where(begin, int(Mode.CHANGE), mode)
    target = np.where(begin, batch.started * batch.width, target)
    cause = np.where(begin, slow, cause)
    early = awake & (batch.started != 0) & (mode == Mode.CHANGE) & (np.abs(state.d) < 0.55 * batch.width)
    blocks = np.where(target > 0.0, taken[0], taken[1])
    abort = early & (blocks >= 0)
    idle = early & ~abort & (slow < 0)
    mode = np.where(abort, int(Mode.ABORT), np.where(idle, int(Mode.KEEP), mode))
    target = np.where(abort | idle, 0.0, target)
    return mode, target, np.where(abort, blocks, cause)


def _passable(batch: Batch, state: State, sight: _Sight) -> np.ndarray:
    """Agents [B, N] ahead in the lane that drive so slowly that passing is worth a lane change."""
    traffic = batch.traffic
    slow = traffic.present & (traffic.course == 1) & (state.agent_v < SLOW_LEAD * batch.v_set[:, None])
    slow &= traffic.edge == 0
    in_lane = (np.abs(sight.d) < 1.2) & (sight.front > 0.0) & (sight.front < 6.0 + 4.0 * state.v[:, None])
    junction_near = (batch.control == 1) | (batch.control == 3)
    return slow & in_lane & ~junction_near[:, None]


def _plan_nudge(
    batch: Batch,
    state: State,
    sight: _Sight,
    idle: np.ndarray,
    draft: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    taken: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Start, adjust or end a nudge around what stands beside the path."""
    mode, target, cause, blocker = draft
    nudge = _nudge(batch, state, sight)
    size, leftward = np.abs(nudge.shift), nudge.shift > 0.0
    inside = size <= 0.5 * batch.width - HALF_WIDTH + 0.2
    lane = np.where(leftward, batch.left_same, batch.right_lane)
    into_oncoming = leftward & batch.oncoming
    blocks = np.where(leftward, taken[0], taken[1])
    blocks = np.where(into_oncoming, _oncoming_taken(batch, state, sight, nudge.end), blocks)
    passable = (lane | into_oncoming) & (size <= batch.width + 0.3)
    wants = idle & (size > 0.0)
    starts = wants & (inside | (passable & (blocks < 0)))
    mode = np.where(starts, np.where(inside, int(Mode.IN_LANE_NUDGE), int(Mode.OUT_OF_LANE_NUDGE)), mode)
    cause = np.where(starts, nudge.cause, cause)
    nudging = (mode == Mode.IN_LANE_NUDGE) | (mode == Mode.OUT_OF_LANE_NUDGE)
    over = nudging & (size == 0.0)
    target = np.where(nudging, nudge.shift, target)
    mode = np.where(over, int(Mode.KEEP), mode)
    blocker = np.where(wants & ~inside & passable & (blocks >= 0), blocks, blocker)
    return mode, target, cause, blocker


def _plan_pull_over(batch: Batch, state: State, sight: _Sight, awake: np.ndarray, draft: _Draft) -> _Draft:
    """Make room for an oncoming vehicle that needs part of the ego's path, and come back after it."""
    mode, target, cause = draft
    traffic = batch.traffic
    reach = HALF_WIDTH + traffic.half_wide + 0.3
    near = sight.front < (state.v[:, None] + state.agent_v) * 5.0 + 10.0
    meets = traffic.present & (traffic.course == -1) & (np.abs(sight.d) < reach) & near & (sight.ahead > -4.0)
    slot = _first(meets, sight.ahead)
    starts = awake & (mode == Mode.KEEP) & (slot >= 0)
    rows = np.arange(len(mode))
    room = sight.d[rows, slot] - traffic.half_wide[rows, slot] - HALF_WIDTH - 0.5
    mode = np.where(starts, int(Mode.PULL_OVER), mode)
    target, cause = np.where(starts, room, target), np.where(starts, slot, cause)
    over = (mode == Mode.PULL_OVER) & (slot < 0)
    return np.where(over, int(Mode.KEEP), mode), np.where(over, 0.0, target), cause


def steer(batch: Batch, state: State, target: np.ndarray) -> np.ndarray:
    """Curvature 1/m [B] that leads to the target d: state feedback over distance with bounded lateral
    acceleration and curvature rate. On a straight route at the target it is exactly 0."""
    path = batch.routes.at(state.s + 0.5 * STEP_S * state.v)[:, KAPPA]
    path = path / np.maximum(1.0 - path * state.d, 0.3)
    heading = state.yaw - batch.routes.at(state.s)[:, YAW]
    reach = np.clip(0.95 * state.v, 4.0, 16.0)
    wish = (target - state.d) / reach**2 - 2.0 * np.sin(heading) / reach
    limit = np.minimum(1.3 / np.maximum(state.v, 1.0) ** 2, 0.10)
    wish = path + np.clip(wish, -limit, limit)
    rate = np.clip(5.0 / np.maximum(state.v, 1.0) ** 2, 0.02, 0.25) + 0.02
    return state.kappa + np.clip(wish - state.kappa, -rate * STEP_S, rate * STEP_S)
