"""Driving decisions and their causes in one sentence of plain English.

Role: the tables below are the whole language of the world's labels; parsers and rubrics may import them.
Invariants: a sentence is `<manoeuvre> <connector> <causes>`; the manoeuvre names every axis whose decision
is not the default (both defaults are named when neither binds), so an axis that goes unmentioned is at its
default; the side of an abort is the side it steers back to; no manoeuvre phrase occurs under two decisions;
the future is never cited.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scenes.decisions import Direction, FactorKind, Lateral, Longitudinal

DEFAULT_LONGITUDINAL = Longitudinal.SET_SPEED_TRACKING
DEFAULT_LATERAL = Lateral.LANE_KEEPING
MOST_WORDS = 18
DRAWS = 12

LONGITUDINAL_PHRASES: dict[Longitudinal, tuple[str, ...]] = {
    Longitudinal.SET_SPEED_TRACKING: (
        "hold the set speed",
        "keep the current speed",
        "maintain speed",
        "cruise at the set speed",
    ),
    Longitudinal.LEAD_FOLLOWING: (
        "slow down and keep distance to the lead vehicle",
        "follow the vehicle ahead at a safe gap",
        "brake to keep a safe distance to the vehicle ahead",
        "follow the lead vehicle",
        "match the speed of the lead vehicle",
    ),
    Longitudinal.SPEED_ADAPTATION: (
        "slow down to a suitable speed",
        "reduce speed smoothly",
        "adapt speed to the road",
        "ease off to a lower speed",
    ),
    Longitudinal.GAP_SEARCHING: (
        "slow down to find a gap",
        "search a gap in the next lane",
        "drop back and look to fit into a gap",
        "adjust speed to open a gap",
    ),
    Longitudinal.PASSING_ACCELERATION: (
        "accelerate to pass",
        "speed up to overtake",
        "gain speed to get past",
    ),
    Longitudinal.YIELD: (
        "yield and let them go first",
        "slow down to yield",
        "brake and give way",
        "give way with gentle braking",
    ),
    Longitudinal.STOP_STATIC: (
        "stop at the line",
        "come to a stop",
        "brake to a full stop",
        "slow to a standstill",
    ),
}

LATERAL_PHRASES: dict[Lateral, tuple[str, ...]] = {
    Lateral.LANE_KEEPING: (
        "keep lane",
        "stay in the lane",
        "remain centered in the lane",
    ),
    Lateral.MERGE_SPLIT: (
        "merge {direction}",
        "merge into the {direction} lane",
        "join the lane on the {direction} by merging",
    ),
    Lateral.OUT_OF_LANE_NUDGE: (
        "nudge {direction} over the lane line",
        "swing out of the lane to the {direction}",
        "move {direction} across the line to get around",
    ),
    Lateral.IN_LANE_NUDGE: (
        "nudge {direction} within the lane",
        "shift slightly {direction} inside the lane",
        "give room by moving a little {direction} in the lane",
    ),
    Lateral.LANE_CHANGE: (
        "change to the {direction} lane",
        "change lanes to the {direction}",
        "make a lane change to the {direction}",
    ),
    Lateral.PULL_OVER: (
        "pull over to the {direction}",
        "pull aside to the {direction} edge",
        "move over to the {direction} side of the road",
    ),
    Lateral.TURN: (
        "turn {direction}",
        "turn {direction} at the junction",
        "make the {direction} turn",
    ),
    Lateral.ABORT: (
        "abort the lane change and steer back {direction}",
        "abort the change and return {direction}",
        "cancel the lane change and return {direction}",
        "give up the lane change and go back {direction}",
    ),
}

CLAUSE_CONNECTORS = ("because", "since", "as")
NOUN_CONNECTOR = "due to"
CONNECTORS = (*CLAUSE_CONNECTORS, NOUN_CONNECTOR)

FACTOR_CLAUSES: dict[FactorKind, tuple[str, ...]] = {
    FactorKind.LEAD_VEHICLE: (
        "the lead vehicle is slower",
        "the car in front is slow",
        "the vehicle ahead is closing in",
    ),
    FactorKind.CUT_IN_VEHICLE: (
        "a vehicle cuts in ahead",
        "a car is cutting into the lane",
        "the neighbouring vehicle drifts into the lane",
    ),
    FactorKind.CROSS_TRAFFIC: (
        "cross traffic is entering the junction",
        "a car crosses ahead",
        "a crossing vehicle has the right of way",
    ),
    FactorKind.ONCOMING_VEHICLE: (
        "an oncoming vehicle is near",
        "a car is coming the other way",
        "oncoming traffic needs the space",
    ),
    FactorKind.ADJACENT_VEHICLE: (
        "a vehicle blocks the next lane",
        "the car alongside leaves no gap",
        "the adjacent lane is occupied",
    ),
    FactorKind.PARKED_VEHICLE: (
        "a parked vehicle blocks part of the lane",
        "a parked car sticks into the lane",
        "a vehicle is parked at the side",
    ),
    FactorKind.PEDESTRIAN: (
        "a pedestrian is crossing",
        "a person walks across the road",
        "a pedestrian is on the crosswalk",
    ),
    FactorKind.CYCLIST: (
        "a cyclist rides at the side",
        "a slow cyclist is ahead",
        "there is a bicycle ahead",
    ),
    FactorKind.CONES: (
        "cones narrow the lane",
        "traffic cones stand in the lane",
        "there are cones ahead",
    ),
    FactorKind.RED_LIGHT: (
        "the light is red",
        "the traffic light ahead shows red",
        "there is a red light",
    ),
    FactorKind.GREEN_LIGHT: (
        "the light is green",
        "the traffic light ahead shows green",
        "there is a green light",
    ),
    FactorKind.STOP_SIGN: (
        "there is a stop sign",
        "a stop sign stands ahead",
        "the stop sign applies here",
    ),
    FactorKind.CURVE: (
        "the road curves ahead",
        "a sharp curve is ahead",
        "the road bends ahead",
    ),
    FactorKind.LANE_END: (
        "the lane ends ahead",
        "this lane is ending",
        "the lane runs out ahead",
    ),
    FactorKind.ROUTE_TURN: (
        "the route bends {direction} at the junction",
        "the lane only leads {direction}",
        "this road only goes {direction}",
    ),
    FactorKind.SPEED_LIMIT: (
        "the speed limit drops",
        "a lower speed limit applies",
        "there is a new speed limit sign",
    ),
}

FACTOR_NOUNS: dict[FactorKind, tuple[str, ...]] = {
    FactorKind.LEAD_VEHICLE: ("the slower lead vehicle", "the slow car in front"),
    FactorKind.CUT_IN_VEHICLE: ("the vehicle cutting in", "the car that cuts in ahead"),
    FactorKind.CROSS_TRAFFIC: ("the crossing traffic", "the car that crosses ahead"),
    FactorKind.ONCOMING_VEHICLE: ("the oncoming vehicle", "the car coming the other way"),
    FactorKind.ADJACENT_VEHICLE: ("the vehicle alongside", "the car in the next lane"),
    FactorKind.PARKED_VEHICLE: ("the parked vehicle ahead", "the car parked at the side"),
    FactorKind.PEDESTRIAN: ("the crossing pedestrian", "the person on the road"),
    FactorKind.CYCLIST: ("the cyclist ahead", "the slow bicycle"),
    FactorKind.CONES: ("the cones ahead", "the traffic cones in the lane"),
    FactorKind.RED_LIGHT: ("the red light", "the red traffic light ahead"),
    FactorKind.GREEN_LIGHT: ("the green light", "the green traffic light ahead"),
    FactorKind.STOP_SIGN: ("the stop sign", "the stop sign ahead"),
    FactorKind.CURVE: ("the curve ahead", "the sharp bend ahead"),
    FactorKind.LANE_END: ("the lane end ahead", "the ending lane"),
    FactorKind.ROUTE_TURN: ("the route to the {direction}", "the {direction} turn of the route"),
    FactorKind.SPEED_LIMIT: ("the lower speed limit", "the new speed limit sign"),
}

CLEAR_CLAUSES = ("the road is clear", "nothing blocks the way", "the lane ahead is free")
CLEAR_NOUNS = ("the clear road ahead", "the free lane ahead")


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def _draw(
    longitudinal: Longitudinal, lateral: Lateral, factors: Sequence[FactorKind], rng: np.random.Generator
) -> str:
    """One wording, with {direction} left open."""
    parts = []
    both_default = longitudinal is DEFAULT_LONGITUDINAL and lateral is DEFAULT_LATERAL
    if lateral is not DEFAULT_LATERAL or both_default:
        parts.append(_pick(LATERAL_PHRASES[lateral], rng))
    if longitudinal is not DEFAULT_LONGITUDINAL or both_default:
        parts.append(_pick(LONGITUDINAL_PHRASES[longitudinal], rng))
    as_nouns = rng.random() < 0.3
    table = FACTOR_NOUNS if as_nouns else FACTOR_CLAUSES
    causes = [_pick(table[kind], rng) for kind in factors]
    if not causes:
        causes = [_pick(CLEAR_NOUNS if as_nouns else CLEAR_CLAUSES, rng)]
    connector = NOUN_CONNECTOR if as_nouns else _pick(CLAUSE_CONNECTORS, rng)
    return f"{' and '.join(parts)} {connector} {' and '.join(causes)}."


def sentence(
    longitudinal: Longitudinal | None,
    lateral: Lateral | None,
    direction: Direction | None,
    factors: Sequence[FactorKind],
    rng: np.random.Generator,
) -> str:
    """One sentence for a decision and at most two causes, worded by `rng`; at most MOST_WORDS words unless
    both axes and two factors make that impossible in DRAWS draws (then the shortest drawn).

    None stands for the default of an axis. Raises ValueError when a decision or factor needs a direction
    and there is none, or when more than two factors are given.
    """
    longitudinal, lateral = longitudinal or DEFAULT_LONGITUDINAL, lateral or DEFAULT_LATERAL
    if len(factors) > 2:
        raise ValueError(f"a sentence names at most two factors, not {len(factors)}; keep the strongest")
    text = _draw(longitudinal, lateral, factors, rng)
    for _ in range(DRAWS - 1):
        if len(text.split()) <= MOST_WORDS:
            break
        text = min(text, _draw(longitudinal, lateral, factors, rng), key=lambda t: len(t.split()))
    if "{direction}" in text:
        if direction is None:
            raise ValueError(f"{lateral} or {[str(f) for f in factors]} needs a direction: left or right")
        text = text.replace("{direction}", direction.value)
    return text[0].upper() + text[1:]


def vocabulary() -> tuple[str, ...]:
    """Every distinct word that a sentence can hold, lower case, sorted."""
    tables: list[str] = [*CLEAR_CLAUSES, *CLEAR_NOUNS, *CONNECTORS, "and", "left", "right"]
    for table in (LONGITUDINAL_PHRASES, LATERAL_PHRASES, FACTOR_CLAUSES, FACTOR_NOUNS):
        for phrases in table.values():
            tables.extend(phrases)
    words = {word for phrase in tables for word in phrase.replace("{direction}", "left").split()}
    return tuple(sorted(words))
