"""The published thresholds of the meta-action detectors, each from both sides."""

from __future__ import annotations

import numpy as np
import pytest

from rewards.meta_actions import (
    LateralAction,
    LongitudinalAction,
    Segment,
    cleaned,
    cuts,
    lateral_levels,
    lateral_segments,
    longitudinal_levels,
    longitudinal_segments,
)

MINIMUM = dict.fromkeys(LongitudinalAction, 8) | {LongitudinalAction.MAINTAIN_SPEED: 12}


def states(speed, rate=0.0):
    """States [K, 4] from speeds [K] m/s along the heading and a heading rate in rad/m."""
    speed = np.asarray(speed, float)
    step = 0.1 * speed[1:]
    yaw = np.concatenate([[0.0], np.cumsum(rate * np.abs(step))])
    middle = 0.5 * (yaw[1:] + yaw[:-1])
    x = np.concatenate([[0.0], np.cumsum(step * np.cos(middle))])
    y = np.concatenate([[0.0], np.cumsum(step * np.sin(middle))])
    return np.stack([x, y, yaw, speed], axis=-1)


def ramp(acceleration, start=10.0, ticks=64):
    return start + 0.1 * acceleration * np.arange(ticks + 1)


def only(segments):
    (segment,) = segments
    return str(segment.action)


@pytest.mark.parametrize(
    ("acceleration", "ticks", "expected"),
    [
        (1.41, 64, "strong_acceleration"),
        (1.39, 64, "gentle_acceleration"),
        (-1.41, 64, "strong_deceleration"),
        (-1.39, 64, "gentle_deceleration"),
        (0.151, 64, "gentle_acceleration"),
        (0.149, 64, "maintain_speed"),
        (-0.151, 64, "gentle_deceleration"),
        (-0.149, 64, "maintain_speed"),
        # 0.8 m/s of change are needed, at whatever rate.
        (0.51, 16, "gentle_acceleration"),
        (0.49, 16, "maintain_speed"),
        (-0.51, 16, "gentle_deceleration"),
        (-0.49, 16, "maintain_speed"),
        (2.0, 3, "maintain_speed"),
    ],
)
def test_acceleration_and_change_of_speed_decide_the_word(acceleration, ticks, expected):
    assert only(longitudinal_segments(states(ramp(acceleration, ticks=ticks)))) == expected


@pytest.mark.parametrize(
    ("speed", "expected"),
    [(0.13, "maintain_speed"), (0.12, "stop"), (-0.11, "stop"), (-0.12, "reverse"), (-0.13, "reverse")],
)
def test_mean_speed_decides_stop_and_reverse(speed, expected):
    assert only(longitudinal_segments(states(np.full(65, speed)))) == expected


@pytest.mark.parametrize(
    ("rate", "metres", "expected"),
    [
        (0.00151, 12.8, "steer_left"),
        (0.00149, 12.8, "go_straight"),
        (-0.00151, 12.8, "steer_right"),
        # 0.015 rad are needed as well.
        (0.002, 7.6, "steer_left"),
        (0.002, 7.4, "go_straight"),
        (0.051, 12.8, "sharp_steer_left"),
        (0.049, 12.8, "steer_left"),
        (-0.051, 12.8, "sharp_steer_right"),
        # A sharp one turns at least 0.2 rad.
        (0.06, 3.4, "sharp_steer_left"),
        (0.06, 3.3, "steer_left"),
    ],
)
def test_heading_rate_and_turn_decide_the_word(rate, metres, expected):
    speed = np.full(65, metres / 6.4)
    assert only(lateral_segments(states(speed, rate))) == expected


@pytest.mark.parametrize(
    ("speed", "rate", "expected"),
    [
        (-2.0, 0.02, "reverse_left"),
        (-2.0, -0.02, "reverse_right"),
        (-0.11, 0.3, "reverse_left"),
        # Slower backwards than 0.1 m/s, or less than 0.2 rad, is steering like any other.
        (-0.09, 0.4, "sharp_steer_left"),
        (-2.0, 0.015, "steer_left"),
    ],
)
def test_reversing_needs_speed_and_turn(speed, rate, expected):
    assert only(lateral_segments(states(np.full(65, speed), rate))) == expected


def flips(levels):
    return {int(tick) + 1 for level in levels for tick in np.flatnonzero(level[1:] != level[:-1])}


@pytest.mark.parametrize("threshold", [-0.3, 0.3])
def test_speed_cuts_at_its_threshold_without_hysteresis(threshold):
    below, above = threshold - 0.001, threshold + 0.001
    along = np.concatenate([np.full(20, below), np.full(20, above), np.full(25, below)])
    assert flips(longitudinal_levels(along)[:2]) == {19, 39}
    assert flips(longitudinal_levels(np.full(65, above))[:2]) == set()


@pytest.mark.parametrize("threshold", [0.1, 1.25])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_acceleration_cuts_beyond_15_percent_of_its_threshold(threshold, sign):
    def cut(share):
        acceleration = sign * threshold * np.concatenate([np.full(32, 0.5), np.full(32, share)])
        return flips(longitudinal_levels(np.concatenate([[10.0], 10.0 + 0.1 * np.cumsum(acceleration)])))

    assert cut(1.14) == set()
    assert len(cut(1.16)) == 1


def test_a_spike_shorter_than_the_smoothing_window_is_spread_over_it():
    acceleration = np.zeros(64)
    acceleration[30] = 0.5
    along = 10.0 + np.concatenate([[0.0], 0.1 * np.cumsum(acceleration)])
    # 0.5 / 5 = 0.1 is within the hysteresis of 0.1.
    assert flips(longitudinal_levels(along)) == set()
    acceleration[30] = 0.6
    along = 10.0 + np.concatenate([[0.0], 0.1 * np.cumsum(acceleration)])
    assert flips(longitudinal_levels(along)) == {28, 33}


@pytest.mark.parametrize("threshold", [-0.05, -0.001, 0.001, 0.05])
def test_heading_rate_cuts_at_its_threshold(threshold):
    step, along = np.full(64, 1.0), np.full(65, 10.0)

    def cut(factor):
        turned = np.concatenate([np.full(32, 0.0), np.full(32, threshold * factor)])
        levels = lateral_levels(along, turned, step)
        return flips(levels[1:][[(-0.05, -0.001, 0.001, 0.05).index(threshold)]])

    assert cut(0.99) == set()
    assert len(cut(1.01)) == 1


def test_standing_still_has_no_heading_rate():
    levels = lateral_levels(np.zeros(65), np.full(64, 0.1), np.full(64, 9e-7))
    assert flips(levels) == set()
    assert not levels[3:].any()


def test_cuts_are_three_ticks_apart():
    levels = np.zeros((1, 20), bool)
    levels[0, 10:12] = True
    assert cuts(levels) == [0, 10, 20]
    levels[0, 10:13] = True
    assert cuts(levels) == [0, 10, 13, 20]


@pytest.mark.parametrize(
    ("action", "ticks", "kept"),
    [
        (LongitudinalAction.GENTLE_DECELERATION, 7, False),
        (LongitudinalAction.GENTLE_DECELERATION, 8, True),
        (LongitudinalAction.STOP, 7, False),
        (LongitudinalAction.STOP, 8, True),
        (LongitudinalAction.MAINTAIN_SPEED, 11, False),
        (LongitudinalAction.MAINTAIN_SPEED, 12, True),
    ],
)
def test_speed_segments_below_their_minimum_are_absorbed(action, ticks, kept):
    faster = LongitudinalAction.GENTLE_ACCELERATION
    pieces = [Segment(faster, 0, 20), Segment(action, 20, 20 + ticks), Segment(faster, 20 + ticks, 64)]
    assert (len(cleaned(pieces, MINIMUM)) == 3) is kept


@pytest.mark.parametrize(("ticks", "kept"), [(9, False), (10, True)])
def test_steering_segments_below_ten_ticks_are_absorbed(ticks, kept):
    left, straight = LateralAction.STEER_LEFT, LateralAction.GO_STRAIGHT
    pieces = [Segment(straight, 0, 20), Segment(left, 20, 20 + ticks), Segment(straight, 20 + ticks, 64)]
    assert (len(cleaned(pieces, dict.fromkeys(LateralAction, 10))) == 3) is kept


def test_an_absorbed_segment_is_not_classified_anew():
    stop, slower = LongitudinalAction.STOP, LongitudinalAction.STRONG_DECELERATION
    pieces = [Segment(slower, 0, 30), Segment(stop, 30, 34), Segment(slower, 34, 64)]
    assert cleaned(pieces, MINIMUM) == [Segment(slower, 0, 64)]
