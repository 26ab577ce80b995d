"""The situations a clip may show, each a function that draws one scene.

Role: decides what is on the road, never what the expert does about it: decisions are derived from the
simulation. Invariant: everything that decides is in place at or before t0.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from numpy.random import Generator

from scenes.world.dressing import (
    add,
    chance,
    cross_flow,
    dress,
    ego_t0,
    junction,
    rename,
    road,
    side,
    size_of,
    vehicle_kind,
)
from scenes.world.spec import ACROSS, AGAINST, EGO_FRONT, AgentSpec, SceneSpec

Sampler = Callable[[Generator], SceneSpec]


def _u(rng: Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def cruise(rng: Generator) -> SceneSpec:
    """Free road at the set speed."""
    spec = road(rng, "cruise", _u(rng, 6.5, 15.0))
    if chance(rng, 0.3):
        add(
            spec, rng, vehicle_kind(rng), ego_t0(spec) + _u(rng, 55.0, 80.0), 0.0, spec.v0 * _u(rng, 1.1, 1.3)
        )
    dress(spec, rng, 10)
    return spec


def curve(rng: Generator) -> SceneSpec:
    """A bend too sharp for the current speed."""
    spec = road(rng, "curve", _u(rng, 9.0, 15.0), bends=[])
    slow = spec.v0 * _u(rng, 0.5, 0.72)
    start = ego_t0(spec) + _u(rng, 8.0, 26.0)
    radius = max(slow**2 / 2.0, 18.0)
    spec.bends = [(start, _u(rng, 45.0, 80.0), side(rng) / radius)]
    dress(spec, rng, 8, junction=False)
    return spec


def speed_limit(rng: Generator) -> SceneSpec:
    """A sign that lowers the limit to 60 % of the present speed."""
    spec = road(rng, "speed_limit", _u(rng, 10.0, 15.0))
    spec.limit_s, spec.limit_v = ego_t0(spec) + _u(rng, 16.0, 34.0), 0.6 * spec.v0
    dress(spec, rng, 8, junction=False)
    return spec


def follow(rng: Generator) -> SceneSpec:
    """A slower lead where the lane may not be left."""
    spec = road(rng, "follow", _u(rng, 7.0, 14.0), left_line="solid", right_line="solid")
    v = spec.v0 * _u(rng, 0.45, 0.8)
    add(spec, rng, vehicle_kind(rng), ego_t0(spec) + EGO_FRONT + _u(rng, 1.3, 2.6) * spec.v0, 0.0, v)
    dress(spec, rng, 9)
    return spec


def follow_blocked(rng: Generator) -> SceneSpec:
    """A slow lead that would be passed if the next lane were free."""
    spec = road(rng, "follow_blocked", _u(rng, 8.0, 14.0), lanes_left=1, left_line="dashed", lanes_right=0)
    v = spec.v0 * _u(rng, 0.45, 0.62)
    gap = _u(rng, 1.5, 2.2) * spec.v0
    add(spec, rng, vehicle_kind(rng), ego_t0(spec) + EGO_FRONT + gap, 0.0, v)
    add(spec, rng, vehicle_kind(rng), ego_t0(spec) + _u(rng, 7.0, 14.0), spec.width, v * _u(rng, 0.97, 1.05))
    dress(spec, rng, 9, neighbours=False)
    return spec


def lead_brakes(rng: Generator) -> SceneSpec:
    """A lead that is braking."""
    spec = road(rng, "lead_brakes", _u(rng, 7.0, 13.0), left_line="solid", right_line="solid")
    gap = _u(rng, 1.5, 2.4) * spec.v0
    add(
        spec,
        rng,
        vehicle_kind(rng),
        ego_t0(spec) + EGO_FRONT + gap,
        0.0,
        spec.v0 * _u(rng, 0.95, 1.0),
        t_event=_u(rng, -0.9, -0.45),
        v_event=_u(rng, 0.0, 0.35) * spec.v0,
        a_event=_u(rng, 1.8, 3.2),
    )
    dress(spec, rng, 9)
    return spec


def cut_in(rng: Generator) -> SceneSpec:
    """A neighbour that is moving into the ego's lane close ahead."""
    spec = road(rng, "cut_in", _u(rng, 8.0, 14.0))
    s = side(rng)
    if s > 0:
        spec.lanes_left, spec.left_line = max(1, spec.lanes_left), "dashed"
    else:
        spec.lanes_right, spec.right_line, spec.shoulder = 1, "dashed", 0.0
    gap = _u(rng, 0.5, 1.1) * spec.v0
    add(
        spec,
        rng,
        vehicle_kind(rng),
        ego_t0(spec) + EGO_FRONT + 2.5 + gap,
        s * spec.width,
        spec.v0 * _u(rng, 0.74, 0.92),
        t_shift=_u(rng, -1.3, -0.8),
        shift=-s * spec.width,
        shift_s=_u(rng, 2.4, 3.2),
    )
    dress(spec, rng, 8, neighbours=False)
    return spec


def red_light(rng: Generator) -> SceneSpec:
    """A red light ahead, cross traffic flowing."""
    spec = road(rng, "red_light", _u(rng, 6.5, 12.0), bends=[])
    distance = spec.v0**2 / (2.0 * _u(rng, 1.3, 2.2)) + _u(rng, 2.0, 6.0)
    junction(spec, rng, 0.0, "red")
    shift = ego_t0(spec) + EGO_FRONT + distance - spec.stop_s
    spec.stop_s, spec.cross_s = spec.stop_s + shift, spec.cross_s + shift
    spec.crosswalks = [c + shift for c in spec.crosswalks]
    cross_flow(spec, rng, int(rng.integers(0, 2)))
    dress(spec, rng, 9, neighbours=chance(rng, 0.3), junction=False)
    return spec


def stop_sign(rng: Generator) -> SceneSpec:
    """A stop sign at a junction."""
    spec = red_light(rng)
    spec.situation, spec.control = "stop_sign", "stop"
    spec.agents = [agent for agent in spec.agents if agent.course != ACROSS and not agent.follows]
    rename(spec)
    return spec


def pedestrian(rng: Generator) -> SceneSpec:
    """Somebody on a crosswalk, or about to reach the lane."""
    spec = road(rng, "pedestrian", _u(rng, 6.0, 10.5))
    spec.crosswalks = [ego_t0(spec) + EGO_FRONT + spec.v0 * _u(rng, 1.4, 2.4) + 4.0]
    sign = side(rng)
    edge = spec.right_edge if sign > 0 else min(spec.left_edge, 4.5)
    inward = _u(rng, 0.1, 1.0)
    d = edge + inward if sign > 0 else edge - inward
    s = spec.crosswalks[0] + _u(rng, -0.8, 0.8)
    add(spec, rng, "pedestrian", s, d, _u(rng, 0.9, 1.4), course=ACROSS, sign=sign)
    dress(spec, rng, 9, neighbours=False, junction=False)
    return spec


def cross_traffic(rng: Generator) -> SceneSpec:
    """A vehicle crossing at a junction without lights."""
    spec = road(rng, "cross_traffic", _u(rng, 6.0, 10.5), bends=[])
    distance = spec.v0 * _u(rng, 1.6, 2.6) + 5.0
    junction(spec, rng, 0.0, "none")
    shift = ego_t0(spec) + EGO_FRONT + distance - spec.stop_s
    spec.stop_s, spec.cross_s = spec.stop_s + shift, spec.cross_s + shift
    spec.crosswalks = [c + shift for c in spec.crosswalks]
    away = side(rng)
    v = _u(rng, 5.0, 9.0)
    lane = spec.cross_s + away * 0.5 * spec.cross_half
    arrives = _u(rng, 1.6, 3.3)
    add(spec, rng, vehicle_kind(rng), lane, away * (3.0 + v * arrives), v, course=ACROSS, sign=-away)
    if chance(rng, 0.4):  # one that has passed already
        other = spec.cross_s - away * 0.5 * spec.cross_half
        add(spec, rng, vehicle_kind(rng), other, away * _u(rng, 7.0, 14.0), v, course=ACROSS, sign=away)
    dress(spec, rng, 9, neighbours=False, junction=False)
    return spec


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


def abort(rng: Generator) -> SceneSpec:
    """A lane change under way into a lane where a vehicle brakes or pushes in."""
    spec = road(rng, "abort", _u(rng, 8.0, 12.0))
    s = side(rng)
    spec.started, spec.t_started, spec.onset = s, _u(rng, -1.3, -0.9), _u(rng, 0.1, 0.35)
    spec.lanes_left, spec.lanes_right = (2, 0) if s > 0 else (0, 1)
    spec.left_line = "dashed" if s > 0 else "solid"
    spec.right_line = "dashed"
    spec.shoulder = spec.shoulder if s > 0 else 0.0
    lead_gap = spec.v0 * _u(rng, 1.5, 2.2)
    add(spec, rng, vehicle_kind(rng), ego_t0(spec) + EGO_FRONT + lead_gap, 0.0, spec.v0 * _u(rng, 0.7, 0.85))
    if s > 0 and chance(rng, 0.5):
        add(
            spec,
            rng,
            vehicle_kind(rng),
            ego_t0(spec) + EGO_FRONT + _u(rng, 3.5, 7.0),
            2.0 * spec.width,
            spec.v0 * _u(rng, 0.9, 1.0),
            t_shift=_u(rng, -0.9, -0.4),
            shift=-spec.width,
            shift_s=_u(rng, 2.2, 3.0),
        )
    else:
        add(
            spec,
            rng,
            vehicle_kind(rng),
            ego_t0(spec) + EGO_FRONT + _u(rng, 6.0, 11.0),
            s * spec.width,
            spec.v0 * _u(rng, 0.95, 1.05),
            t_event=_u(rng, -0.8, -0.4),
            v_event=0.4 * spec.v0,
            a_event=_u(rng, 3.0, 4.0),
        )
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


def pull_over(rng: Generator) -> SceneSpec:
    """A narrow road and an oncoming vehicle that needs most of it."""
    spec = road(rng, "pull_over", _u(rng, 5.5, 8.5), lanes_left=0, lanes_right=0, oncoming=0, edge="solid")
    spec.width, spec.shoulder = _u(rng, 4.4, 5.2), _u(rng, 2.0, 2.6)
    v = _u(rng, 4.0, 7.0)
    distance = (spec.v0 + v) * _u(rng, 2.8, 4.2) + 8.0
    agent = AgentSpec("agent-0", "car", size_of(rng, "car"), 0.0, _u(rng, 0.3, 0.9), v, course=AGAINST)
    agent.s = ego_t0(spec) + EGO_FRONT + distance + 1.5 * v
    spec.agents.append(agent)
    dress(spec, rng, 6, neighbours=False, junction=False)
    spec.agents = [a for a in spec.agents if not (a.v == 0.0 and a.kind in ("car", "truck"))]
    rename(spec)
    return spec


SITUATIONS: dict[str, Sampler] = {
    sampler.__name__: sampler
    for sampler in (
        cruise,
        curve,
        speed_limit,
        follow,
        follow_blocked,
        lead_brakes,
        cut_in,
        red_light,
        stop_sign,
        pedestrian,
        cross_traffic,
        nudge_parked,
        nudge_out,
        nudge_oncoming,
        cones,
        cyclist,
        lane_change,
        abort,
        lane_end,
        lane_end_blocked,
        turn,
        pull_over,
    )
}


def situations() -> dict[str, str]:
    """Name and description of every situation."""
    return {name: (sampler.__doc__ or "").strip() for name, sampler in SITUATIONS.items()}
