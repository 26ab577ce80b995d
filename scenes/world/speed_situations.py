"""Situations that ask something of the expert's speed.

Role: each function draws one scene; see scenes.world.situations.
"""

from __future__ import annotations

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
    vehicle_kind,
)
from scenes.world.spec import ACROSS, EGO_FRONT, SceneSpec


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


def _junction_ahead(spec: SceneSpec, rng: Generator, distance: float, control: str) -> None:
    """A junction whose stop line is `distance` m ahead of the ego's bumper at t0."""
    junction(spec, rng, 0.0, control)
    shift = ego_t0(spec) + EGO_FRONT + distance - spec.stop_s
    spec.stop_s, spec.cross_s = spec.stop_s + shift, spec.cross_s + shift
    spec.crosswalks = [crosswalk + shift for crosswalk in spec.crosswalks]


def red_light(rng: Generator) -> SceneSpec:
    """A red light ahead, sometimes with cross traffic flowing."""
    spec = road(rng, "red_light", _u(rng, 6.5, 12.0), bends=[])
    _junction_ahead(spec, rng, spec.v0**2 / (2.0 * _u(rng, 1.3, 2.2)) + _u(rng, 2.0, 6.0), "red")
    cross_flow(spec, rng, int(rng.integers(0, 2)))
    dress(spec, rng, 9, neighbours=chance(rng, 0.3), junction=False)
    return spec


def queue(rng: Generator) -> SceneSpec:
    """A red light with a vehicle already waiting or stopping at its line."""
    spec = road(rng, "queue", _u(rng, 6.5, 11.0), bends=[])
    gap = spec.v0**2 / (2.0 * _u(rng, 1.3, 2.0)) + _u(rng, 3.0, 6.0)
    kind = vehicle_kind(rng)
    lead = add(spec, rng, kind, ego_t0(spec) + EGO_FRONT + gap, 0.0, follows=True)
    lead.s += lead.size[0] / 2
    _junction_ahead(spec, rng, gap + lead.size[0] + _u(rng, 1.0, 2.5), "red")
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
    _junction_ahead(spec, rng, distance, "none")
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
