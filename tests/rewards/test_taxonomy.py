"""The table of the two taxonomies says what the detectors and rules do."""

from __future__ import annotations

import numpy as np
import pytest

from rewards.consistency_rules import LONGITUDINAL_RULES
from rewards.drive import measure
from rewards.meta_actions import LateralAction, LongitudinalAction
from rewards.rule_faults import path_faults
from rewards.taxonomy import LATERAL_RULES, META_ACTIONS, PAPER_NAMES, SHAPES, rows
from scenes.decisions import Lateral, Longitudinal
from scenes.dynamics import integrate


def bends(*parts):
    curvature = np.zeros(64)
    at = 0
    for ticks, value in parts:
        curvature[at : at + ticks] = value
        at += ticks
    return np.stack([np.zeros(64), curvature], axis=-1)


CHANGE = bends((22, 0.0125), (22, -0.0125))
DRIVES = {
    Lateral.LANE_KEEPING: bends(),
    Lateral.MERGE_SPLIT: CHANGE,
    Lateral.OUT_OF_LANE_NUDGE: bends((11, 0.02), (22, -0.02), (11, 0.02)),
    Lateral.IN_LANE_NUDGE: bends((16, 0.0065), (16, -0.0065)),
    Lateral.LANE_CHANGE: CHANGE,
    Lateral.PULL_OVER: CHANGE * 0.7,
    Lateral.TURN: bends((20, 0.0), (30, 0.06)),
    Lateral.ABORT: bends((11, -0.02), (22, 0.02), (11, -0.02)),
}


@pytest.mark.parametrize("decision", Lateral)
def test_a_drive_of_the_shape_in_the_table_carries_the_decision_out(decision):
    acts = DRIVES[decision]
    drive = measure(integrate(acts, 8.0), acts)
    assert tuple(segment.action for segment in drive.lateral) == SHAPES[decision]
    assert path_faults(LATERAL_RULES[decision], drive, 1) == []


def test_every_decision_and_every_meta_action_stands_in_the_table_once():
    table = rows()
    assert [row.decision for row in table] == [*Longitudinal, *Lateral]
    assert set(PAPER_NAMES) == {*Longitudinal, *Lateral}
    assert set(META_ACTIONS) == {*LongitudinalAction, *LateralAction}


def test_the_table_names_what_the_rules_allow_and_demand():
    stop = next(row for row in rows() if row.decision == Longitudinal.STOP_STATIC)
    assert len(stop.meta_actions) == len(LONGITUDINAL_RULES[Longitudinal.STOP_STATIC].allowed)
    assert "stop" in stop.meta_actions
    assert "strong accelerate" not in stop.meta_actions
    assert stop.opening == ("stop", "strong decelerate", "gentle decelerate")
    assert stop.demands == "drop ≥ 0.8 m/s; lowest speed ≤ 40 % of the initial one"
    change = next(row for row in rows() if row.decision == Lateral.LANE_CHANGE)
    assert change.demands.startswith("sideways 2 to 5 m; at the end 2 to 5 m; to the other side ≤ 0.6 m")
