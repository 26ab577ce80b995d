"""Sizes, roads and distractors that situations share.

Role: draws what surrounds the deciding factor, so that no object, marking or colour alone gives the decision
away. Invariant: a distractor stays out of the expert's way by construction; the causality check confirms it.
"""

from __future__ import annotations

import math

from numpy.random import Generator

from scenes.world.spec import ACROSS, AGAINST, ALONG, AgentSpec, SceneSpec

T0_S = 1.5
"""Seconds of history before t0."""


def chance(rng: Generator, share: float) -> bool:
    """True with probability `share`."""
    return bool(rng.random() < share)


def side(rng: Generator) -> int:
    """+1 or -1."""
    return 1 if chance(rng, 0.5) else -1


def size_of(rng: Generator, kind: str) -> tuple[float, float, float]:
    """Length, width, height m drawn for a class."""
    low, high = {
        "car": ((3.8, 1.7, 1.4), (5.0, 1.95, 1.9)),
        "truck": ((6.5, 2.2, 2.6), (9.0, 2.45, 3.4)),
        "pedestrian": ((0.5, 0.5, 1.5), (0.7, 0.7, 1.9)),
        "cyclist": ((1.7, 0.6, 1.6), (1.9, 0.7, 1.85)),
        "cone": ((0.4, 0.4, 0.7), (0.45, 0.45, 0.9)),
    }[kind]
    length, width, height = rng.uniform(low, high)
    return float(length), float(width), float(height)


def vehicle_kind(rng: Generator, trucks: float = 0.2) -> str:
    """ "car" or "truck"."""
    return "truck" if chance(rng, trucks) else "car"


def add(
    spec: SceneSpec, rng: Generator, kind: str, s: float, d: float, v: float = 0.0, **more: object
) -> AgentSpec:
    """Append an agent with a drawn size. s is where it is at t0 if it keeps its speed (ACROSS: so is d)."""
    agent = AgentSpec(f"agent-{len(spec.agents)}", kind, size_of(rng, kind), s, d, v, **more)  # type: ignore[arg-type]
    if agent.course == ACROSS:
        agent.d -= agent.sign * v * T0_S
    else:
        agent.s -= agent.course * v * T0_S
    spec.agents.append(agent)
    return agent


def rename(spec: SceneSpec) -> None:
    """Number the agents again after some were taken away."""
    for i, agent in enumerate(spec.agents):
        agent.name = f"agent-{i}"


def ego_t0(spec: SceneSpec) -> float:
    """Where the ego's rear axle is at t0 if it keeps v0, m along the route."""
    return spec.v0 * T0_S


def road(rng: Generator, situation: str, v0: float, **fixed: object) -> SceneSpec:
    """A road with drawn lanes, lines and edges; keyword arguments fix fields of the spec."""
    spec = SceneSpec(situation, v0, v0 * rng.uniform(1.0, 1.02), float(rng.uniform(3.3, 3.7)))
    spec.lanes_left = int(rng.choice([0, 0, 1, 2]))
    spec.lanes_right = int(rng.choice([0, 0, 0, 1]))
    spec.oncoming = int(rng.choice([1, 1, 2])) if spec.lanes_left < 2 else int(rng.choice([0, 1]))
    spec.left_line = "dashed" if chance(rng, 0.6) else "solid"
    spec.right_line = "dashed" if chance(rng, 0.7) else "solid"
    spec.edge = "kerb" if chance(rng, 0.6) else "solid"
    spec.shoulder = float(rng.uniform(2.0, 2.6)) if spec.lanes_right == 0 and chance(rng, 0.5) else 0.0
    spec.onset = float(rng.uniform(0.1, 0.5))
    for name, value in fixed.items():
        setattr(spec, name, value)
    if chance(rng, 0.35) and not spec.bends and "bends" not in fixed:
        kappa = side(rng) * rng.uniform(0.2, 0.75) * 2.0 / v0**2
        spec.bends.append(
            (float(rng.uniform(-30.0, 60.0)), float(rng.uniform(60.0, 120.0)), float(min(kappa, 0.02)))
        )
    return spec


def _spaced(rng: Generator, first: float, last: float, least: float, count: int) -> list[float]:
    """Up to `count` positions at least `least` apart."""
    places: list[float] = []
    for s in rng.uniform(first, last, size=3 * count):
        if len(places) < count and all(abs(s - other) >= least for other in places):
            places.append(float(s))
    return places


def dress(
    spec: SceneSpec,
    rng: Generator,
    most: int,
    neighbours: bool = True,
    junction: bool = True,
    oncoming: bool = True,
    parked: bool = True,
) -> None:
    """Add distractors until about `most` agents: oncoming and neighbouring traffic, parked cars off the path,
    people on the pavement; sometimes a crosswalk or a junction with a green light and waiting cross traffic."""
    start = ego_t0(spec)
    free_stretch = math.isinf(spec.stop_s) and math.isinf(spec.cross_s) and not spec.bends
    if junction and free_stretch and chance(rng, 0.4):
        _quiet_junction(spec, rng, start + float(rng.uniform(25.0, 70.0)))
    if not spec.crosswalks and chance(rng, 0.3):
        spec.crosswalks.append(start + (float(rng.uniform(14.0, 60.0)) if not spec.turn else 6.5))
    if oncoming and spec.oncoming > 0 and chance(rng, 0.6):
        _oncoming(spec, rng, most)
    if neighbours:
        _neighbours(spec, rng, most)
    if parked:
        _parked_off_path(spec, rng, most)
        _off_path_cones(spec, rng, most)
    _other_signs(spec, rng)
    for _ in range(int(rng.integers(0, 4))):
        if len(spec.agents) < most:
            _bystander(spec, rng)


def _oncoming(spec: SceneSpec, rng: Generator, most: int) -> None:
    """Oncoming traffic; where it must not drive on (a junction that is not green, somebody on a crosswalk) it
    waits behind the obstruction or has passed it."""
    start, lane = ego_t0(spec), spec.width * (spec.lanes_left + 1)
    speed = float(rng.uniform(5.0, 12.0)) if not spec.turn else float(rng.uniform(3.0, 5.0))
    walked = [a.s for a in spec.agents if a.kind == "pedestrian" and a.course == ACROSS]
    shut = (
        spec.cross_s
        if math.isfinite(spec.cross_s) and spec.control != "green"
        else min(walked, default=math.inf)
    )
    half = spec.cross_half if math.isfinite(spec.cross_s) else 0.0
    waits = shut + half + 4.0
    for s in _spaced(rng, start + 15.0, start + 120.0, 18.0, int(rng.integers(1, 4))):
        if len(spec.agents) >= most:
            return
        kind = vehicle_kind(rng)
        if s < shut - half - 8.0:
            add(spec, rng, kind, s, lane, speed, course=AGAINST)
        elif math.isfinite(shut):
            agent = add(spec, rng, kind, 0.0, lane, course=AGAINST)
            agent.s = waits + agent.size[0] / 2
            waits += agent.size[0] + 2.5
        else:
            add(spec, rng, kind, s, lane, speed, course=AGAINST)


def _neighbours(spec: SceneSpec, rng: Generator, most: int) -> None:
    start = ego_t0(spec)
    lanes = [spec.width * i for i in range(1, spec.lanes_left + 1)]
    lanes += [-spec.width * i for i in range(1, spec.lanes_right + 1)]
    for lane in lanes:
        speed = spec.v0 * float(rng.uniform(0.85, 1.15))
        for s in _spaced(rng, start + 3.0, start + 70.0, 16.0, int(rng.integers(0, 3))):
            if len(spec.agents) < most:
                add(spec, rng, vehicle_kind(rng), s, lane, speed, follows=True, v_event=speed)


def _clear_of_junction(spec: SceneSpec, s: float, margin: float) -> bool:
    marks = [m for m in (spec.stop_s, spec.cross_s) if math.isfinite(m)] + spec.crosswalks
    return all(abs(s - mark) > margin + spec.cross_half for mark in marks)


def _parked_off_path(spec: SceneSpec, rng: Generator, most: int) -> None:
    if spec.shoulder <= 0.0 or not chance(rng, 0.6):
        return
    taken = [agent.s for agent in spec.agents if agent.v == 0.0]
    for s in _spaced(rng, 4.0, ego_t0(spec) + 70.0, 9.5, int(rng.integers(1, 5))):
        if (
            len(spec.agents) < most
            and _clear_of_junction(spec, s, 6.0)
            and all(abs(s - t) > 10.0 for t in taken)
        ):
            agent = add(spec, rng, vehicle_kind(rng, 0.1), s, 0.0)
            agent.d = spec.right_edge - agent.size[1] / 2 - float(rng.uniform(0.15, 0.4)) - 0.25


def _off_path_cones(spec: SceneSpec, rng: Generator, most: int) -> None:
    """A few cones along the right edge that leave the lane free, and now and then a cyclist out of the way."""
    if spec.lanes_right == 0 and spec.shoulder == 0.0 and math.isinf(spec.lane_end_s) and chance(rng, 0.2):
        first = ego_t0(spec) + float(rng.uniform(10.0, 40.0))
        for i in range(int(rng.integers(2, 5))):
            s = first + 4.0 * i
            if len(spec.agents) < most and _clear_of_junction(spec, s, 2.0):
                add(spec, rng, "cone", s, spec.right_edge - float(rng.uniform(0.0, 0.3)))
    if len(spec.agents) < most and math.isinf(spec.cross_s) and not spec.crosswalks and chance(rng, 0.15):
        off = spec.left_edge + float(rng.uniform(0.6, 1.2))
        s = ego_t0(spec) + float(rng.uniform(15.0, 60.0))
        add(spec, rng, "cyclist", s, off, float(rng.uniform(2.5, 5.0)), course=AGAINST)


def _other_signs(spec: SceneSpec, rng: Generator) -> None:
    """A sign that addresses oncoming traffic."""
    if chance(rng, 0.15):
        s = ego_t0(spec) + float(rng.uniform(8.0, 50.0))
        if _clear_of_junction(spec, s, 1.0):
            spec.other_signs.append(("speed_limit", s, spec.left_edge + 0.9, math.pi))


def _bystander(spec: SceneSpec, rng: Generator) -> None:
    s = ego_t0(spec) + float(rng.uniform(6.0, 50.0))
    if chance(rng, 0.4) and spec.crosswalks:
        s = spec.crosswalks[0] + float(rng.uniform(-1.0, 1.0))
    if abs(s - spec.cross_s) < spec.cross_half + 1.0:
        return
    right = chance(rng, 0.6)
    off = float(rng.uniform(1.0, 3.0))
    d = spec.right_edge - spec.shoulder - off if right else spec.left_edge + off
    walks = 1.2 if chance(rng, 0.5) and not right and math.isinf(spec.cross_s) else 0.0
    add(spec, rng, "pedestrian", s, d, walks, course=AGAINST if walks else ALONG)


def _cross_stop_signs(spec: SceneSpec) -> None:
    """Stop signs that address the crossing road: the expert has priority."""
    for away in (-1, 1):
        edge = spec.left_edge if away > 0 else spec.right_edge - spec.shoulder
        s = spec.cross_s + away * (spec.cross_half + 0.9)
        spec.other_signs.append(("stop", s, edge + away * 2.0, -away * 0.5 * math.pi))


def _quiet_junction(spec: SceneSpec, rng: Generator, at: float) -> None:
    """A junction that asks nothing of the expert: a green light, or priority with nobody about to cross."""
    green = chance(rng, 0.6)
    junction(spec, rng, at, "green" if green else "none")
    if not green and chance(rng, 0.6):
        _cross_stop_signs(spec)
    for away in (-1, 1):
        if chance(rng, 0.5):
            edge = spec.left_edge if away > 0 else -spec.right_edge + spec.shoulder
            d = away * (edge + float(rng.uniform(4.5, 8.0)))
            lane = at + away * 0.5 * spec.cross_half
            if green or chance(rng, 0.5):
                add(spec, rng, vehicle_kind(rng), lane, d, course=ACROSS, sign=-away)
            else:  # has crossed and drives away
                lane, speed = at - away * 0.5 * spec.cross_half, float(rng.uniform(5.0, 9.0))
                add(spec, rng, vehicle_kind(rng), lane, d + away * 3.0, speed, course=ACROSS, sign=away)


def junction(spec: SceneSpec, rng: Generator, at: float, control: str) -> None:
    """Put a crossing road at s = `at`, with a stop line, a crosswalk and a control before it."""
    spec.cross_half = float(rng.uniform(3.5, 7.0))
    spec.cross_s, spec.control = at, control
    walk = chance(rng, 0.6)
    spec.stop_s = at - spec.cross_half - (5.5 if walk else 1.5)
    if walk:
        spec.crosswalks.append(at - spec.cross_half - 3.0)
    spec.signal_far = chance(rng, 0.5)


def cross_flow(spec: SceneSpec, rng: Generator, count: int) -> None:
    """Cross traffic that has right of way while the expert is held at a red light."""
    for away in (-1, 1):
        speed, lane = float(rng.uniform(5.0, 9.0)), spec.cross_s + away * 0.5 * spec.cross_half
        for d in _spaced(rng, -14.0, 32.0, 14.0, count):
            add(spec, rng, vehicle_kind(rng), lane, away * d, speed, course=ACROSS, sign=-away)
