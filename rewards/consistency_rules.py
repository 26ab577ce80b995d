"""Decision → what a drive may and must do to carry it out, on each axis.

Role: the readable table behind the consistency reward. BOTH axes are ruled for EVERY decision: an axis left
free is where a policy hides (braking hard satisfied three decisions in this project's probe).
Thresholds here are bounds on net quantities; those of the meta-actions are in `meta_actions`. They were set
so that the clean expert of the procedural world passes with its label's own text
(`python -m rewards.consistency --ceiling`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rewards.meta_actions import LongitudinalAction
from scenes.decisions import Lateral, Longitudinal

A = LongitudinalAction
SLOWER = frozenset({A.GENTLE_DECELERATION, A.STRONG_DECELERATION, A.STOP})
FASTER = frozenset({A.GENTLE_ACCELERATION, A.STRONG_ACCELERATION})
STEADY = frozenset({A.MAINTAIN_SPEED})
INF = math.inf


@dataclass(frozen=True)
class SpeedRule:
    """allowed: every segment's action is one of these; needs: if not empty, some segment's is; opening: if not
    empty, the first segment that is not MAINTAIN_SPEED is one of these; change: bounds of final minus initial
    speed, m/s; lowest: bounds of the least speed reached, as a share of the initial speed."""

    allowed: frozenset[LongitudinalAction]
    needs: frozenset[LongitudinalAction] = frozenset()
    opening: frozenset[LongitudinalAction] = frozenset()
    change: tuple[float, float] = (-INF, INF)
    lowest: tuple[float, float] = (-INF, INF)


@dataclass(frozen=True)
class PathRule:
    """Displacements in m towards the decision's side (either side, without one), in the lane frame since t0.
    peak: bounds of the largest; final: bounds of the last; wrong: the most to the other side; turn: bounds of
    the net heading change towards the side, rad; settled: the most heading against the lane at the end, rad;
    centred: the most distance from the lane centre at the end."""

    peak: tuple[float, float] = (-INF, INF)
    final: tuple[float, float] = (-INF, INF)
    wrong: float = INF
    turn: tuple[float, float] = (-INF, INF)
    settled: float = INF
    centred: float = INF


LONGITUDINAL_RULES: dict[Longitudinal, SpeedRule] = {
    Longitudinal.SET_SPEED_TRACKING: SpeedRule(
        STEADY | {A.GENTLE_ACCELERATION}, change=(-1.5, 4.0), lowest=(0.8, INF)
    ),
    Longitudinal.LEAD_FOLLOWING: SpeedRule(
        STEADY | SLOWER | {A.GENTLE_ACCELERATION}, opening=SLOWER, change=(-INF, 0.8)
    ),
    Longitudinal.SPEED_ADAPTATION: SpeedRule(
        STEADY | SLOWER - {A.STOP} | {A.GENTLE_ACCELERATION}, needs=SLOWER, opening=SLOWER, lowest=(0.25, 0.93)
    ),
    Longitudinal.GAP_SEARCHING: SpeedRule(
        STEADY | SLOWER | {A.GENTLE_ACCELERATION}, needs=SLOWER, opening=SLOWER, lowest=(-INF, 0.95)
    ),
    Longitudinal.PASSING_ACCELERATION: SpeedRule(
        STEADY | FASTER, needs=FASTER, change=(0.8, INF), lowest=(0.9, INF)
    ),
    Longitudinal.YIELD: SpeedRule(
        STEADY | SLOWER | {A.GENTLE_ACCELERATION}, needs=SLOWER, opening=SLOWER, lowest=(-INF, 0.85)
    ),
    Longitudinal.STOP_STATIC: SpeedRule(STEADY | SLOWER, needs=SLOWER, opening=SLOWER, lowest=(-INF, 0.45)),
}

LATERAL_RULES: dict[Lateral, PathRule] = {
    Lateral.LANE_KEEPING: PathRule(peak=(-INF, 0.9), settled=0.15, centred=1.0),
    Lateral.MERGE_SPLIT: PathRule(peak=(2.0, 5.5), final=(2.0, 5.5), wrong=0.6, settled=0.3),
    Lateral.OUT_OF_LANE_NUDGE: PathRule(peak=(0.9, 4.0), wrong=0.6, settled=0.35),
    Lateral.IN_LANE_NUDGE: PathRule(peak=(0.1, 1.4), wrong=0.4, settled=0.25),
    Lateral.LANE_CHANGE: PathRule(peak=(2.0, 5.5), final=(2.0, 5.5), wrong=0.6, settled=0.3),
    Lateral.PULL_OVER: PathRule(peak=(0.4, 4.5), wrong=0.5, settled=0.4),
    Lateral.TURN: PathRule(turn=(0.5, 2.4)),
    Lateral.ABORT: PathRule(final=(0.1, 3.5), wrong=1.2, settled=0.25, centred=1.0),
}

# Words of speed beyond the decision bind too: who says "slow" or "brake" must slow down.
SLOW_WORDS = SpeedRule(frozenset(A), needs=SLOWER)
STOP_WORDS = SpeedRule(frozenset(A), needs=SLOWER, lowest=(-INF, 0.45))
KEEP_WORDS = SpeedRule(STEADY | {A.GENTLE_ACCELERATION}, lowest=(0.8, INF))
ACCELERATE_WORDS = SpeedRule(STEADY | FASTER, needs=FASTER)
