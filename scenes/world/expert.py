"""The expert's speed: the strictest of its constraints, each with the road user or rule that imposes it.

Role: one time step of longitudinal control. Invariant: what binds is logged, and labels are derived from that
log alone. Constraints are the Intelligent Driver Model's braking terms against leads and virtual walls.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from scenes.dynamics import forward_only
from scenes.trajectory import STEP_S
from scenes.world.batch import KINDS, Batch, State
from scenes.world.lateral import Mode, Plan
from scenes.world.route import ALLOWED
from scenes.world.spec import EGO_FRONT
from scenes.world.traffic import ACCEL, HARDEST, interaction

HALF_WIDTH = 0.95
JERK, HARD_JERK = 3.5, 8.0
PULL_OUT_M = 7.0
"""Distance the expert keeps behind an obstacle that it waits to drive around, m."""
STOP_BRAKING, END_BRAKING, FADE = 1.8, 0.25, 0.8
WALK = KINDS.index("pedestrian")


class Bound(IntEnum):
    """What a constraint on the expert's speed comes from."""

    FREE = 0
    BEND = 1
    LEAD = 2
    RED = 3
    STOP_SIGN = 4
    WALKER = 5
    CROSSING = 6
    ONCOMING = 7
    GAP = 8
    LANE_END = 9
    OBSTACLE = 10


@dataclass(frozen=True)
class Speed:
    """Acceleration m/s² [B] of the expert, the constraint that binds, its agent slot (-1: none) and how much
    acceleration it costs against the free road."""

    accel: np.ndarray
    bound: np.ndarray
    agent: np.ndarray
    cost: np.ndarray


def _soft_braking(v: np.ndarray) -> np.ndarray:
    """Deceleration m/s² of a comfortable stop at speed v: it fades so that the last step has little jerk."""
    return np.minimum(STOP_BRAKING, END_BRAKING + FADE * v)


def _stopping_distance(v: np.ndarray) -> np.ndarray:
    """Distance m that _soft_braking takes from speed v to 0: the integral of v/b(v)."""
    knee = (STOP_BRAKING - END_BRAKING) / FADE
    slow = np.minimum(v, knee)
    soft = slow / FADE - END_BRAKING / FADE**2 * np.log1p(FADE * slow / END_BRAKING)
    return soft + np.maximum(v * v - knee * knee, 0.0) / (2.0 * STOP_BRAKING)


def _wall(v: np.ndarray, gap: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Braking term before a line `gap` m ahead of the bumper: little while the stopping distance is well below
    the gap, a comfortable stop when it equals it, harder when it exceeds it. free: acceleration without it."""
    urgency = np.minimum((_stopping_distance(v) / np.maximum(gap, 0.05)) ** 4, 2.5)
    hold = (gap < 0.5) & (v < 0.5)
    push = np.maximum(free, 0.0)
    return np.where(hold, push + _soft_braking(v), (push + _soft_braking(v)) * urgency)


def _agent_terms(batch: Batch, state: State, plan: Plan, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Braking terms [B, N] of all agents and the kinds [B, N] of constraint they are."""
    traffic = batch.traffic
    v, d, rate, push = state.v[:, None], plan.agent_d, plan.agent_rate, free[:, None]
    reach = HALF_WIDTH + traffic.half_wide + 0.25
    soon = d + np.where(traffic.course == 0, 0.0, np.clip(1.2 * rate, -1.6, 1.6))
    in_way = traffic.present & (np.abs(soon - plan.target[:, None]) < reach) & (plan.front_gap > -2.0)
    along, against, across = traffic.course == 1, traffic.course == -1, traffic.course == 0
    closing = v - np.where(along, state.agent_v, 0.0)
    lead = interaction(v, closing, plan.front_gap)
    wall = _wall(v, plan.front_gap - np.where(traffic.edge != 0, PULL_OUT_M, 1.5), push)
    terms = np.where(along & in_way, np.where(traffic.parked, wall, lead), 0.0)
    asleep = (state.time < batch.onset)[:, None] & (traffic.edge != 0)
    terms = np.where(asleep, 0.0, terms)
    # Pulling out from near standstill: creep until beside the obstacle's line, not into its corner.
    corner = (traffic.edge != 0) & ~in_way & traffic.present & (plan.front_gap > -1.0) & (v < 4.0)
    corner &= np.abs(d - state.d[:, None]) < HALF_WIDTH + traffic.half_wide + 0.2
    terms = np.where(corner, _wall(v, plan.front_gap - 0.5, push), terms)
    kinds = np.where(traffic.parked, int(Bound.OBSTACLE), int(Bound.LEAD))
    # Whoever crosses is given way until off the expert's corridor; signals govern crossing vehicles.
    walks = traffic.kind == WALK
    side = np.where(walks, 1.6, 1.9) + np.where(walks, 0.0, traffic.half_wide)
    offset = (plan.target[:, None] - d) * traffic.sign
    time_in = (offset - side) / np.maximum(state.agent_v, 0.1)
    entering = (offset > side) & (state.agent_v > 0.3) & (time_in < np.where(walks, 3.5, 4.5))
    inside = np.abs(offset) <= side
    governed = ~walks & ((batch.control == 1) | (batch.control == 2))[:, None]
    held = traffic.present & across & (entering | inside) & ~governed
    line = batch.stop_s[:, None] - state.s[:, None] - EGO_FRONT
    before = np.where(line > -0.5, np.minimum(line, plan.front_gap - 2.0), plan.front_gap - 2.0)
    held &= before > -1.0
    terms = np.where(held, _wall(v, before, push), terms)
    kinds = np.where(across, np.where(walks, int(Bound.WALKER), int(Bound.CROSSING)), kinds)
    # Meeting an oncoming vehicle that needs the expert's space: stop short of the meeting point.
    meeting = traffic.present & against & (plan.front_gap > -4.0) & (np.abs(d) < reach)
    meeting &= (state.time >= batch.onset)[:, None]
    meeting &= plan.front_gap < (v + state.agent_v) * 5.0 + 10.0
    aside = (plan.mode == Mode.PULL_OVER)[:, None]
    ease = np.maximum(push, 0.0) + 0.8 * _soft_braking(v)
    wait = _wall(v, np.maximum(0.5 * plan.front_gap - 3.0, 0.0), push)
    terms = np.where(meeting, np.where(aside, ease, wait), terms)
    kinds = np.where(against, int(Bound.ONCOMING), kinds)
    return terms, kinds


def _blocked_terms(
    batch: Batch, state: State, plan: Plan, free: np.ndarray, terms: np.ndarray, kinds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Name the blocker when the expert waits behind an obstacle for it, and drop back from one alongside."""
    rows = np.arange(len(plan.target))
    blocked = plan.blocker >= 0
    slot = np.maximum(plan.blocker, 0)
    against = batch.traffic.course[rows, slot] == -1
    obstacle = np.max(np.where(kinds == Bound.OBSTACLE, terms, 0.0), axis=1)
    waits = blocked & (obstacle > 0.0)
    shut = waits[:, None] & (kinds == Bound.OBSTACLE)
    terms = np.where(shut, 0.0, terms)
    gap = np.maximum(plan.front_gap[rows, slot], 1.5)
    back = np.minimum(interaction(state.v, state.v - state.agent_v[rows, slot], gap, 0.6, 2.5), ACCEL + 1.6)
    wall_end = np.where(
        plan.needs_gap, _wall(state.v, batch.lane_end_s - state.s - EGO_FRONT - 4.0, free), 0.0
    )
    term = np.where(against, obstacle, np.maximum(back, np.maximum(obstacle, wall_end)))
    use = blocked & (waits | plan.needs_gap)
    terms[rows, slot] = np.where(use, np.maximum(terms[rows, slot], term), terms[rows, slot])
    kinds = kinds.copy()
    kinds[rows, slot] = np.where(use & ~against, int(Bound.GAP), kinds[rows, slot])
    return terms, kinds


def drive(batch: Batch, state: State, plan: Plan) -> Speed:
    """The expert's acceleration at this step."""
    v = state.v
    free = ACCEL * np.maximum(1.0 - (v / batch.v_set) ** 4, -1.0)
    terms, kinds = _agent_terms(batch, state, plan, free)
    terms, kinds = _blocked_terms(batch, state, plan, free, terms, kinds)
    agent = np.argmax(terms, axis=1)
    rows = np.arange(len(v))
    line = batch.stop_s - state.s - EGO_FRONT
    wall = np.where(line > -1.0, _wall(v, line - 0.4, free), 0.0)
    allowed = batch.routes.at(state.s + 0.4 * v)[:, ALLOWED]
    bend = np.where(allowed < batch.v_set, free - np.clip((allowed - v) / 0.7, -2.5, ACCEL), 0.0)
    end = batch.lane_end_s - state.s - EGO_FRONT - 4.0
    staying = (plan.mode != Mode.MERGE) & np.isfinite(end)
    rules = np.stack(
        [
            np.maximum(bend, 0.0),
            np.where(batch.control == 1, wall, 0.0),
            np.where(batch.control == 3, wall, 0.0),
            np.where(staying, _wall(v, np.where(staying, end, 1e6), free), 0.0),
        ]
    )
    rule = np.argmax(rules, axis=0)
    rule_cost, agent_cost = rules[rule, rows], terms[rows, agent]
    cost = np.maximum(rule_cost, agent_cost)
    names = np.array([Bound.BEND, Bound.RED, Bound.STOP_SIGN, Bound.LANE_END])
    bound = np.where(agent_cost >= rule_cost, kinds[rows, agent], names[rule])
    bound = np.where(cost > 1e-6, bound, int(Bound.FREE))
    wish = np.clip(free - cost, -HARDEST, ACCEL)
    last = np.where(np.isnan(state.accel), wish, state.accel)
    down = np.where(wish < -2.5, HARD_JERK, JERK) * STEP_S
    accel = np.clip(wish, last - down, last + JERK * STEP_S)
    return Speed(forward_only(accel, v), bound, np.where(agent_cost >= rule_cost, agent, -1), cost)
