"""Counterfactual test of candidate causes: delete one at t0 and drive again.

Role: decides which candidates may be named. Invariant: a named factor changes the expert's motion by more
than the configured distance; deletions of all scenes are simulated in one batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scenes.decisions import FactorKind
from scenes.trajectory import FUTURE_STEPS, STEP_S
from scenes.world.batch import SLOTS, Batch, State, delete, take, take_state
from scenes.world.labels import NOW, Candidate
from scenes.world.simulation import Trace, simulate
from scenes.world.spec import SceneSpec

ROAD_KINDS = (FactorKind.CURVE, FactorKind.ROUTE_TURN, FactorKind.SPEED_LIMIT)
CONTROL_KINDS = (FactorKind.RED_LIGHT, FactorKind.STOP_SIGN)


def deviations(
    batch: Batch,
    state: State,
    trace: Trace,
    specs: Sequence[SceneSpec],
    asks: Sequence[tuple[int, Candidate]],
) -> np.ndarray:
    """Greatest longitudinal and lateral deviation m [len(asks), 2] within the horizon, one row an ask.

    batch, state: the scenes and their state at t0; trace: their full trace; asks: (row, candidate) to delete.
    Along the route and across it; for a turn, whose deletion moves the route itself, lateral is across the
    heading at t0.
    """
    rows = np.array([b for b, _ in asks], dtype=np.int64)
    agents = np.zeros((len(asks), SLOTS), bool)
    control, lane_end, bends = (np.zeros(len(asks), bool) for _ in range(3))
    for i, (b, candidate) in enumerate(asks):
        if candidate.kind is FactorKind.CONES:
            agents[i, [n for n, a in enumerate(specs[b].agents) if a.kind == "cone"]] = True
        elif candidate.slot is not None:
            agents[i, candidate.slot] = True
        control[i] = candidate.kind in CONTROL_KINDS
        lane_end[i] = candidate.kind is FactorKind.LANE_END
        bends[i] = candidate.kind in ROAD_KINDS
    turned = np.array([candidate.kind is FactorKind.ROUTE_TURN for _, candidate in asks], dtype=bool)
    gone, start = delete(take(batch, rows), take_state(state, rows), agents, control, lane_end, bends)
    other, _ = simulate(gone, start, FUTURE_STEPS)
    along = np.max(np.abs(other.s - trace.s[rows, NOW:]), axis=1)
    across = np.max(np.abs(other.d - trace.d[rows, NOW:]), axis=1)
    heading = np.max(np.abs(trace.ego[rows, NOW:, 2] - trace.ego[rows, NOW, None, 2]), axis=1)
    reach = STEP_S * np.sum(trace.ego[rows, NOW:, 3], axis=1) * np.sin(np.minimum(heading, 1.5)) * 0.5
    return np.stack([along, np.where(turned, np.maximum(across, reach), across)], axis=1)
