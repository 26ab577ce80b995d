"""Decisions and candidate causes, read off the expert's log.

Role: turns what bound the expert into one longitudinal and one lateral decision with the road users or rules
behind them. Invariant: the situation's name is never consulted; a scene whose log does not single out one
decision an axis is refused with a reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from scenes.decisions import Direction, FactorKind, Lateral, Longitudinal
from scenes.trajectory import HISTORY_STEPS, STEP_S
from scenes.world.batch import SLOTS
from scenes.world.expert import Bound
from scenes.world.lateral import Mode
from scenes.world.simulation import Trace
from scenes.world.spec import SceneSpec

NOW = HISTORY_STEPS - 1
SETTLED = NOW + 5
"""First step that counts for the longitudinal decision: 0.5 s after t0, the paper's keyframe lead."""
LATEST_START_S = 3.0
LEAST_COST = 0.8
"""Speed m/s that a constraint must cost within the horizon to be the decision."""

DECISION_OF: dict[Bound, Longitudinal] = {
    Bound.BEND: Longitudinal.SPEED_ADAPTATION,
    Bound.LEAD: Longitudinal.LEAD_FOLLOWING,
    Bound.RED: Longitudinal.STOP_STATIC,
    Bound.STOP_SIGN: Longitudinal.STOP_STATIC,
    Bound.OBSTACLE: Longitudinal.STOP_STATIC,
    Bound.WALKER: Longitudinal.YIELD,
    Bound.CROSSING: Longitudinal.YIELD,
    Bound.ONCOMING: Longitudinal.YIELD,
    Bound.GAP: Longitudinal.GAP_SEARCHING,
    Bound.LANE_END: Longitudinal.GAP_SEARCHING,
}
MANOEUVRE_OF: dict[Mode, Lateral] = {
    Mode.IN_LANE_NUDGE: Lateral.IN_LANE_NUDGE,
    Mode.OUT_OF_LANE_NUDGE: Lateral.OUT_OF_LANE_NUDGE,
    Mode.CHANGE: Lateral.LANE_CHANGE,
    Mode.MERGE: Lateral.MERGE_SPLIT,
    Mode.PULL_OVER: Lateral.PULL_OVER,
    Mode.ABORT: Lateral.ABORT,
}


class RefusedError(Exception):
    """The scene cannot carry a truthful label; the message is the reason, a short stable phrase."""


@dataclass(frozen=True)
class Candidate:
    """A possible cause. slot: agent slot, or None for a rule or road feature named by `kind`."""

    kind: FactorKind
    slot: int | None


@dataclass(frozen=True)
class Decision:
    """What the expert does, and the candidates for why, strongest first."""

    longitudinal: Longitudinal
    lateral: Lateral
    direction: Direction | None
    candidates: tuple[Candidate, ...]


def _costs(trace: Trace, b: int) -> np.ndarray:
    """[kinds, SLOTS + 1] speed m/s that each binding constraint cost after SETTLED (last column: no agent)."""
    costs = np.zeros((len(Bound), SLOTS + 1))
    late = slice(SETTLED, None)
    np.add.at(costs, (trace.bound[b, late], trace.bound_agent[b, late]), STEP_S * trace.cost[b, late])
    return costs


def _agent_kind(spec: SceneSpec, slot: int, default: FactorKind) -> FactorKind:
    kind = spec.agents[slot].kind
    if kind == "cone":
        return FactorKind.CONES
    return FactorKind.CYCLIST if kind == "cyclist" else default


def _road_factor(spec: SceneSpec) -> FactorKind:
    if spec.turn:
        return FactorKind.ROUTE_TURN
    return FactorKind.SPEED_LIMIT if math.isfinite(spec.limit_s) else FactorKind.CURVE


def _speed_candidate(spec: SceneSpec, bound: Bound, slot: int) -> Candidate:
    """The cause behind a binding constraint."""
    rules = {
        Bound.BEND: _road_factor(spec),
        Bound.RED: FactorKind.RED_LIGHT,
        Bound.STOP_SIGN: FactorKind.STOP_SIGN,
        Bound.LANE_END: FactorKind.LANE_END,
    }
    if bound in rules:
        return Candidate(rules[bound], None)
    if bound is Bound.LEAD:
        kind = FactorKind.CUT_IN_VEHICLE if spec.agents[slot].shift != 0.0 else FactorKind.LEAD_VEHICLE
        return Candidate(_agent_kind(spec, slot, kind), slot)
    kinds = {
        Bound.WALKER: FactorKind.PEDESTRIAN,
        Bound.CROSSING: FactorKind.CROSS_TRAFFIC,
        Bound.ONCOMING: FactorKind.ONCOMING_VEHICLE,
        Bound.GAP: FactorKind.ADJACENT_VEHICLE,
        Bound.OBSTACLE: FactorKind.PARKED_VEHICLE,
    }
    return Candidate(_agent_kind(spec, slot, kinds[bound]), slot)


def _longitudinal(
    spec: SceneSpec, trace: Trace, b: int, ambiguity: float
) -> tuple[Longitudinal, list[Candidate]]:
    costs = _costs(trace, b)
    # A vehicle that the expert lets go first to find a gap is its lead afterwards: one decision.
    let_go = costs[Bound.GAP] > 0.0
    costs[Bound.GAP] += np.where(let_go, costs[Bound.LEAD], 0.0)
    costs[Bound.LEAD] = np.where(let_go, 0.0, costs[Bound.LEAD])
    totals: dict[Longitudinal, float] = {}
    for bound, decision in DECISION_OF.items():
        totals[decision] = totals.get(decision, 0.0) + float(costs[bound].sum())
    ranked = sorted(totals.items(), key=lambda item: -item[1])
    (decision, most), (_, second) = ranked[0], ranked[1]
    if most < LEAST_COST:
        return Longitudinal.SET_SPEED_TRACKING, []
    if second > max(ambiguity * most, LEAST_COST):
        raise RefusedError("two constraints bind alike")
    mine = [bound for bound, owner in DECISION_OF.items() if owner is decision]
    bound = max(mine, key=lambda kind: float(costs[kind].sum()))
    slot = int(np.argmax(costs[bound]))
    return decision, [_speed_candidate(spec, bound, slot)]


def _lateral(spec: SceneSpec, trace: Trace, b: int) -> tuple[Lateral, Direction | None, list[Candidate]]:
    if spec.turn:
        side = Direction.LEFT if spec.turn > 0 else Direction.RIGHT
        return Lateral.TURN, side, [Candidate(FactorKind.ROUTE_TURN, None)]
    modes = trace.mode[b, NOW:]
    busy = np.flatnonzero(modes != Mode.KEEP)
    if len(busy) and modes[0] != Mode.KEEP and np.any(modes == Mode.ABORT):
        busy = np.flatnonzero(modes == Mode.ABORT)
    if not len(busy):
        return Lateral.LANE_KEEPING, None, []
    k = int(busy[0])
    if k * STEP_S > LATEST_START_S:
        if np.max(np.abs(trace.d[b, NOW:])) < 0.3:
            return Lateral.LANE_KEEPING, None, []
        raise RefusedError("manoeuvre starts late")
    mode = Mode(int(modes[k]))
    later = modes[k:]
    if np.any((later != mode) & (later != Mode.KEEP)):
        raise RefusedError("two manoeuvres")
    manoeuvre = MANOEUVRE_OF[mode]
    sign = -spec.started if mode is Mode.ABORT else np.sign(trace.target[b, NOW + k])
    side = Direction.LEFT if sign > 0 else Direction.RIGHT
    slot = int(trace.cause[b, NOW + k])
    if mode is Mode.MERGE:
        return manoeuvre, side, [Candidate(FactorKind.LANE_END, None)]
    if slot < 0:
        raise RefusedError("manoeuvre without a cause")
    stands = trace.agents[b, : NOW + 1, slot, 2].max() == 0.0
    kinds = {
        Mode.CHANGE: FactorKind.PARKED_VEHICLE if stands else FactorKind.LEAD_VEHICLE,
        Mode.PULL_OVER: FactorKind.ONCOMING_VEHICLE,
        Mode.ABORT: FactorKind.ADJACENT_VEHICLE,
    }
    return (
        manoeuvre,
        side,
        [Candidate(_agent_kind(spec, slot, kinds.get(mode, FactorKind.PARKED_VEHICLE)), slot)],
    )


def _blocked(spec: SceneSpec, trace: Trace, b: int) -> list[Candidate]:
    """Who forbade a manoeuvre for most of the first three seconds, and what asked for it."""
    blockers = trace.blocker[b, NOW : NOW + 30]
    found = blockers[blockers >= 0]
    if len(found) < 15:
        return []
    slot = int(np.bincount(found).argmax())
    against = spec.agents[slot].course == -1
    kind = FactorKind.ONCOMING_VEHICLE if against else FactorKind.ADJACENT_VEHICLE
    out = [Candidate(kind, slot)]
    parked = [
        n
        for n, a in enumerate(spec.agents)
        if a.v == 0.0
        and a.course == 1
        and not a.follows
        and abs(a.d) < 0.5 * spec.width + 0.3
        and a.s > trace.s[b, NOW]
    ]
    if against and parked:
        out.append(Candidate(_agent_kind(spec, parked[0], FactorKind.PARKED_VEHICLE), parked[0]))
    return out


def decide(spec: SceneSpec, trace: Trace, b: int, ambiguity: float) -> Decision:
    """The decision of row b of a full trace (from the first history step). Raises RefusedError."""
    lateral, direction, why_lateral = _lateral(spec, trace, b)
    longitudinal, why_speed = _longitudinal(spec, trace, b, ambiguity)
    speed = trace.ego[b, NOW:, 3]
    if (
        lateral is Lateral.LANE_CHANGE
        and longitudinal is Longitudinal.SET_SPEED_TRACKING
        and speed.max() - speed[0] >= 0.8
    ):
        longitudinal = Longitudinal.PASSING_ACCELERATION
    candidates: list[Candidate] = []
    why = why_lateral + why_speed if lateral is Lateral.ABORT else why_speed + why_lateral
    for candidate in [*why, *_blocked(spec, trace, b)]:
        same_agent = any(other.slot == candidate.slot is not None for other in candidates)
        if not same_agent and all(other.kind is not candidate.kind for other in candidates):
            candidates.append(candidate)
    return Decision(longitudinal, lateral, direction, tuple(candidates))
