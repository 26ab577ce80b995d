"""Scenes as arrays: what stays fixed during a simulation, and what moves.

Role: stacks scene specs so that one numpy step advances all of them. Invariant: row b depends on spec b alone,
so a scene's outcome does not change with the company it is simulated in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from scenes.trajectory import HISTORY_STEPS, STEP_S
from scenes.world.route import KAPPA, YAW, Routes, build_routes, straightened
from scenes.world.spec import AgentSpec, SceneSpec

SLOTS = 14
KINDS = ("car", "truck", "pedestrian", "cyclist", "cone")
CONTROLS = ("none", "red", "green", "stop")


@dataclass(frozen=True)
class Traffic:
    """Agents of B scenes in N slots; all arrays [B, N] (size [B, N, 3]). See AgentSpec for their meaning;
    parked: stands for the whole scene and queues for nobody."""

    present: np.ndarray
    kind: np.ndarray
    size: np.ndarray
    s: np.ndarray
    d: np.ndarray
    v: np.ndarray
    course: np.ndarray
    sign: np.ndarray
    follows: np.ndarray
    t_event: np.ndarray
    v_event: np.ndarray
    a_event: np.ndarray
    t_shift: np.ndarray
    shift: np.ndarray
    shift_s: np.ndarray
    parked: np.ndarray
    edge: np.ndarray

    @property
    def half_long(self) -> np.ndarray:
        """Half extent along the route, m."""
        return 0.5 * np.where(self.course == 0, self.size[..., 1], self.size[..., 0])

    @property
    def half_wide(self) -> np.ndarray:
        """Half extent across the route, m."""
        return 0.5 * np.where(self.course == 0, self.size[..., 0], self.size[..., 1])


@dataclass(frozen=True)
class Batch:
    """B scenes. Arrays [B]; left_lane, right_lane: a lane change to that side is allowed; left_same: a
    same-direction lane lies left even if its line is solid; oncoming: else an oncoming lane lies there."""

    routes: Routes
    traffic: Traffic
    v0: np.ndarray
    v_set: np.ndarray
    width: np.ndarray
    control: np.ndarray
    stop_s: np.ndarray
    lane_end_s: np.ndarray
    left_lane: np.ndarray
    right_lane: np.ndarray
    left_same: np.ndarray
    oncoming: np.ndarray
    onset: np.ndarray
    started: np.ndarray
    t_started: np.ndarray


@dataclass
class State:
    """The moving part: ego in world (x, y, yaw, v) and route (s, d) coordinates, its last actions, and the
    lateral plan (mode, target d, agent that caused it); agents' s, v and base d [B, N]."""

    step: int
    x: np.ndarray
    y: np.ndarray
    yaw: np.ndarray
    v: np.ndarray
    s: np.ndarray
    d: np.ndarray
    accel: np.ndarray
    kappa: np.ndarray
    mode: np.ndarray
    target: np.ndarray
    cause: np.ndarray
    agent_s: np.ndarray
    agent_d: np.ndarray
    agent_v: np.ndarray

    @property
    def time(self) -> float:
        """Seconds relative to t0."""
        return (self.step - (HISTORY_STEPS - 1)) * STEP_S

    def copy(self) -> State:
        """A state whose arrays are not shared."""
        return State(self.step, *(getattr(self, f.name).copy() for f in fields(self) if f.name != "step"))


def _traffic(specs: Sequence[SceneSpec]) -> Traffic:
    shape = (len(specs), SLOTS)
    arrays: dict[str, np.ndarray] = {
        name: np.zeros(shape)
        for name in ("s", "d", "v", "t_event", "v_event", "a_event", "t_shift", "shift", "shift_s")
    }
    arrays["t_event"][:] = arrays["t_shift"][:] = np.inf
    arrays["shift_s"][:] = 1.0
    present, parked, follows = np.zeros(shape, bool), np.zeros(shape, bool), np.zeros(shape, bool)
    kind, course, sign = np.zeros(shape, np.int64), np.ones(shape, np.int64), np.ones(shape, np.int64)
    size, edge = np.ones((*shape, 3)), np.zeros(shape, np.int64)
    for b, spec in enumerate(specs):
        if len(spec.agents) > SLOTS:
            raise ValueError(f"situation {spec.situation!r} drew {len(spec.agents)} agents; at most {SLOTS}")
        for n, agent in enumerate(spec.agents):
            present[b, n], follows[b, n], parked[b, n] = True, agent.follows, _is_parked(agent)
            kind[b, n], course[b, n], sign[b, n] = KINDS.index(agent.kind), agent.course, agent.sign
            size[b, n], edge[b, n] = agent.size, agent.edge
            for name, values in arrays.items():
                values[b, n] = getattr(agent, name)
    return Traffic(
        present, kind, size, course=course, sign=sign, follows=follows, parked=parked, edge=edge, **arrays
    )


def _is_parked(agent: AgentSpec) -> bool:
    return agent.v == 0.0 and not agent.follows and agent.course != 0 and not np.isfinite(agent.t_event)


def stack(specs: Sequence[SceneSpec]) -> Batch:
    """The batch of scene specs. Raises ValueError when a scene has too many agents or an unknown kind."""

    def column(name: str) -> np.ndarray:
        return np.array([getattr(spec, name) for spec in specs], dtype=np.float64)

    left = np.array([spec.lanes_left > 0 for spec in specs])
    return Batch(
        routes=build_routes(specs),
        traffic=_traffic(specs),
        v0=column("v0"),
        v_set=column("v_set"),
        width=column("width"),
        control=np.array([CONTROLS.index(spec.control) for spec in specs]),
        stop_s=column("stop_s"),
        lane_end_s=column("lane_end_s"),
        left_lane=left & np.array([spec.left_line == "dashed" for spec in specs]),
        right_lane=np.array([spec.lanes_right > 0 and spec.right_line == "dashed" for spec in specs]),
        left_same=left,
        oncoming=~left & np.array([spec.oncoming > 0 for spec in specs]),
        onset=column("onset"),
        started=column("started"),
        t_started=column("t_started"),
    )


def take(batch: Batch, rows: np.ndarray) -> Batch:
    """The batch of these rows, in this order (rows may repeat)."""
    routes = Routes(batch.routes.table[rows])
    traffic = Traffic(*(getattr(batch.traffic, f.name)[rows] for f in fields(Traffic)))
    rest = {
        f.name: getattr(batch, f.name)[rows] for f in fields(Batch) if f.name not in ("routes", "traffic")
    }
    return Batch(routes, traffic, **rest)


def take_state(state: State, rows: np.ndarray) -> State:
    """The state of these rows."""
    return State(state.step, *(getattr(state, f.name)[rows] for f in fields(State) if f.name != "step"))


def initial_state(batch: Batch) -> State:
    """Every ego at s = 0 on its route with speed v0; agents where their specs put them."""
    n = len(batch.v0)
    zero = np.zeros(n)
    none = np.full(n, -1)
    traffic = batch.traffic
    x, y, yaw = batch.routes.pose(zero, zero)
    return State(
        0,
        x,
        y,
        yaw,
        batch.v0.copy(),
        zero.copy(),
        zero.copy(),
        np.full(n, np.nan),
        batch.routes.at(zero)[:, KAPPA],
        np.zeros(n, np.int64),
        zero.copy(),
        none,
        traffic.s.copy(),
        traffic.d.copy(),
        traffic.v.copy(),
    )


def delete(
    batch: Batch,
    state: State,
    agents: np.ndarray,
    control: np.ndarray,
    lane_end: np.ndarray,
    bends: np.ndarray,
) -> tuple[Batch, State]:
    """Batch and state without some factors. agents: [B, N] bool to delete; control, lane_end, bends: [B] bool,
    delete the signal or stop sign, the lane's end, and the route's bends and speed limits (the ego is put at
    the same s, d and relative heading on a straight route)."""
    state = state.copy()
    routes = Routes(np.where(bends[:, None, None], straightened(batch.routes).table, batch.routes.table))
    here = batch.routes.at(state.s)
    path_yaw, path_kappa = here[:, YAW], here[:, KAPPA]
    state.x, state.y = np.where(bends, state.s, state.x), np.where(bends, state.d, state.y)
    state.yaw = np.where(bends, state.yaw - path_yaw, state.yaw)
    state.kappa = np.where(bends, state.kappa - path_kappa, state.kappa)
    traffic = replace(batch.traffic, present=batch.traffic.present & ~agents)
    gone = replace(
        batch,
        routes=routes,
        traffic=traffic,
        control=np.where(control, 0, batch.control),
        lane_end_s=np.where(lane_end, np.inf, batch.lane_end_s),
    )
    return gone, state
