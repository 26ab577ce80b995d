"""Consistency: a drive passes with the words that describe it, on both axes, and with no others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from reward_scenes import LANE, SPEED, invalid, make_clip, rollout, straight_road

from rewards.ceiling import ceiling
from rewards.consistency import ConsistencyReward, check
from rewards.consistency_rules import LATERAL_RULES, LONGITUDINAL_RULES
from rewards.drive import measure
from rewards.intent import parse_intent
from rewards.lane_frame import lane_frame, reference_lane
from scenes.cameras import default_rig
from scenes.clip import RoadMap
from scenes.decisions import Lateral, Longitudinal
from scenes.dynamics import integrate
from scenes.geometry import locate
from scenes.world import WorldConfig, generate

SITUATIONS = (
    "cruise",
    "curve",
    "speed_limit",
    "follow",
    "lead_brakes",
    "red_light",
    "stop_sign",
    "pedestrian",
    "cross_traffic",
    "nudge_parked",
    "nudge_out",
    "lane_change",
    "abort",
    "lane_end",
    "lane_end_blocked",
    "turn",
)


def steps(*parts):
    return np.concatenate([np.full(count, value) for value, count in parts])


def drive(acceleration=0.0, curvature=0.0):
    return np.stack([np.broadcast_to(acceleration, 64), np.broadcast_to(curvature, 64)], axis=-1).astype(
        float
    )


HOLD = drive()
BRAKE_HARD = drive(steps((-3.0, 26), (-2.0, 1), (0.0, 37)))
SLOW_GENTLY = drive(steps((-1.0, 30), (0.0, 34)))
SPEED_UP = drive(1.0)
SLOW_THEN_GO = drive(steps((-2.0, 20), (0.0, 14), (1.0, 30)))
CHANGE_LEFT = drive(0.0, steps((0.0125, 22), (-0.0125, 22), (0.0, 20)))
CHANGE_RIGHT = CHANGE_LEFT * [1.0, -1.0]
TURN_LEFT = drive(steps((-0.5, 20), (0.0, 44)), steps((0.0, 14), (0.05, 50)))
NUDGE_LEFT = drive(0.0, steps((0.0065, 16), (-0.0065, 16), (0.0, 32)))
SWERVE = drive(0.0, 0.05 * np.sin(np.arange(64) / 4.0))
REVERSE = drive(-2.0)


def value(text, acts, road=None):
    clip = make_clip(road=road)
    (found,) = ConsistencyReward().score([rollout(text=text, drive=acts)], {"c0": clip})
    return found


@pytest.mark.parametrize(
    ("text", "acts"),
    [
        ("Keep lane and maintain speed since the road is clear.", HOLD),
        ("Brake to a full stop because the light is red.", BRAKE_HARD),
        ("Reduce speed smoothly since a sharp curve is ahead.", SLOW_GENTLY),
        ("Slow down and keep distance to the lead vehicle.", SLOW_GENTLY),
        ("Slow down to yield because a pedestrian is crossing.", SLOW_THEN_GO),
        ("Speed up to overtake due to the slower lead vehicle.", SPEED_UP),
        ("Change to the left lane due to the slower lead vehicle.", CHANGE_LEFT),
        ("Make a lane change to the right.", CHANGE_RIGHT),
        ("Merge left due to the ending lane.", CHANGE_LEFT),
        ("Turn left and slow down to a suitable speed.", TURN_LEFT),
        ("Nudge left within the lane due to the parked vehicle ahead.", NUDGE_LEFT),
    ],
)
def test_a_drive_passes_with_the_words_that_describe_it(text, acts):
    found = value(text, acts)
    assert (found.value, found.explanation.endswith("does it")) == (1.0, True), found.explanation


@pytest.mark.parametrize(
    ("text", "acts", "axis"),
    [
        # An axis that the text leaves at its default is checked too: this is where braking hard hid.
        ("Keep lane and maintain speed.", BRAKE_HARD, "longitudinal"),
        ("Change to the left lane.", BRAKE_HARD, "longitudinal"),
        ("Nudge left within the lane.", BRAKE_HARD, "longitudinal"),
        ("Turn left at the junction.", BRAKE_HARD, "longitudinal"),
        ("Keep lane and maintain speed.", SWERVE, "lateral"),
        ("Slow down to yield.", SWERVE, "lateral"),
        ("Stop at the line.", CHANGE_LEFT, "lateral"),
        ("Change to the left lane.", CHANGE_RIGHT, "lateral"),
        ("Change to the left lane.", HOLD, "lateral"),
        ("Turn right at the junction.", TURN_LEFT, "lateral"),
        ("Keep lane and maintain speed.", TURN_LEFT, "lateral"),
        ("Nudge left within the lane.", CHANGE_LEFT, "lateral"),
        ("Abort the lane change and steer back left.", HOLD, "lateral"),
        ("Reduce speed smoothly.", BRAKE_HARD, "longitudinal"),
        ("Reduce speed smoothly.", HOLD, "longitudinal"),
        ("Come to a stop.", SLOW_GENTLY, "longitudinal"),
        ("Speed up to overtake.", HOLD, "longitudinal"),
        ("Keep lane and maintain speed.", SPEED_UP, "longitudinal"),
        ("Follow the lead vehicle.", SPEED_UP, "longitudinal"),
        ("Brake to a full stop.", REVERSE, "longitudinal"),
    ],
)
def test_a_drive_fails_with_other_words_on_the_axis_they_are_about(text, acts, axis):
    found = value(text, acts)
    assert (found.value, found.components[axis]) == (0.0, 0.0), found.explanation
    assert f"{axis}:" in found.explanation


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no driving decision"),
        ("The light is red.", "no driving decision"),
        ("Keep lane and stop and accelerate to pass.", "says both"),
    ],
)
def test_a_text_that_says_nothing_or_everything_is_0_with_the_reason(text, reason):
    found = value(text, HOLD)
    assert (found.value, found.components["parsed"]) == (0.0, 0.0)
    assert reason in found.explanation


def test_an_invalid_completion_is_0_with_its_reason():
    (found,) = ConsistencyReward().score([invalid()], {"c0": make_clip()})
    assert found.value == 0.0
    assert "127 trajectory tokens" in found.explanation


def test_stopping_far_from_the_line_is_no_stop_for_the_light():
    text = "Stop at the line because the light is red."
    reach = float(integrate(BRAKE_HARD, SPEED)[-1, 0]) + 3.8
    assert value(text, BRAKE_HARD, straight_road(stop_at=reach + 3.0)).value == 1.0
    early = value(text, BRAKE_HARD, straight_road(stop_at=reach + 25.0))
    assert (early.value, "stands before the line 25" in early.explanation) == (0.0, True)
    assert value(text, BRAKE_HARD, straight_road(stop_at=reach - 6.0)).value == 0.0
    # A stop for something else has nothing to do with a line.
    other = "Come to a stop because cones narrow the lane."
    assert value(other, BRAKE_HARD, straight_road(stop_at=reach + 25.0)).value == 1.0


def curved_road(kappa: float) -> RoadMap:
    along = np.arange(0.0, 170.0, 2.0)
    arc = np.stack([np.sin(kappa * along) / kappa, (1.0 - np.cos(kappa * along)) / kappa], axis=-1)
    return RoadMap((np.concatenate([LANE[LANE[:, 0] < 0.0], arc]),), (3.5,), (), (), ())


def test_following_a_bend_keeps_the_lane_and_leaving_it_does_not():
    text = "Keep lane and maintain speed."
    assert value(text, drive(0.0, 0.015), curved_road(0.015)).value == 1.0
    assert value(text, HOLD, curved_road(0.015)).components["lateral"] == 0.0


def test_without_a_map_a_bend_is_no_lane_change():
    clip = make_clip()
    for acts, shift in ((drive(0.0, 0.015), 0.0), (CHANGE_LEFT, 3.9)):
        frame = lane_frame(np.concatenate([[[0, 0, 0, SPEED]], integrate(acts, SPEED)]), None)
        assert frame.mapped is False
        assert abs(frame.shift[-1] - shift) < 0.3
    assert reference_lane(None) is None
    assert reference_lane(clip.road) is not None


def test_where_the_lane_ends_the_next_one_measures_on():
    ends = LANE[LANE[:, 0] <= 20.0]
    road = RoadMap((ends, LANE + [0.0, 3.5]), (3.5, 3.5), (), (), ())
    assert value("Merge left due to the ending lane.", CHANGE_LEFT, road).value == 1.0
    full = np.concatenate([[[0, 0, 0, SPEED]], integrate(CHANGE_LEFT, SPEED)])
    np.testing.assert_allclose(lane_frame(full, reference_lane(road)).offset, full[:, 1], atol=1e-6)


@given(hnp.arrays(np.float64, 12, elements=st.floats(-1.5, 1.5)))
def test_offsets_are_what_was_driven_beside_a_curved_lane(offsets):
    lane = reference_lane(curved_road(0.01))
    s = np.linspace(40.0, 100.0, 12)
    poses = locate(s, offsets, np.concatenate([LANE[LANE[:, 0] < 0.0], curved_road(0.01).lanes[0][20:]]))
    states = np.concatenate([poses, np.full((12, 1), SPEED)], axis=-1)
    np.testing.assert_allclose(lane_frame(states, lane).offset, offsets, atol=0.02)


def test_every_decision_has_a_rule_on_its_axis():
    assert set(LONGITUDINAL_RULES) == set(Longitudinal)
    assert set(LATERAL_RULES) == set(Lateral)


TEXTS = st.sampled_from(
    ["Keep lane and maintain speed", "Turn left and yield", "Stop", "Pull over to the right", "?"]
)


@settings(max_examples=60)
@given(hnp.arrays(np.float64, (64, 2), elements=st.floats(-8.0, 8.0)), TEXTS, st.booleans())
def test_any_drive_gets_0_or_1_and_the_parts_multiply(acts, text, mapped):
    road = straight_road() if mapped else RoadMap((), (), (), (), ())
    found = value(text, acts, road)
    assert found.value == found.components["longitudinal"] * found.components["lateral"]
    assert found.value in (0.0, 1.0)
    assert found.explanation


@pytest.mark.slow
def test_the_clean_expert_is_consistent_with_its_own_label_and_not_with_braking_hard():
    config = WorldConfig(seed=11, weights=dict.fromkeys(SITUATIONS, 1.0))
    clips = [c.without_cameras() for c in generate(config, 0, 160, default_rig(("front_wide", "front_tele")))]
    rates = {name: passed / count for name, (passed, count) in ceiling(clips).items() if count >= 5}
    assert {name: rate for name, rate in rates.items() if rate < 0.95} == {}
    assert len(rates) >= 11
    passes = 0
    free = [c for c in clips if c.label.longitudinal is Longitudinal.SET_SPEED_TRACKING]
    for clip in free:
        speed = clip.ego_history[-1, 3]
        brakes = np.diff(np.maximum(speed - 0.3 * np.arange(65), 0.0)) / 0.1
        acts = np.stack([brakes, clip.actions[:, 1]], axis=-1)
        faults, _ = check(parse_intent(clip.label.text), measure(integrate(acts, speed), acts))
        passes += not faults
    assert (passes, len(free) > 20) == (0, True)
