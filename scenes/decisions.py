"""Closed sets of driving decisions and causal factors that a Chain-of-Causation names.

Role: the one vocabulary that the world's labels, the text parsers and the critic's rubric share.
Invariant: names are stable identifiers (they are stored in ledgers); add, never rename.
Source of the decisions: Alpamayo-R1 paper (arXiv 2511.00088), Table 1.
"""

from __future__ import annotations

from enum import StrEnum


class Longitudinal(StrEnum):
    """Longitudinal decisions; at most one a clip."""

    SET_SPEED_TRACKING = "set_speed_tracking"
    LEAD_FOLLOWING = "lead_obstacle_following"
    SPEED_ADAPTATION = "speed_adaptation"
    GAP_SEARCHING = "gap_searching"
    PASSING_ACCELERATION = "acceleration_for_passing"
    YIELD = "yield"
    STOP_STATIC = "stop_for_static_constraint"


class Lateral(StrEnum):
    """Lateral decisions; at most one a clip."""

    LANE_KEEPING = "lane_keeping"
    MERGE_SPLIT = "merge_split"
    OUT_OF_LANE_NUDGE = "out_of_lane_nudge"
    IN_LANE_NUDGE = "in_lane_nudge"
    LANE_CHANGE = "lane_change"
    PULL_OVER = "pull_over"
    TURN = "turn"
    ABORT = "lateral_maneuver_abort"


class Direction(StrEnum):
    """Side of a lateral manoeuvre, seen from the ego vehicle."""

    LEFT = "left"
    RIGHT = "right"


class FactorKind(StrEnum):
    """Kinds of causal factor; the paper's Table 2 categories, made concrete."""

    LEAD_VEHICLE = "lead_vehicle"
    CUT_IN_VEHICLE = "cut_in_vehicle"
    CROSS_TRAFFIC = "cross_traffic"
    ONCOMING_VEHICLE = "oncoming_vehicle"
    ADJACENT_VEHICLE = "adjacent_vehicle"
    PARKED_VEHICLE = "parked_vehicle"
    PEDESTRIAN = "pedestrian"
    CYCLIST = "cyclist"
    CONES = "cones"
    RED_LIGHT = "red_light"
    GREEN_LIGHT = "green_light"
    STOP_SIGN = "stop_sign"
    CURVE = "curve"
    LANE_END = "lane_end"
    ROUTE_TURN = "route_turn"
    SPEED_LIMIT = "speed_limit"
