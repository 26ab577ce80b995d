"""Scores of a batch as columns.

Role: what a rule reward answers with when it scores tens of thousands of rollouts a second: a table is filled and
packed for the wire without an object a rollout. It is a sequence of `Score`s to everybody else.
Invariant: as `rewards.score.Score`: a row has a finite value, or a status that says why there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import overload

import numpy as np

from rewards.score import Score, Status


@dataclass(frozen=True)
class ScoreTable(Sequence[Score]):
    """R scores of one reward. values: [R], NaN where missing; names: of C components; parts: [R, C], NaN where a
    rollout has no such component; told: R explanations; missing: status by row, of those without a value;
    latency_s: of each."""

    reward: str
    version: str
    values: np.ndarray
    names: tuple[str, ...]
    parts: np.ndarray
    told: Sequence[str]
    missing: Mapping[int, Status] = field(default_factory=dict)
    latency_s: float = 0.0

    def __post_init__(self) -> None:
        empty = np.flatnonzero(~np.isfinite(self.values)).tolist()
        if empty != sorted(self.missing):
            rows = sorted(set(empty) ^ set(self.missing))[:5]
            raise ValueError(
                f"scores of {self.reward!r}: value and status of rows {rows} contradict each other"
            )

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, index: int) -> Score: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Score]: ...
    def __getitem__(self, index: int | slice) -> Score | Sequence[Score]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        row = range(len(self))[index]
        return self._score(row, float(self.values[row]), self.parts[row].tolist())

    def __iter__(self) -> Iterator[Score]:
        return map(self._score, range(len(self)), self.values.tolist(), self.parts.tolist())

    def _score(self, row: int, value: float, parts: Sequence[float]) -> Score:
        if row in self.missing:
            why, status = self.told[row], self.missing[row]
            return Score(self.reward, None, status, {}, why, self.version, latency_s=self.latency_s)
        # A NaN is no component and equals nothing.
        found = {name: part for name, part in zip(self.names, parts, strict=True) if part == part}
        return Score.of_table(self._common, value, found, self.told[row])

    @cached_property
    def _common(self) -> dict[str, object]:
        """What every score of the table has."""
        one = Score(self.reward, 0.0, Status.OK, {}, "", self.version, latency_s=self.latency_s)
        return dict(vars(one))
