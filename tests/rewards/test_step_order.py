"""Several steps in one text: each is carried out, on both axes, and in the order said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from reward_scenes import make_clip, rollout

from rewards.consistency import ConsistencyReward

TICKS = 64


def profile(*parts):
    """[64] from (ticks, value) parts; the rest is 0."""
    out = np.zeros(TICKS)
    at = 0
    for ticks, value in parts:
        out[at : at + ticks] = value
        at += ticks
    return out


def drive(acceleration=(), curvature=()):
    return np.stack([profile(*acceleration), profile(*curvature)], axis=-1)


HOLD = drive()
TURN = ((20, 0.0), (30, 0.06))
LATE_TURN = ((34, 0.0), (30, 0.06))
CHANGE = ((22, 0.0125), (22, -0.0125))
LATE_CHANGE = ((24, 0.0), (20, 0.0185), (20, -0.0185))
SLOW_THEN_TURN = drive(((18, -1.5),), LATE_TURN)
TURN_THEN_SLOW = drive(((44, 0.0), (20, -1.5)), ((26, 0.055),))
TURN_WHILE_SLOWING = drive(((40, -0.9),), ((40, 0.05),))
SLOW_ONLY = drive(((18, -1.5),))
YIELD_THEN_GO = drive(((20, -2.0), (12, 0.0), (30, 1.2)))
GO_THEN_YIELD = drive(((26, 1.2), (10, 0.0), (28, -2.2)))
STOP_THEN_TURN = drive(((20, -4.0), (14, 0.0), (30, 2.0)), ((34, 0.0), (30, 0.19)))
HOLD_THEN_STOP = drive(((30, 0.0), (30, -8 / 3.0)))
SLOW_THEN_RESUME = drive(((20, -2.0), (14, 0.0), (20, 2.0)))
CHANGE_THEN_SPEED = drive(((36, 0.0), (28, 1.2)), CHANGE)
SPEED_THEN_CHANGE = drive(((16, 1.5),), ((24, 0.0), (20, 0.01), (20, -0.01)))
NUDGE_AND_BACK = drive((), ((9, 0.01), (18, -0.01), (9, 0.01)))
REVERSING = drive(((64, -2.0),), LATE_TURN)


def score(text, acts):
    (found,) = ConsistencyReward().score([rollout(text=text, drive=acts)], {"c0": make_clip()})
    return found


@pytest.mark.parametrize(
    ("text", "acts"),
    [
        ("Slow down for the pedestrian, then turn left.", SLOW_THEN_TURN),
        ("Slow down before turning left.", SLOW_THEN_TURN),
        ("Turn left after yielding to the cyclist.", SLOW_THEN_TURN),
        ("Turn left, then slow down.", TURN_THEN_SLOW),
        ("Turn left and slow down.", TURN_WHILE_SLOWING),
        ("First yield to the cross traffic, afterwards accelerate.", YIELD_THEN_GO),
        ("Stop at the line, then turn left.", STOP_THEN_TURN),
        ("Keep the speed, then stop at the line.", HOLD_THEN_STOP),
        ("Slow down, then come to a stop.", HOLD_THEN_STOP),
        ("Slow down for the bump, then resume speed.", SLOW_THEN_RESUME),
        ("Change to the left lane, then speed up to overtake.", CHANGE_THEN_SPEED),
        ("Speed up, then change to the left lane.", SPEED_THEN_CHANGE),
        ("Stay in the lane for now, then change to the left lane.", drive((), LATE_CHANGE)),
        ("Change to the left lane, then stay in the lane.", drive((), CHANGE)),
        ("Nudge left within the lane, then go back to the middle of the lane.", NUDGE_AND_BACK),
        ("After the truck passes, change to the left lane.", drive((), LATE_CHANGE)),
    ],
)
def test_steps_in_their_order_pass(text, acts):
    found = score(text, acts)
    assert (found.value, found.explanation.endswith("does it")) == (1.0, True), found.explanation


@pytest.mark.parametrize(
    ("text", "acts", "axis", "reason"),
    [
        ("Slow down, then turn left.", TURN_THEN_SLOW, "longitudinal", "should come before turn left"),
        ("Turn left, then slow down.", SLOW_THEN_TURN, "lateral", "should come before speed_adaptation"),
        ("Slow down, then turn left.", SLOW_ONLY, "lateral", "turns"),
        ("Slow down, then turn left.", drive((), LATE_TURN), "longitudinal", "speed drop"),
        ("Slow down, then turn left.", SLOW_THEN_TURN * [1.0, -1.0], "lateral", "turns"),
        ("First yield, afterwards accelerate.", GO_THEN_YIELD, "longitudinal", "step"),
        ("First yield, afterwards accelerate.", HOLD, "longitudinal", "2 decisions follow each other"),
        ("Stop at the line, then turn left.", SLOW_THEN_TURN, "longitudinal", "step 1 of 2"),
        ("Keep the speed, then stop at the line.", HOLD, "longitudinal", "2 decisions"),
        # An axis of which no step speaks is at its default, as in a text of one step.
        ("First yield, afterwards accelerate.", YIELD_THEN_GO + drive((), CHANGE), "lateral", "sideways"),
        (
            "Change to the left lane, then turn left.",
            drive(((30, -2.0),), CHANGE),
            "longitudinal",
            "not what",
        ),
        ("Slow down, then turn left.", REVERSING, "longitudinal", "drives backwards"),
        ("Change to the left lane now.", drive((), LATE_CHANGE), "lateral", "said to be done now"),
        ("Speed up, then change to the left lane.", CHANGE_THEN_SPEED, "longitudinal", "should come before"),
    ],
)
def test_steps_left_out_or_out_of_order_fail_on_their_axis(text, acts, axis, reason):
    found = score(text, acts)
    assert (found.value, found.components[axis]) == (0.0, 0.0), found.explanation
    assert reason in found.explanation


def test_the_explanation_numbers_the_steps_and_lists_what_was_not_counted():
    found = score(
        "After the truck passes, slow down; the cyclist turns right, then turn left.", SLOW_THEN_TURN
    )
    assert "1. speed_adaptation after 'the truck passes', 2. turn left" in found.explanation
    assert "(turn left; slow down)" in found.explanation
    assert "not counted: turns right (others')" in found.explanation


def test_now_is_satisfied_by_beginning_at_once():
    assert score("Change to the left lane now.", drive((), CHANGE)).value == 1.0


TEXTS = st.sampled_from(
    [
        "Slow down, then turn left, then accelerate.",
        "Change lanes, then abort the lane change and steer back right, then stop.",
        "Keep lane, then pull over to the right, then stop immediately.",
        "Yield, then nudge left, then keep lane and resume speed, then turn.",
        "Turn left, then change lanes to the right, then keep lane.",
    ]
)


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float64, (TICKS, 2), elements=st.floats(-6.0, 6.0)), TEXTS)
def test_any_drive_gets_0_or_1_against_any_steps(acts, text):
    found = score(text, acts * [1.0, 0.05])
    assert found.value in (0.0, 1.0)
    assert found.value == found.components["longitudinal"] * found.components["lateral"]
    assert found.components["parsed"] == 1.0
