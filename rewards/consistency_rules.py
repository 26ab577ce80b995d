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
from functools import cached_property

from rewards.decision_phrases import Speed
from rewards.meta_actions import LongitudinalAction
from scenes.decisions import FactorKind, Lateral, Longitudinal

A = LongitudinalAction
SLOWER = frozenset({A.GENTLE_DECELERATION, A.STRONG_DECELERATION, A.STOP})
FASTER = frozenset({A.GENTLE_ACCELERATION, A.STRONG_ACCELERATION})
STEADY = frozenset({A.MAINTAIN_SPEED})
INF = math.inf


@dataclass(frozen=True)
class Bound:
    """What must lie in [low, high], in `unit`, and how to say that it does not."""

    what: str
    unit: str
    low: float
    high: float

    def fault(self, value: float) -> str:
        """A value outside, in words."""
        return f"{self.what} {value:.2f}{self._too_low if value < self.low else self._too_high}"

    # Most rollouts break a bound: what does not depend on the value is put together once.
    @cached_property
    def _too_low(self) -> str:
        return f"{' ' * bool(self.unit)}{self.unit}, should be at least {self.low:g}"

    @cached_property
    def _too_high(self) -> str:
        return f"{' ' * bool(self.unit)}{self.unit}, should be at most {self.high:g}"


@dataclass(frozen=True)
class SpeedRule:
    """allowed: every segment's action is one of these; opening: if not empty, the first segment that is not
    MAINTAIN_SPEED is one of these; change: bounds of final minus initial speed, m/s; drop: bounds of initial
    minus lowest speed; gain: bounds of highest minus initial speed; lowest: bounds of the lowest speed as a
    share of the initial one."""

    allowed: frozenset[LongitudinalAction]
    opening: frozenset[LongitudinalAction] = frozenset()
    change: tuple[float, float] = (-INF, INF)
    drop: tuple[float, float] = (-INF, INF)
    gain: tuple[float, float] = (-INF, INF)
    lowest: tuple[float, float] = (-INF, INF)

    @cached_property
    def bounds(self) -> tuple[Bound, ...]:
        """Of the values of `rule_faults.speed_values`."""
        return (
            Bound("speed change", "m/s", *self.change),
            Bound("speed drop", "m/s", *self.drop),
            Bound("speed gain", "m/s", *self.gain),
            Bound("lowest over initial speed", "", *self.lowest),
        )


@dataclass(frozen=True)
class PathRule:
    """Displacements in m towards the decision's side (either side, without one), in the lane frame since t0.
    peak: bounds of the largest; final: bounds of the last; back: bounds of the last minus the least; wrong: the
    most to the other side; turn: bounds of the net heading change towards the side, rad; settled: the most
    heading against the lane at the end, rad; centred: the most distance from the lane centre at the end."""

    peak: tuple[float, float] = (-INF, INF)
    final: tuple[float, float] = (-INF, INF)
    back: tuple[float, float] = (-INF, INF)
    wrong: float = INF
    turn: tuple[float, float] = (-INF, INF)
    settled: float = INF
    centred: float = INF

    @cached_property
    def bounds(self) -> tuple[Bound, ...]:
        """Of the values of `rule_faults.path_values`."""
        return (
            Bound("sideways", "m", *self.peak),
            Bound("sideways at the end", "m", *self.final),
            Bound("back", "m", *self.back),
            Bound("to the wrong side", "m", -INF, self.wrong),
            Bound("turns", "rad", *self.turn),
            Bound("heading off the lane", "rad", -INF, self.settled),
            Bound("off the lane centre", "m", -INF, self.centred),
        )


# The detector calls a change of at least 0.8 m/s acceleration or deceleration.
STEP = 0.8

LONGITUDINAL_RULES: dict[Longitudinal, SpeedRule] = {
    Longitudinal.SET_SPEED_TRACKING: SpeedRule(
        STEADY | {A.GENTLE_ACCELERATION}, drop=(-INF, 1.2), gain=(-INF, 3.0), lowest=(0.8, INF)
    ),
    Longitudinal.LEAD_FOLLOWING: SpeedRule(
        STEADY | SLOWER | {A.GENTLE_ACCELERATION}, drop=(0.4, INF), gain=(-INF, 2.5)
    ),
    Longitudinal.SPEED_ADAPTATION: SpeedRule(
        STEADY | SLOWER - {A.STOP} | {A.GENTLE_ACCELERATION},
        opening=SLOWER,
        drop=(STEP, INF),
        lowest=(0.3, 1.0),
    ),
    Longitudinal.GAP_SEARCHING: SpeedRule(
        STEADY | SLOWER - {A.STOP} | {A.GENTLE_ACCELERATION},
        opening=SLOWER,
        drop=(STEP, INF),
        lowest=(0.25, 1.0),
    ),
    Longitudinal.PASSING_ACCELERATION: SpeedRule(STEADY | FASTER, drop=(-INF, STEP), gain=(STEP, INF)),
    Longitudinal.YIELD: SpeedRule(
        frozenset(A) - {A.REVERSE}, opening=SLOWER, drop=(1.5, INF), lowest=(-INF, 0.75)
    ),
    Longitudinal.STOP_STATIC: SpeedRule(
        STEADY | SLOWER, opening=SLOWER, drop=(STEP, INF), lowest=(-INF, 0.4)
    ),
}

LATERAL_RULES: dict[Lateral, PathRule] = {
    # A lane that itself turns a corner (1.57 rad) is a turn.
    Lateral.LANE_KEEPING: PathRule(peak=(-INF, 0.8), turn=(-INF, 1.54), settled=0.15, centred=1.0),
    Lateral.MERGE_SPLIT: PathRule(peak=(2.0, 5.0), final=(2.0, 5.0), wrong=0.6, settled=0.25),
    Lateral.OUT_OF_LANE_NUDGE: PathRule(peak=(0.9, 2.8), wrong=0.6, settled=0.3),
    Lateral.IN_LANE_NUDGE: PathRule(peak=(0.3, 1.3), wrong=0.4, settled=0.2),
    Lateral.LANE_CHANGE: PathRule(peak=(2.0, 5.0), final=(2.0, 5.0), wrong=0.6, settled=0.25),
    Lateral.PULL_OVER: PathRule(peak=(0.6, 4.5), wrong=0.5, settled=0.4),
    Lateral.TURN: PathRule(turn=(0.8, 2.3)),
    Lateral.ABORT: PathRule(wrong=2.4, back=(0.6, 4.0), settled=0.2, centred=1.0),
}

# Who stops for a light or a stop sign stands near the first stop line on the way: front bumper before it, m.
STOP_GAP = Bound("stands before the line", "m", -2.0, 10.0)
LINE_CAUSES = frozenset({FactorKind.RED_LIGHT, FactorKind.STOP_SIGN})

# Words of speed beyond the decision bind too: who says "slow" or "brake" must slow down.
SLOW_WORDS = SpeedRule(frozenset(A), drop=(STEP, INF))
STOP_WORDS = SpeedRule(frozenset(A), lowest=(-INF, 0.4))
KEEP_WORDS = LONGITUDINAL_RULES[Longitudinal.SET_SPEED_TRACKING]
ACCELERATE_WORDS = SpeedRule(STEADY | FASTER, gain=(STEP, INF))
SPEED_WORDS: dict[Speed, SpeedRule] = {
    Speed.STOP: STOP_WORDS,
    Speed.SLOW: SLOW_WORDS,
    Speed.KEEP: KEEP_WORDS,
    Speed.ACCELERATE: ACCELERATE_WORDS,
}
