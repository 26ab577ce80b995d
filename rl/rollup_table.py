"""The table of rollups: `rollups.parquet`, scalars by step and name.

Role: keeps what `rl.rollups` computes, so that an overview of a run costs O(steps), not O(rollouts).
Invariant: written whole and atomically; equal to what the ledger's parts give.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rl.run_directory import atomic_write

_SCHEMA = pa.schema([("step", pa.int64()), ("name", pa.string()), ("value", pa.float64())])


class RollupTable:
    """Scalars by step and name. Saved whole and atomically: at 10,000 steps of 60 names it is a few MB."""

    def __init__(self) -> None:
        self._steps: dict[int, dict[str, float]] = {}

    @classmethod
    def load(cls, path: Path) -> RollupTable:
        """The saved table; an empty one when there is none yet."""
        table = cls()
        if path.is_file():
            columns = pq.read_table(path).to_pydict()
            for step, name, value in zip(columns["step"], columns["name"], columns["value"], strict=True):
                table._steps.setdefault(step, {})[name] = value
        return table

    def steps(self) -> list[int]:
        """Steps it holds, ascending."""
        return sorted(self._steps)

    def put(self, step: int, metrics: Mapping[str, float]) -> None:
        """Set the scalars of a step."""
        self._steps[step] = dict(metrics)

    def discard_after(self, step: int) -> bool:
        """Drop the steps beyond `step`; returns whether there were any."""
        kept = {at: metrics for at, metrics in self._steps.items() if at <= step}
        dropped = len(kept) < len(self._steps)
        self._steps = kept
        return dropped

    def series(self) -> dict[str, dict[int, float]]:
        """{name: {step: value}}, steps ascending."""
        series: dict[str, dict[int, float]] = {}
        for step in self.steps():
            for name, value in self._steps[step].items():
                series.setdefault(name, {})[step] = value
        return series

    def save(self, path: Path) -> None:
        """Write the table; complete or not at all."""
        rows = [(step, name, v) for step in self.steps() for name, v in self._steps[step].items()]
        columns = list(zip(*rows, strict=True)) or [(), (), ()]
        with atomic_write(path) as file:
            pq.write_table(pa.table([*map(list, columns)], schema=_SCHEMA), file, compression="zstd")
