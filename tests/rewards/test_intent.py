"""The intent parser: every phrasing of the world, plain English beyond it, denials, contradictions, nonsense."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.decision_phrases import Speed
from rewards.factors import parse_factors
from rewards.intent import DIRECTIONAL, Intent, parse_intent
from rewards.sentences import split
from scenes.decisions import Direction, FactorKind, Lateral, Longitudinal
from scenes.world.phrasing import (
    CLEAR_CLAUSES,
    CLEAR_NOUNS,
    CONNECTORS,
    DEFAULT_LATERAL,
    DEFAULT_LONGITUDINAL,
    FACTOR_CLAUSES,
    FACTOR_NOUNS,
    LATERAL_PHRASES,
    LONGITUDINAL_PHRASES,
)

LON, LAT = Longitudinal, Lateral
CAUSES = [
    phrase.replace("{direction}", side)
    for table in (FACTOR_CLAUSES, FACTOR_NOUNS)
    for phrases in table.values()
    for phrase in phrases
    for side in Direction
]


def manoeuvres(longitudinal: Longitudinal, lateral: Lateral, side: Direction):
    """Every wording of two decisions, as the world words them: defaults go unmentioned beside others."""
    paths = [phrase.replace("{direction}", side) for phrase in LATERAL_PHRASES[lateral]]
    speeds = LONGITUDINAL_PHRASES[longitudinal]
    if lateral is DEFAULT_LATERAL and longitudinal is not DEFAULT_LONGITUDINAL:
        yield from speeds
    elif longitudinal is DEFAULT_LONGITUDINAL and lateral is not DEFAULT_LATERAL:
        yield from paths
    else:
        yield from (f"{path} and {speed}" for path, speed in product(paths, speeds))


def test_every_phrasing_of_every_decision_is_parsed_with_precision_and_recall_1():
    right, said, meant = Counter(), Counter(), Counter()
    causes = CAUSES + list(CLEAR_CLAUSES) + list(CLEAR_NOUNS)
    number = 0
    for longitudinal, lateral, side in product(LON, LAT, Direction):
        for text in manoeuvres(longitudinal, lateral, side):
            connector, cause = CONNECTORS[number % len(CONNECTORS)], causes[number % len(causes)]
            number += 1
            intent = parse_intent(f"{text} {connector} {cause}.".capitalize())
            wanted = (longitudinal, lateral, side if lateral in DIRECTIONAL else None)
            found = (intent.longitudinal, intent.lateral, intent.direction)
            meant.update(wanted)
            said.update(found)
            right.update(a for a, b in zip(wanted, found, strict=True) if a == b)
    precision = {decision: right[decision] / said[decision] for decision in said}
    recall = {decision: right[decision] / meant[decision] for decision in meant}
    assert set(meant) == {*LON, *LAT, *Direction, None}
    assert {d: p for d, p in precision.items() if p < 1.0} == {}
    assert {d: r for d, r in recall.items() if r < 1.0} == {}


def test_every_phrasing_of_every_factor_is_parsed_behind_every_manoeuvre():
    phrases = [p for table in (LONGITUDINAL_PHRASES, LATERAL_PHRASES) for ps in table.values() for p in ps]
    wrong = []
    for number, (table, side) in enumerate(product((FACTOR_CLAUSES, FACTOR_NOUNS), Direction)):
        for kind, wordings in table.items():
            for wording in wordings:
                for manoeuvre in phrases:
                    connector = CONNECTORS[number % len(CONNECTORS)]
                    text = f"{manoeuvre} {connector} {wording}.".replace("{direction}", side)
                    if parse_factors(text) != {kind}:
                        wrong.append((text, parse_factors(text)))
    assert wrong == []


def test_two_factors_are_both_found():
    all_phrases = [(kind, p) for kind, ps in FACTOR_CLAUSES.items() for p in ps]
    wrong = [
        (a, b)
        for (kind_a, a), (kind_b, b) in product(all_phrases, all_phrases)
        if parse_factors(f"slow down because {a} and {b}".replace("{direction}", "left")) != {kind_a, kind_b}
    ]
    assert wrong == []


def test_a_clear_road_is_no_factor():
    for phrase in CLEAR_CLAUSES + CLEAR_NOUNS:
        assert parse_factors(f"Follow the vehicle ahead at a safe gap since {phrase}.") == frozenset()


@pytest.mark.parametrize(
    ("text", "longitudinal", "lateral", "direction"),
    [
        ("Slow down and keep distance to the lead vehicle ahead", LON.LEAD_FOLLOWING, LAT.LANE_KEEPING, None),
        ("Stop before the crosswalk for the pedestrian crossing", LON.STOP_STATIC, LAT.LANE_KEEPING, None),
        ("Stop for the pedestrian", LON.YIELD, LAT.LANE_KEEPING, None),
        ("Yield to the car crossing from the left", LON.YIELD, LAT.LANE_KEEPING, None),
        ("Nudge left around the parked vehicle", LON.SET_SPEED_TRACKING, LAT.IN_LANE_NUDGE, Direction.LEFT),
        (
            "Change to the left lane to pass the slow vehicle",
            LON.PASSING_ACCELERATION,
            LAT.LANE_CHANGE,
            Direction.LEFT,
        ),
        ("Turn right at the junction", LON.SET_SPEED_TRACKING, LAT.TURN, Direction.RIGHT),
        ("Because the light is red, stop at the line.", LON.STOP_STATIC, LAT.LANE_KEEPING, None),
        (
            "The lead vehicle brakes, so slow down and keep a safe distance.",
            LON.LEAD_FOLLOWING,
            LAT.LANE_KEEPING,
            None,
        ),
        (
            "Don't change lanes; keep the lane and hold the set speed.",
            LON.SET_SPEED_TRACKING,
            LAT.LANE_KEEPING,
            None,
        ),
        ("Do not stop, maintain speed.", LON.SET_SPEED_TRACKING, LAT.LANE_KEEPING, None),
        (
            "Continue straight without braking at the current speed, cruising.",
            LON.SET_SPEED_TRACKING,
            LAT.LANE_KEEPING,
            None,
        ),
        ("Rather than stopping, ease off to a lower speed.", LON.SPEED_ADAPTATION, LAT.LANE_KEEPING, None),
        ("With no cars ahead keep the current speed.", LON.SET_SPEED_TRACKING, LAT.LANE_KEEPING, None),
        (
            "TURN LEFT AND SLOW DOWN since the road bends ahead",
            LON.SPEED_ADAPTATION,
            LAT.TURN,
            Direction.LEFT,
        ),
        ("Follow the curve and reduce speed smoothly.", LON.SPEED_ADAPTATION, LAT.LANE_KEEPING, None),
    ],
)
def test_plain_english(text, longitudinal, lateral, direction):
    intent = parse_intent(text)
    assert (intent.longitudinal, intent.lateral, intent.direction) == (longitudinal, lateral, direction)


@pytest.mark.parametrize(
    "text",
    [
        "Hold the set speed and stop at the line because the light is red.",
        "Keep lane and change to the left lane.",
        "Accelerate to pass and yield.",
        "Change lanes to the left, change lanes to the right.",
        "Slow down and maintain speed.",
    ],
)
def test_naming_two_decisions_is_a_contradiction(text):
    intent = parse_intent(text)
    assert not intent.parsed
    assert intent.conflicts


@pytest.mark.parametrize(
    "text", ["", "   ", "red light ahead", "the the the", "because the light is red.", "🚗🚗"]
)
def test_a_text_without_a_decision_is_not_parsed(text):
    assert parse_intent(text) == Intent(None, None, None, None, (), ())


def test_a_cause_is_never_taken_for_a_decision():
    intent = parse_intent("Slow down to yield due to the right turn of the route and the stop sign.")
    assert (intent.longitudinal, intent.lateral) == (LON.YIELD, LAT.LANE_KEEPING)
    assert parse_factors("Turn right due to the right turn of the route.") == {FactorKind.ROUTE_TURN}


def test_denied_causes_do_not_count_and_repeated_ones_count_once():
    assert parse_factors("Maintain speed because there is no pedestrian and no red light.") == frozenset()
    assert parse_factors("Stop since the light is red, the red light, a red traffic light.") == {
        FactorKind.RED_LIGHT
    }


@pytest.mark.parametrize(
    ("text", "speed"),
    [
        ("Brake and give way", Speed.SLOW),
        ("Yield and let them go first", None),
        ("Brake to a full stop", Speed.STOP),
        ("Cruise at the set speed", Speed.KEEP),
        ("Speed up to overtake", Speed.ACCELERATE),
        ("Follow the slow car in front", None),
    ],
)
def test_words_of_speed(text, speed):
    assert parse_intent(text).speed is speed


WORDS = sorted(
    {
        w
        for table in (LONGITUDINAL_PHRASES, LATERAL_PHRASES)
        for ps in table.values()
        for p in ps
        for w in p.split()
    }
)


@given(
    st.one_of(
        st.text(max_size=300),
        st.lists(st.sampled_from([*WORDS, "not", "because", ",", "so", "left"])).map(" ".join),
    )
)
def test_no_text_raises_and_both_axes_or_none_are_known(text):
    intent = parse_intent(text)
    assert intent.parsed == (intent.longitudinal is not None and intent.lateral is not None)
    assert intent.direction is None or intent.lateral in DIRECTIONAL
    assert parse_factors(text) <= set(FactorKind)
    assert all(part == part.lower() for part in split(text).manoeuvres)


def test_a_very_long_text_is_parsed_quickly_enough_to_be_read_to_its_limit():
    assert parse_intent("stop " * 100_000).longitudinal is LON.STOP_STATIC
