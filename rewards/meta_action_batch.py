"""Meta-actions of many drives at once: the same segments as `rewards.meta_actions` gives them one by one.

Role: what makes the consistency reward cheap on a batch: compiled loops (`rewards.compiled.segments`) fill columns,
and segments are built as objects for those who ask.
Invariant: row r equals longitudinal_segments(states[r]) and lateral_segments(states[r]) (tested).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rewards.meta_actions import LateralAction, LongitudinalAction, Segment

Action = LongitudinalAction | LateralAction
LONGITUDINAL: tuple[Action, ...] = tuple(LongitudinalAction)
LATERAL: tuple[Action, ...] = tuple(LateralAction)
SHORTEST_LONGITUDINAL = np.array([12 if a is LongitudinalAction.MAINTAIN_SPEED else 8 for a in LONGITUDINAL])
SHORTEST_LATERAL = np.full(len(LATERAL), 10)


@dataclass(frozen=True)
class Runs:
    """Segments of R drives. number: [R]; codes: [R, K], of which row r uses the first number[r], places in actions;
    bounds: [R, K + 1], of which it uses one more."""

    actions: tuple[Action, ...]
    number: np.ndarray
    codes: np.ndarray
    bounds: np.ndarray

    def row(self, row: int) -> tuple[Action, ...]:
        """The actions of a drive, in order."""
        return tuple([self.actions[code] for code in self.codes[row, : int(self.number[row])].tolist()])

    def segments(self, row: int) -> tuple[Segment, ...]:
        """The segments of a drive."""
        number = int(self.number[row])
        actions = [self.actions[code] for code in self.codes[row, :number].tolist()]
        bounds = self.bounds[row, : number + 1].tolist()
        return tuple(map(Segment, actions, bounds[:-1], bounds[1:]))


def longitudinal_batch(states: np.ndarray) -> list[tuple[Segment, ...]]:
    """Longitudinal segments of each row of states [R, K, 4]; see `meta_actions.longitudinal_segments`."""
    runs = longitudinal_runs(states)
    return [runs.segments(row) for row in range(len(states))]


def lateral_batch(states: np.ndarray) -> list[tuple[Segment, ...]]:
    """Lateral segments of each row of states [R, K, 4]; see `meta_actions.lateral_segments`."""
    runs = lateral_runs(states)
    return [runs.segments(row) for row in range(len(states))]


def longitudinal_runs(states: np.ndarray) -> Runs:
    """What `longitudinal_batch` tells, as columns."""
    from rewards.compiled.segments import longitudinal

    return Runs(LONGITUDINAL, *longitudinal(np.ascontiguousarray(states), SHORTEST_LONGITUDINAL))


def lateral_runs(states: np.ndarray) -> Runs:
    """What `lateral_batch` tells, as columns."""
    from rewards.compiled.segments import lateral

    return Runs(LATERAL, *lateral(np.ascontiguousarray(states), SHORTEST_LATERAL))
