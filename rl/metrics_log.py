"""Scalars of a run, one JSON line a step and writer: `metrics.jsonl`.

Role: what the learner, the curator and the job measure (loss, kl, entropy, curator/*, perf/*); what follows
from rollouts alone is in `rollups.parquet`.
Invariant: lines are appended whole; a torn last line (a killed writer) is never read and is cut on reopening.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path

from rl.run_directory import RunDirectory, atomic_write


class MetricsLog:
    """Appends scalars; the state is the file. A value that is not finite is stored as null, and its name
    under "nonfinite", so that a chart shows the gap and the cause is not lost."""

    def __init__(self, run_dir: Path | str) -> None:
        self.path = RunDirectory(Path(run_dir)).metrics
        self.path.parent.mkdir(parents=True, exist_ok=True)
        _cut_torn_line(self.path)

    def append(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add the scalars of one step. Several lines of one step are merged, the later value wins."""
        values = {name: float(value) for name, value in metrics.items()}
        bad = sorted(name for name, value in values.items() if not math.isfinite(value))
        line = {
            "step": int(step),
            "time": round(time.time(), 3),
            "metrics": {name: (value if math.isfinite(value) else None) for name, value in values.items()},
        }
        if bad:
            line["nonfinite"] = bad
        with self.path.open("ab") as file:
            file.write(json.dumps(line, separators=(",", ":"), allow_nan=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def discard_after(self, step: int) -> int:
        """Drop the lines beyond `step` (on resume from its checkpoint); returns how many."""
        if not self.path.is_file():
            return 0
        lines = self.path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if int(json.loads(line)["step"]) <= step]
        if len(kept) < len(lines):
            with atomic_write(self.path) as file:
                file.writelines(kept)
        return len(lines) - len(kept)


class MetricsReader:
    """Follows a growing `metrics.jsonl`: `read` returns {name: {step: value or None}}, re-reading only what
    was appended since, or everything when the file was replaced."""

    def __init__(self, run_dir: Path | str) -> None:
        self.path = RunDirectory(Path(run_dir)).metrics
        self._inode = 0
        self._offset = 0
        self._series: dict[str, dict[int, float | None]] = {}
        self.nonfinite: dict[str, list[int]] = {}

    def read(self) -> dict[str, dict[int, float | None]]:
        """Series by name; the dictionary belongs to the reader and grows at the next call. Raises ValueError
        naming the line that is not JSON."""
        if not self.path.is_file():
            return {}
        with self.path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_ino != self._inode or status.st_size < self._offset:
                self._inode, self._offset = status.st_ino, 0
                self._series, self.nonfinite = {}, {}
            file.seek(self._offset)
            block = file.read()
        complete = block[: block.rfind(b"\n") + 1]
        for line in complete.splitlines():
            self._take(line)
        self._offset += len(complete)
        return self._series

    def _take(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            step, metrics = int(record["step"]), dict(record["metrics"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{self.path}: the line {line[:80]!r} is not a metrics record; delete that line to go on"
            ) from error
        for name, value in metrics.items():
            self._series.setdefault(name, {})[step] = value
        for name in record.get("nonfinite", []):
            self.nonfinite.setdefault(name, []).append(step)


def _cut_torn_line(path: Path) -> None:
    if not path.is_file():
        return
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)
