"""The table of rollups: `rollups.parquet`, scalars by step and name.

Role: keeps what `rl.rollups` computes, so that an overview of a run costs O(steps), not O(rollouts).
Invariant: written whole and atomically, ordered by step; equal to what the ledger's parts give.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rl.run_directory import atomic_write

_SCHEMA = pa.schema([("step", pa.int64()), ("name", pa.string()), ("value", pa.float64())])

Series = dict[str, tuple[np.ndarray, np.ndarray]]
"""By name: steps [S] int64 ascending, values [S] float64."""


class RollupTable:
    """Scalars by step and name, saved whole: at 10,000 steps of 60 names a save takes about 0.3 s."""

    def __init__(self, table: pa.Table | None = None) -> None:
        self._tables = [_SCHEMA.empty_table() if table is None else table]

    @property
    def _table(self) -> pa.Table:
        """All rows; the pieces that `put` left are joined once, when somebody asks."""
        if len(self._tables) > 1:
            self._tables = [pa.concat_tables(self._tables).combine_chunks()]
        return self._tables[0]

    @classmethod
    def load(cls, path: Path) -> RollupTable:
        """The saved table; an empty one when there is none yet."""
        return cls(pq.read_table(path, schema=_SCHEMA) if path.is_file() else None)

    def steps(self) -> list[int]:
        """Steps it holds, ascending."""
        return sorted(pc.unique(self._table["step"]).to_pylist())

    def put(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add the scalars of a step, which must come after those it holds."""
        newest = self._tables[-1]["step"]
        last = newest[-1].as_py() if len(newest) else None
        if last is not None and step <= last:
            raise ValueError(f"step {step} is not after the last rolled-up step {last}")
        columns = [[step] * len(metrics), list(metrics), [float(value) for value in metrics.values()]]
        self._tables.append(pa.table(columns, schema=_SCHEMA))

    def discard_after(self, step: int) -> bool:
        """Drop the steps beyond `step`; returns whether there were any."""
        kept = self._table.filter(pc.less_equal(self._table["step"], step))
        dropped = len(kept) < len(self._table)
        self._tables = [kept]
        return dropped

    def series(self) -> Series:
        """Every scalar over the steps that have it."""
        if not len(self._table):
            return {}
        codes = self._table["name"].combine_chunks().dictionary_encode()
        steps, values = self._table["step"].to_numpy(), self._table["value"].to_numpy()
        indices = codes.indices.to_numpy()
        order = np.argsort(indices, kind="stable")
        ends = np.cumsum(np.bincount(indices, minlength=len(codes.dictionary)))
        pieces = zip(np.split(steps[order], ends[:-1]), np.split(values[order], ends[:-1]), strict=True)
        return dict(zip(codes.dictionary.to_pylist(), pieces, strict=True))

    def save(self, path: Path) -> None:
        """Write the table; complete or not at all."""
        with atomic_write(path) as file:
            pq.write_table(self._table, file, compression="zstd")
