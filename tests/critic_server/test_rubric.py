"""The rubric: behaviour first, causes only behind it, and nothing gained by saying more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from critic_server.reasoning import ReasoningReward
from critic_server.rubric import grade
from rewards.score import RolloutView, Status
from scenes.clip import CausalFactor, ChainOfCausation
from scenes.decisions import Direction, FactorKind, Lateral, Longitudinal
from scenes.world.phrasing import sentence

LON, LAT, F = Longitudinal, Lateral, FactorKind


def label(longitudinal, lateral, direction=None, *factors):
    named = tuple(CausalFactor(kind, kind.value, "front_wide", 3, 9) for kind in factors)
    return ChainOfCausation("", longitudinal, lateral, direction, named)


STOP = label(LON.STOP_STATIC, LAT.LANE_KEEPING, None, F.RED_LIGHT)
PASS = label(LON.PASSING_ACCELERATION, LAT.LANE_CHANGE, Direction.LEFT, F.LEAD_VEHICLE)
BOTH = label(LON.YIELD, LAT.TURN, Direction.RIGHT, F.PEDESTRIAN, F.ROUTE_TURN)
FREE = label(LON.SET_SPEED_TRACKING, LAT.LANE_KEEPING)


@pytest.mark.parametrize(
    ("text", "coc", "expected"),
    [
        ("Stop at the line because the light is red.", STOP, 5),
        ("Come to a stop as there is a red light and a pedestrian is crossing.", STOP, 4),
        ("Stop because the light is red, cones narrow the lane and a cyclist is ahead.", STOP, 4),
        ("Stop because of the red light, the cones, the cyclist, the pedestrian and the curve.", STOP, 3),
        ("Come to a stop.", STOP, 3),
        ("Come to a stop because a pedestrian is crossing.", STOP, 2),
        ("Maintain speed because the light is red.", STOP, 0),
        ("Slow down to yield because the light is red.", STOP, 0),
        ("Stop and accelerate to pass because the light is red.", STOP, 0),
        ("", STOP, 0),
        ("Because the light is red.", STOP, 0),
        ("Change to the left lane and speed up to overtake because the car in front is slow.", PASS, 5),
        ("Change to the right lane and speed up to overtake because the car in front is slow.", PASS, 0),
        ("Follow the vehicle ahead because the car in front is slow.", PASS, 0),
        ("Turn right and yield because a pedestrian is crossing and the lane only leads right.", BOTH, 5),
        ("Turn right and yield because a pedestrian is crossing.", BOTH, 4),
        ("Keep lane and maintain speed since the road is clear.", FREE, 5),
        ("Keep lane and maintain speed because a pedestrian is crossing.", FREE, 2),
    ],
)
def test_grades(text, coc, expected):
    assert grade(text, coc).grade == expected, grade(text, coc).explanation


def test_lenient_grading_gives_1_for_one_axis_and_only_without_contradiction():
    assert grade("Follow the lead vehicle.", STOP, strict=False).grade == 1
    assert grade("Turn left and accelerate to pass.", STOP, strict=False).grade == 0
    assert grade("Keep lane, stop and accelerate to pass.", STOP, strict=False).grade == 0


@pytest.mark.parametrize(
    ("text", "coc", "behaviour", "causes"),
    [
        ("Stop at the line because the light is red.", STOP, 5, 5),
        ("Come to a stop.", STOP, 5, 2),
        ("Come to a stop as there is a red light and a pedestrian is crossing.", STOP, 5, 3),
        ("Come to a stop because a pedestrian is crossing.", STOP, 5, 0),
        ("Follow the lead vehicle because the light is red.", STOP, 2, 5),
        ("Keep lane, stop and accelerate to pass because the light is red.", STOP, 0, 5),
        ("Keep lane and maintain speed since the road is clear.", FREE, 5, 5),
    ],
)
def test_behaviour_and_causes_are_graded_apart(text, coc, behaviour, causes):
    found = grade(text, coc)
    assert (found.behaviour, found.causes) == (behaviour, causes), found.explanation


def test_the_explanation_says_what_was_compared():
    told = grade("Stop at the line because a pedestrian is crossing.", STOP).explanation
    assert "says stop_for_static_constraint, lane_keeping" in told
    assert "missing: red_light" in told
    assert "not causes: pedestrian" in told


DECISIONS = st.tuples(st.sampled_from(LON), st.sampled_from(LAT), st.sampled_from(Direction))
FACTORS = st.lists(st.sampled_from(F), max_size=2, unique=True)


@given(DECISIONS, FACTORS, st.integers(0, 2**32 - 1))
def test_every_sentence_of_the_world_gets_5_for_its_own_label(decisions, factors, seed):
    text = sentence(*decisions, factors, np.random.default_rng(seed))
    longitudinal, lateral, side = decisions
    direction = None if lateral is LAT.LANE_KEEPING else side
    assert grade(text, label(longitudinal, lateral, direction, *factors)).grade == 5, text


@given(DECISIONS, FACTORS, DECISIONS, FACTORS, st.integers(0, 2**32 - 1))
def test_no_sentence_of_other_decisions_gets_anything(told, said_factors, decisions, factors, seed):
    text = sentence(*told, said_factors, np.random.default_rng(seed))
    coc = label(decisions[0], decisions[1], decisions[2], *factors)
    same = told[:2] == decisions[:2] and (told[1] is LAT.LANE_KEEPING or told[2] is decisions[2])
    assert (grade(text, coc).grade > 0) == same


@given(st.sampled_from(["Stop at the line", "Come to a stop"]), st.sets(st.sampled_from(F), max_size=6))
def test_more_causes_than_the_labels_never_raise_the_grade(text, named):
    def said(kinds):
        phrases = {F.RED_LIGHT: "the red light", F.CURVE: "the curve ahead", F.LANE_END: "the ending lane"}
        phrases |= {F.ROUTE_TURN: "the route", F.ADJACENT_VEHICLE: "the vehicle alongside"}
        return " and ".join(phrases.get(k, f"the {k.value.replace('_', ' ')}") for k in sorted(kinds))

    with_all = grade(f"{text} due to {said(named | {F.RED_LIGHT})}.", STOP)
    alone = grade(f"{text} due to {said({F.RED_LIGHT})}.", STOP)
    repeated = grade(f"{text} due to {said({F.RED_LIGHT})} and the red light.", STOP)
    assert with_all.grade <= alone.grade == repeated.grade == 5


@given(st.text(max_size=200))
def test_no_text_raises(text):
    assert 0 <= grade(text, BOTH).grade <= 5


def view(text, valid=True):
    return RolloutView("g/0", "g", "c", text, valid, None if valid else "cut off")


def test_the_reward_scales_to_1_and_treats_faults_apart():
    from dataclasses import dataclass

    @dataclass
    class Labelled:
        clip_id: str
        label: ChainOfCausation | None

    reward = ReasoningReward()
    clips = {"c": Labelled("c", STOP)}
    right, wrong, invalid = reward.score(
        [view("Stop since the light is red."), view("Hold the set speed."), view("", valid=False)],
        clips,  # type: ignore[arg-type]
    )
    assert (right.value, wrong.value, invalid.value) == (1.0, 0.0, 0.0)
    assert "cut off" in invalid.explanation
    assert right.components["factor_recall"] == 1.0
    (unlabelled,) = reward.score([view("Stop")], {"c": Labelled("c", None)})  # type: ignore[dict-item]
    assert (unlabelled.value, unlabelled.status) == (None, Status.DATA)


def test_options_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match="one of rubric, openai"):
        ReasoningReward(backend="oracle")
    with pytest.raises(ValueError, match="no judge options"):
        ReasoningReward(model="m")
    with pytest.raises(TypeError, match="base_url"):
        ReasoningReward(backend="openai", model="m")
