"""The compiled verdict on a drive is that of the rules in words."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from reward_scenes import straight_road

from rewards.consistency import check, stop_line_faults
from rewards.consistency_rules import LATERAL_RULES, LONGITUDINAL_RULES, SPEED_WORDS
from rewards.drives import DriveRow, Drives, measure_columns
from rewards.intent import Intent
from rewards.lane_frame import reference_lane
from rewards.verdicts import Asked, Verdicts
from scenes.decisions import Direction, Lateral, Longitudinal
from scenes.dynamics import integrate

INTENTS = [
    Intent(speed, path, direction, word, (), ())
    for speed, path, direction, word in itertools.product(
        LONGITUDINAL_RULES, LATERAL_RULES, (None, *Direction), (None, *SPEED_WORDS)
    )
]
LANES = [reference_lane(road) for road in (None, straight_road(), straight_road(25.0))]


def drives(seed: int) -> Drives:
    """Eighteen drives: braking, driving off, weaving, turning; with a lane, a stop line and without a map."""
    random = np.random.default_rng(seed)
    ticks, states, taken = np.arange(64), [], []
    for _ in range(18):
        speed = random.choice([0.0, 2.0, 8.0])
        swing = random.choice([0.0, 0.004, 0.02]) * np.sin(ticks / random.uniform(5.0, 20.0))
        bend = random.choice([0.0, 0.0, 0.03, -0.03])
        push = random.choice([0.0, 0.6, -0.6, -1.5]) + random.choice([0.0, 1.0]) * np.sin(ticks / 15.0)
        push = np.where(speed + 0.1 * np.cumsum(push) < random.choice([0.0, 0.0, -1.0]), 0.0, push)
        actions = np.stack([push, swing + bend], axis=-1)
        taken.append(actions)
        states.append(integrate(actions, speed))
    ((_, measured),) = measure_columns(states, taken, LANES * 6, [3.8] * 18)
    return measured


def verdicts(seen: Drives, intent: Intent, at_line: bool = False) -> list[tuple[list[str], list[str]]]:
    found = Verdicts(seen, [Asked.of(intent, at_line)] * 18)
    return [(list(speed), list(path)) for speed, path in map(found.faults, range(18))]


@settings(max_examples=8)
@given(st.integers(0, 100_000))
def test_faults_are_those_of_the_rules_in_words(seed):
    seen = drives(seed)
    for intent in INTENTS:
        assert verdicts(seen, intent) == [check(intent, DriveRow(seen, row)) for row in range(18)], intent


@given(st.integers(0, 100_000))
def test_a_stop_at_a_line_is_judged_beside_the_rest(seed):
    seen = drives(seed)
    intent = Intent(Longitudinal.STOP_STATIC, Lateral.LANE_KEEPING, None, None, (), ())
    for row, (speed, _) in enumerate(verdicts(seen, intent, at_line=True)):
        assert speed == check(intent, DriveRow(seen, row))[0] + stop_line_faults(seen.motion(row))


def test_the_drives_keep_and_break_every_rule():
    all_seen = [drives(seed) for seed in range(15)]
    for intent in INTENTS:
        found = [faults for seen in all_seen for faults in verdicts(seen, intent)]
        assert all(any(faults[axis] for faults in found) for axis in (0, 1)), intent
        if intent.direction is None and intent.speed is None:
            assert all(any(not faults[axis] for faults in found) for axis in (0, 1)), intent
