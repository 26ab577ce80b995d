"""The meta-action detectors: known drives give known words, and every drive is covered exactly once."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rewards.drive import with_start
from rewards.meta_actions import (
    LateralAction,
    LongitudinalAction,
    Segment,
    cleaned,
    cuts,
    lateral_segments,
    levels_crossed,
    longitudinal_segments,
    smoothed,
)
from scenes.dynamics import integrate


def drive(acceleration, curvature, speed):
    acts = np.stack([np.broadcast_to(acceleration, 64), np.broadcast_to(curvature, 64)], axis=-1).astype(
        float
    )
    return with_start(integrate(acts, speed), acts)


def words(segments):
    return [(str(s.action), s.start, s.end) for s in segments]


def steps(*parts):
    return np.concatenate([np.full(count, value) for value, count in parts])


@pytest.mark.parametrize(
    ("acceleration", "speed", "expected"),
    [
        (0.0, 10.0, ["maintain_speed"]),
        (0.0, 0.0, ["stop"]),
        (0.0, -2.0, ["reverse"]),
        (1.0, 3.0, ["gentle_acceleration"]),
        (2.0, 3.0, ["strong_acceleration"]),
        (-1.0, 10.0, ["gentle_deceleration"]),
        (-2.0, 14.0, ["strong_deceleration"]),
        # 0.5 m/s over the horizon is below the detector's 0.8 m/s.
        (0.08, 10.0, ["maintain_speed"]),
    ],
)
def test_a_constant_acceleration_is_one_word(acceleration, speed, expected):
    assert [str(s.action) for s in longitudinal_segments(drive(acceleration, 0.0, speed))] == expected


def test_braking_to_a_stop_is_deceleration_then_stop():
    found = words(longitudinal_segments(drive(steps((0.0, 20), (-2.0, 20), (0.0, 24)), 0.0, 4.0)))
    assert [name for name, _, _ in found] == ["maintain_speed", "strong_deceleration", "stop"]
    assert abs(found[1][1] - 20) <= 2
    assert abs(found[2][1] - 40) <= 3


@pytest.mark.parametrize(
    ("curvature", "expected"),
    [
        (0.0, "go_straight"),
        (0.01, "steer_left"),
        (-0.01, "steer_right"),
        (0.08, "sharp_steer_left"),
        (-0.08, "sharp_steer_right"),
        (0.0008, "go_straight"),
    ],
)
def test_a_constant_curvature_is_one_word(curvature, expected):
    assert [str(s.action) for s in lateral_segments(drive(0.0, curvature, 6.0))] == [expected]


def test_steering_while_reversing_is_named_as_such():
    assert [str(s.action) for s in lateral_segments(drive(0.0, 0.1, -2.0))] == ["reverse_right"]


def test_a_lane_change_steers_one_way_then_the_other():
    found = lateral_segments(drive(0.0, steps((0.01, 16), (-0.01, 16), (0.0, 32)), 8.0))
    assert [str(s.action) for s in found] == ["steer_left", "steer_right", "go_straight"]


def test_a_level_with_hysteresis_holds_within_its_band():
    values = np.array([0.09, 0.11, 0.114, 0.116, 0.09, 0.086, 0.084, 0.11])
    assert levels_crossed(values, 0.1, 0.15).tolist() == [False, True, True, True, True, True, False, False]
    assert levels_crossed(values, 0.1, 0.0).tolist() == [False, True, True, True, False, False, False, True]


def test_cuts_keep_their_distance():
    levels = np.array([[0, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0]], bool)
    assert cuts(levels) == [0, 3, 6, 12]


def test_smoothing_is_a_centred_mean():
    values = np.array([0.0, 0.0, 0.0, 10.0, 0.0, 0.0, 0.0])
    assert smoothed(values, "edge").tolist() == [0.0, 2.0, 2.0, 2.0, 2.0, 2.0, 0.0]


def test_a_short_segment_between_equals_is_absorbed_and_between_others_split():
    keep, faster, slower = (
        LongitudinalAction.MAINTAIN_SPEED,
        LongitudinalAction.GENTLE_ACCELERATION,
        LongitudinalAction.GENTLE_DECELERATION,
    )
    limits = dict.fromkeys(LongitudinalAction, 8) | {keep: 12}
    between_equals = [Segment(faster, 0, 20), Segment(keep, 20, 30), Segment(faster, 30, 64)]
    assert cleaned(between_equals, limits) == [Segment(faster, 0, 64)]
    between_others = [Segment(faster, 0, 20), Segment(keep, 20, 30), Segment(slower, 30, 64)]
    assert cleaned(between_others, limits) == [Segment(faster, 0, 25), Segment(slower, 25, 64)]
    at_the_end = [Segment(faster, 0, 60), Segment(keep, 60, 64)]
    assert cleaned(at_the_end, limits) == [Segment(faster, 0, 64)]


@given(
    hnp.arrays(np.float64, 64, elements=st.floats(-6.0, 4.0)),
    hnp.arrays(np.float64, 64, elements=st.floats(-0.2, 0.2)),
    st.floats(0.0, 25.0),
)
def test_segments_cover_every_tick_once_and_respect_their_minimum(acceleration, curvature, speed):
    states = drive(acceleration, curvature, speed)
    for segments, least in ((longitudinal_segments(states), 8), (lateral_segments(states), 10)):
        assert segments[0].start == 0
        assert segments[-1].end == 64
        for before, after in pairwise(segments):
            assert before.end == after.start
            assert before.action != after.action
        if len(segments) > 1:
            assert min(s.ticks for s in segments) >= least


@given(hnp.arrays(np.float64, 64, elements=st.floats(-0.2, 0.2)), st.floats(1.0, 20.0))
def test_mirroring_the_drive_mirrors_the_words(curvature, speed):
    mirror = {
        str(action): str(action).replace("left", "L").replace("right", "left").replace("L", "right")
        for action in LateralAction
    }
    left = lateral_segments(drive(0.0, curvature, speed))
    right = lateral_segments(drive(0.0, -curvature, speed))
    assert [(mirror[n], a, b) for n, a, b in words(left)] == words(right)
