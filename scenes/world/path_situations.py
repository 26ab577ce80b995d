"""Situations that ask something of the expert's path.

Role: each function draws one scene; see scenes.world.situations.
"""

from __future__ import annotations

import math

from numpy.random import Generator

from scenes.world.dressing import (
    add,
    chance,
    dress,
    ego_t0,
    rename,
    road,
    side,
    vehicle_kind,
)
from scenes.world.spec import AGAINST, EGO_FRONT, AgentSpec, SceneSpec


def _u(rng: Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def _parked(spec: SceneSpec, rng: Generator, shift: float, gap: float, kind: str = "car") -> AgentSpec:
    agent = add(spec, rng, kind, ego_t0(spec) + EGO_FRONT + gap + 2.5, 0.0, edge=-1)
    agent.d = shift - 0.6 - 0.95 - agent.size[1] / 2
    return agent


def nudge_parked(rng: Generator) -> SceneSpec:
    """A parked car that sticks a little into the lane."""
    spec = road(rng, "nudge_parked", _u(rng, 5.5, 10.0), lanes_right=0, shoulder=_u(rng, 1.4, 2.4))
    _parked(spec, rng, _u(rng, 0.55, 0.5 * spec.width - 0.8), spec.v0 * _u(rng, 2.4, 3.6))
    dress(spec, rng, 9)
    return spec


def nudge_out(rng: Generator) -> SceneSpec:
    """A vehicle stopped in the lane's right part, with room on the left."""
    spec = road(rng, "nudge_out", _u(rng, 5.0, 8.5), lanes_right=0, shoulder=_u(rng, 0.0, 1.5))
    spec.lanes_left = min(spec.lanes_left, 1)
    spec.oncoming = max(spec.oncoming, 1)
    _parked(spec, rng, _u(rng, 1.35, 2.3), spec.v0 * _u(rng, 2.6, 3.6) + 4.0, vehicle_kind(rng))
    dress(spec, rng, 8, neighbours=False, oncoming=spec.lanes_left > 0)
    return spec


def nudge_oncoming(rng: Generator) -> SceneSpec:
    """A stopped vehicle in the lane, and an oncoming one that takes the room beside it."""
    spec = road(rng, "nudge_oncoming", _u(rng, 5.0, 8.5), lanes_right=0, lanes_left=0, oncoming=1)
    gap = spec.v0 * _u(rng, 2.4, 3.2) + 4.0
    _parked(spec, rng, _u(rng, 1.35, 2.3), gap, vehicle_kind(rng))
    v = _u(rng, 5.0, 8.0)
    meets = ego_t0(spec) + gap + v * _u(rng, 3.0, 5.0)
    add(spec, rng, vehicle_kind(rng), meets, spec.width, v, course=AGAINST)
    dress(spec, rng, 8, neighbours=False, oncoming=False)
    return spec


def cones(rng: Generator) -> SceneSpec:
    """Cones that taper into the lane from one side."""
    spec = road(rng, "cones", _u(rng, 5.0, 9.0))
    out = chance(rng, 0.4)
    from_right = out or chance(rng, 0.6)
    if out:
        spec.lanes_left, spec.oncoming = max(spec.lanes_left, 1), max(spec.oncoming, 1)
    need = _u(rng, 1.35, 2.0) if out else _u(rng, 0.5, 0.5 * spec.width - 0.8)
    first = ego_t0(spec) + EGO_FRONT + spec.v0 * _u(rng, 2.2, 3.2) + 4.0
    count = int(rng.integers(3, 6))
    for i in range(count):
        tip = need - 0.4 - 0.95 - 0.215 - 0.5 * (count - 1 - i) * _u(rng, 0.7, 1.0)
        edge = -1 if from_right else 1
        add(spec, rng, "cone", first + 3.0 * i, -edge * tip, edge=edge)
    dress(spec, rng, 11, neighbours=not out)
    return spec


def cyclist(rng: Generator) -> SceneSpec:
    """A slow cyclist at the right of the lane."""
    spec = road(rng, "cyclist", _u(rng, 6.0, 9.5), lanes_right=0)
    v = _u(rng, 2.0, 3.5)
    gap = (spec.v0 - v) * _u(rng, 2.0, 3.2) + 4.0
    agent = add(spec, rng, "cyclist", ego_t0(spec) + EGO_FRONT + gap, 0.0, v, edge=-1)
    agent.d = _u(rng, 0.55, 0.5 * spec.width - 0.8) - 0.6 - 0.95 - agent.size[1] / 2
    dress(spec, rng, 9)
    return spec


def lane_change(rng: Generator) -> SceneSpec:
    """A slow lead, and a free lane beside it."""
    spec = road(rng, "lane_change", _u(rng, 8.0, 12.0))
    spec.v_set = spec.v0 * _u(rng, 1.2, 1.4)
    s = side(rng)
    spec.lanes_left, spec.lanes_right = (1, 0) if s > 0 else (0, 1)
    spec.left_line = "dashed" if s > 0 else "solid"
    spec.right_line = "dashed"
    spec.shoulder = spec.shoulder if s > 0 else 0.0
    v = spec.v_set * _u(rng, 0.45, 0.62)
    gap = (spec.v0 - v) * 2.0 + spec.v0 * _u(rng, 1.3, 2.0)
    add(spec, rng, vehicle_kind(rng), ego_t0(spec) + EGO_FRONT + gap, 0.0, v)
    if chance(rng, 0.4):
        lane = s * spec.width
        add(
            spec,
            rng,
            vehicle_kind(rng),
            ego_t0(spec) + _u(rng, 45.0, 75.0),
            lane,
            spec.v_set * _u(rng, 1.0, 1.2),
        )
    dress(spec, rng, 9, neighbours=False)
    return spec


def _changing(rng: Generator, situation: str) -> tuple[SceneSpec, int]:
    """A lane change under way past a slow lead, and its side."""
    spec = road(rng, situation, _u(rng, 8.0, 12.0))
    s = side(rng)
    spec.v_set = spec.v0 * _u(rng, 1.15, 1.35)
    spec.started, spec.t_started, spec.onset = s, _u(rng, -1.1, -0.7), _u(rng, 0.1, 0.35)
    spec.lanes_left, spec.lanes_right = (2, 0) if s > 0 else (0, 1)
    spec.left_line = "dashed" if s > 0 else "solid"
    spec.right_line = "dashed"
    spec.shoulder = spec.shoulder if s > 0 else 0.0
    v = spec.v0 * _u(rng, 0.55, 0.75)
    gap = (spec.v0 - v) * 2.0 + spec.v0 * _u(rng, 1.2, 1.8)
    add(spec, rng, vehicle_kind(rng), ego_t0(spec) + EGO_FRONT + gap, 0.0, v)
    return spec, s


def lane_change_under_way(rng: Generator) -> SceneSpec:
    """A lane change under way past a slow lead, with nothing against it."""
    spec, s = _changing(rng, "lane_change_under_way")
    if chance(rng, 0.6):
        ahead = ego_t0(spec) + _u(rng, 30.0, 60.0)
        add(spec, rng, vehicle_kind(rng), ahead, s * spec.width, spec.v_set * _u(rng, 1.0, 1.15))
    dress(spec, rng, 8, neighbours=False, junction=False)
    return spec


def abort(rng: Generator) -> SceneSpec:
    """A lane change under way into a lane where a vehicle brakes or pushes in."""
    spec, s = _changing(rng, "abort")
    start = ego_t0(spec) + EGO_FRONT
    if s > 0 and chance(rng, 0.5):
        pushes = {"t_shift": _u(rng, -0.9, -0.4), "shift": -spec.width, "shift_s": _u(rng, 2.2, 3.0)}
        v = spec.v0 * _u(rng, 0.9, 1.0)
        add(spec, rng, vehicle_kind(rng), start + _u(rng, 3.5, 7.0), 2.0 * spec.width, v, **pushes)
    else:
        brakes = {"t_event": _u(rng, -0.9, -0.5), "v_event": 0.4 * spec.v0, "a_event": _u(rng, 3.0, 4.0)}
        v = spec.v0 * _u(rng, 0.9, 1.0)
        add(spec, rng, vehicle_kind(rng), start + _u(rng, 4.5, 9.0), s * spec.width, v, **brakes)
    dress(spec, rng, 8, neighbours=False, junction=False)
    return spec


def lane_end(rng: Generator) -> SceneSpec:
    """The ego's lane ends; the next one is free."""
    spec = road(rng, "lane_end", _u(rng, 7.0, 12.0), lanes_right=0, shoulder=0.0, left_line="dashed")
    spec.lanes_left = max(1, spec.lanes_left)
    spec.lane_end_s = ego_t0(spec) + EGO_FRONT + spec.v0 * _u(rng, 4.0, 5.5)
    if chance(rng, 0.5):
        add(
            spec,
            rng,
            vehicle_kind(rng),
            ego_t0(spec) + _u(rng, 35.0, 60.0),
            spec.width,
            spec.v0 * _u(rng, 1.0, 1.15),
        )
    dress(spec, rng, 9, neighbours=False, junction=False)
    return spec


def lane_end_blocked(rng: Generator) -> SceneSpec:
    """The ego's lane ends and a vehicle drives alongside."""
    spec = lane_end(rng)
    spec.situation = "lane_end_blocked"
    spec.agents = [agent for agent in spec.agents if agent.d != spec.width]
    spec.lane_end_s = ego_t0(spec) + EGO_FRONT + spec.v0 * _u(rng, 4.0, 5.5) + 6.0
    v = spec.v0 * _u(rng, 0.92, 1.0)
    add(spec, rng, vehicle_kind(rng), ego_t0(spec) + _u(rng, 5.5, 10.0), spec.width, v)
    rename(spec)
    return spec


def turn(rng: Generator) -> SceneSpec:
    """The road leads around a junction corner."""
    spec = road(rng, "turn", _u(rng, 5.5, 8.5), lanes_left=0, lanes_right=0, bends=[])
    spec.oncoming = int(rng.choice([0, 1]))
    spec.turn = side(rng)
    radius = _u(rng, 8.5, 13.0)
    spec.ramp = 5.0
    start = ego_t0(spec) + _u(rng, 6.0, 12.0)
    spec.bends = [(start, 0.5 * math.pi * radius + spec.ramp, spec.turn / radius)]
    dress(spec, rng, 8, junction=False)
    return spec


def _narrow(rng: Generator, situation: str) -> SceneSpec:
    spec = road(rng, situation, _u(rng, 5.5, 8.5), lanes_left=0, lanes_right=0, oncoming=0, edge="solid")
    spec.width, spec.shoulder = _u(rng, 4.4, 5.2), _u(rng, 2.0, 2.6)
    return spec


def narrow(rng: Generator) -> SceneSpec:
    """A narrow road with nobody near who needs it."""
    spec = _narrow(rng, "narrow")
    if chance(rng, 0.5):
        v = _u(rng, 4.0, 7.0)
        far = ego_t0(spec) + (spec.v0 + v) * _u(rng, 11.6, 13.0) + 15.0
        add(spec, rng, "car", far, _u(rng, 0.3, 0.9), v, course=AGAINST)
    if chance(rng, 0.5):
        v = spec.v0 * _u(rng, 1.1, 1.3)
        add(spec, rng, vehicle_kind(rng), ego_t0(spec) + _u(rng, 35.0, 60.0), 0.0, v)
    dress(spec, rng, 7, junction=False)
    return spec


def pull_over(rng: Generator) -> SceneSpec:
    """A narrow road and an oncoming vehicle that needs most of it."""
    spec = _narrow(rng, "pull_over")
    v = _u(rng, 4.0, 7.0)
    distance = (spec.v0 + v) * _u(rng, 2.8, 4.2) + 8.0
    add(spec, rng, "car", ego_t0(spec) + EGO_FRONT + distance, _u(rng, 0.3, 0.9), v, course=AGAINST)
    dress(spec, rng, 6, neighbours=False, junction=False, parked=False)
    return spec
