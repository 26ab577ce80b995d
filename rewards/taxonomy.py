"""Decisions against meta-actions: the two taxonomies of the Alpamayo-R1 paper and the mapping between them.

Role: one readable table of what the consistency reward demands, printed by `ar1 reward taxonomy`. Decisions
are Table 1 of the paper (arXiv 2511.00088), what a text says; meta-actions are its Table 5, what a drive does.
Invariant: everything but the paper's wording is read off rewards.consistency_rules and rewards.decision_phrases,
so the table cannot disagree with the reward.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rewards.consistency_rules import LATERAL_RULES, LONGITUDINAL_RULES, PathRule, SpeedRule
from rewards.meta_actions import LateralAction, LongitudinalAction
from scenes.decisions import Lateral, Longitudinal

# Decision → its name in the paper's Table 1.
PAPER_NAMES: dict[Longitudinal | Lateral, str] = {
    Longitudinal.SET_SPEED_TRACKING: "set speed tracking",
    Longitudinal.LEAD_FOLLOWING: "lead obstacle following",
    Longitudinal.SPEED_ADAPTATION: "speed adaptation (road events)",
    Longitudinal.GAP_SEARCHING: "gap-searching",
    Longitudinal.PASSING_ACCELERATION: "acceleration for passing/overtaking",
    Longitudinal.YIELD: "yield",
    Longitudinal.STOP_STATIC: "stop for static constraints",
    Lateral.LANE_KEEPING: "lane keeping & centering",
    Lateral.MERGE_SPLIT: "merge/split",
    Lateral.OUT_OF_LANE_NUDGE: "out-of-lane nudge",
    Lateral.IN_LANE_NUDGE: "in-lane nudge",
    Lateral.LANE_CHANGE: "lane change",
    Lateral.PULL_OVER: "pull-over/curb",
    Lateral.TURN: "turn",
    Lateral.ABORT: "lateral manoeuvre abort",
}

LEFT, RIGHT, STRAIGHT = LateralAction.STEER_LEFT, LateralAction.STEER_RIGHT, LateralAction.GO_STRAIGHT
# Decision to the left → the meta-actions by which a straight road shows it. What is demanded is the net motion in
# the lane's frame (path_demands): on a bend the lane's own turning is among the meta-actions.
SHAPES: dict[Lateral, tuple[LateralAction, ...]] = {
    Lateral.LANE_KEEPING: (STRAIGHT,),
    Lateral.MERGE_SPLIT: (LEFT, RIGHT, STRAIGHT),
    Lateral.OUT_OF_LANE_NUDGE: (LEFT, RIGHT, LEFT, STRAIGHT),
    Lateral.IN_LANE_NUDGE: (LEFT, RIGHT, STRAIGHT),
    Lateral.LANE_CHANGE: (LEFT, RIGHT, STRAIGHT),
    Lateral.PULL_OVER: (LEFT, RIGHT, STRAIGHT),
    Lateral.TURN: (STRAIGHT, LateralAction.SHARP_STEER_LEFT, STRAIGHT),
    Lateral.ABORT: (RIGHT, LEFT, RIGHT, STRAIGHT),
}

# Meta-action → its name in the paper's Table 5 and the detector's test of a segment, first match wins.
META_ACTIONS: dict[LongitudinalAction | LateralAction, tuple[str, str]] = {
    LongitudinalAction.REVERSE: ("Reverse", "mean speed ≤ -0.12 m/s"),
    LongitudinalAction.STOP: ("Stop", "mean speed ≤ 0.12 m/s"),
    LongitudinalAction.STRONG_ACCELERATION: ("Strong accelerate", "a ≥ 1.4 m/s², Δv ≥ 0.8 m/s"),
    LongitudinalAction.GENTLE_ACCELERATION: ("Gentle accelerate", "0.15 ≤ a < 1.4 m/s², Δv ≥ 0.8 m/s"),
    LongitudinalAction.STRONG_DECELERATION: ("Strong decelerate", "a ≤ -1.4 m/s², Δv ≤ -0.8 m/s"),
    LongitudinalAction.GENTLE_DECELERATION: ("Gentle decelerate", "-1.4 < a ≤ -0.15 m/s², Δv ≤ -0.8 m/s"),
    LongitudinalAction.MAINTAIN_SPEED: ("Maintain speed", "none of the above"),
    LateralAction.REVERSE_LEFT: ("Reverse left", "mean speed ≤ -0.1 m/s, ≥ 0.002 rad/m, ≥ 0.2 rad"),
    LateralAction.REVERSE_RIGHT: ("Reverse right", "mean speed ≤ -0.1 m/s, ≤ -0.002 rad/m, ≤ -0.2 rad"),
    LateralAction.SHARP_STEER_LEFT: ("Sharp steer left", "≥ 0.05 rad/m, ≥ 0.2 rad"),
    LateralAction.SHARP_STEER_RIGHT: ("Sharp steer right", "≤ -0.05 rad/m, ≤ -0.2 rad"),
    LateralAction.STEER_LEFT: ("Steer left", "≥ 0.0015 rad/m, ≥ 0.015 rad"),
    LateralAction.STEER_RIGHT: ("Steer right", "≤ -0.0015 rad/m, ≤ -0.015 rad"),
    LateralAction.GO_STRAIGHT: ("Go straight", "none of the above"),
}


@dataclass(frozen=True)
class Row:
    """One decision. paper: its name there; meta_actions: of speed, those that a drive may show; of path, those by
    which a straight road shows the decision to the left, in order; opening: what the first change of speed must
    be, where that is ruled; demands: bounds on net motion, in words."""

    axis: str
    decision: str
    paper: str
    meta_actions: tuple[str, ...]
    opening: tuple[str, ...]
    demands: str


def rows() -> tuple[Row, ...]:
    """The mapping, longitudinal decisions first, in the order of scenes.decisions."""
    speed = [
        Row(
            "longitudinal",
            decision,
            PAPER_NAMES[decision],
            _names(rule.allowed),
            _names(rule.opening),
            speed_demands(rule),
        )
        for decision, rule in ((d, LONGITUDINAL_RULES[d]) for d in Longitudinal)
    ]
    path = [
        Row(
            "lateral",
            decision,
            PAPER_NAMES[decision],
            tuple(META_ACTIONS[action][0].lower() for action in SHAPES[decision]),
            (),
            path_demands(LATERAL_RULES[decision]),
        )
        for decision in Lateral
    ]
    return (*speed, *path)


def speed_demands(rule: SpeedRule) -> str:
    """A speed rule's bounds in words: m/s, and shares of the initial speed."""
    share = tuple(100.0 * bound for bound in rule.lowest)
    return "; ".join(
        filter(
            None,
            (
                _between("final minus initial speed", rule.change, "m/s"),
                _between("drop", rule.drop, "m/s"),
                _between("gain", rule.gain, "m/s"),
                _between("lowest speed", (share[0], share[1]), "% of the initial one"),
            ),
        )
    )


def path_demands(rule: PathRule) -> str:
    """A path rule's bounds in words: m towards the decision's side in the lane's frame, rad towards it."""
    return "; ".join(
        filter(
            None,
            (
                _between("sideways", rule.peak, "m"),
                _between("at the end", rule.final, "m"),
                _between("back", rule.back, "m"),
                _between("to the other side", (-math.inf, rule.wrong), "m"),
                _between("turned", rule.turn, "rad"),
                _between("end heading to lane", (-math.inf, rule.settled), "rad"),
                _between("end to lane centre", (-math.inf, rule.centred), "m"),
            ),
        )
    )


def _names(actions: frozenset[LongitudinalAction]) -> tuple[str, ...]:
    return tuple(META_ACTIONS[action][0].lower() for action in LongitudinalAction if action in actions)


def _between(what: str, bounds: tuple[float, float], unit: str) -> str:
    low, high = bounds
    if low == -math.inf and high == math.inf:
        return ""
    if low == -math.inf:
        return f"{what} ≤ {high:g} {unit}"
    return f"{what} ≥ {low:g} {unit}" if high == math.inf else f"{what} {low:g} to {high:g} {unit}"
