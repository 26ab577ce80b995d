"""What the dashboard knows of one run: read-only, cached by what changed on disk.

Invariant: nothing here writes into the run; a run that is still starting answers with what there is.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from rl.dashboard.charts import charts, correlations
from rl.dashboard.clip_library import ClipLibrary, ClipSource
from rl.dashboard.group_index import GroupIndex, GroupQuery
from rl.dashboard.group_page import group_page
from rl.dashboard.panels import reward_names
from rl.ledger import LedgerReader, parts
from rl.metrics_log import MetricsReader
from rl.rollup_table import RollupTable, Series
from rl.run_directory import RunDirectory
from rl.run_registry import RunRegistry, RunState

SPARK_POINTS = 80


class RunView:
    """One run seen from the dashboard. `clip_stores` are asked before those that the run registered."""

    def __init__(self, run_dir: Path, clip_stores: Sequence[Path | str | ClipSource] = ()) -> None:
        self.run = RunDirectory(run_dir)
        self.index = GroupIndex(run_dir)
        self._extra_stores = list(clip_stores)
        self._library: tuple[list[str], ClipLibrary] | None = None
        self._metrics = MetricsReader(run_dir)
        self._rollups: tuple[int, Series] = (0, {})
        self._lock = threading.Lock()

    def series(self) -> Series:
        """Rollups and logged scalars by name; a rollup wins over a logged scalar of its name."""
        with self._lock:
            stamp = self.run.rollups.stat().st_mtime_ns if self.run.rollups.is_file() else 0
            if stamp != self._rollups[0]:
                self._rollups = (stamp, RollupTable.load(self.run.rollups).series())
            logged: Series = {}
            for name, values in self._metrics.read().items():
                steps = sorted(values)
                column = [np.nan if (v := values[step]) is None else v for step in steps]
                logged[name] = (np.array(steps, np.int64), np.array(column, np.float64))
            return logged | self._rollups[1]

    def overview(self, points: int) -> dict[str, Any]:
        """All charts, the state, the newest events and what to warn of."""
        series = self.series()
        rewards = reward_names(series)
        return {
            "name": self.run.name,
            "state": self.state(),
            "rewards": rewards,
            "weights": self.facts().get("reward_weights"),
            "headline": headline(series),
            "charts": charts(series, points),
            "correlations": correlations(series),
            "events": self.events(),
            "nonfinite": {name: steps[:20] for name, steps in self._metrics.nonfinite.items()},
            "has_summary": self.run.summary.is_file(),
        }

    def card(self) -> dict[str, Any]:
        """A line of the list of runs."""
        series = self.series()
        steps, values = series.get("reward", (np.zeros(0, int), np.zeros(0)))
        picked = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), SPARK_POINTS)).astype(int))
        return {
            "name": self.run.name,
            "state": self.state(),
            "steps": len(parts(self.run.path)),
            "rewards": reward_names(series),
            "headline": headline(series),
            "spark": [round(float(value), 5) for value in values[picked]],
            "has_summary": self.run.summary.is_file(),
        }

    def state(self) -> dict[str, Any] | None:
        """The registry's state; None before the job wrote one."""
        found = self._registry()
        state: RunState | None = None if found is None else found.state()
        return None if state is None else asdict(state)

    def events(self) -> list[dict[str, Any]]:
        """The newest events first."""
        found = self._registry()
        return [] if found is None else [asdict(event) for event in found.events()]

    def facts(self) -> dict[str, Any]:
        """The registry's facts."""
        found = self._registry()
        return {} if found is None else found.facts()

    def stamp(self) -> tuple[Any, ...]:
        """Changes whenever there is news: a part, a scalar, a state or a summary."""
        files = (self.run.rollups, self.run.metrics, self.run.summary)
        times = tuple(path.stat().st_mtime_ns if path.is_file() else 0 for path in files)
        state = self.state()
        return (len(parts(self.run.path)), *times, None if state is None else state["updated"])

    def group(self, step: int, group_id: str, query: GroupQuery) -> dict[str, Any]:
        """The page of one group with its place in a query's order. Raises LookupError."""
        group = LedgerReader(self.run.path).group(step, group_id)
        clip, problem = None, None
        try:
            clip = self.library().clip(group.clip_id)
        except (LookupError, OSError, ValueError) as error:
            problem = str(error.args[0]) if error.args else str(error)
        page = group_page(group, clip, problem)
        page["run"] = self.run.name
        page["place"] = self.index.neighbours(query, step, group_id)
        page["same_clip"] = self.index.same_clip(group.clip_id)
        page["weights"] = self.facts().get("reward_weights")
        return page

    def library(self) -> ClipLibrary:
        """The clips of this run: given stores first, then those that the run registered."""
        registered = [str(path) for path in self.facts().get("clip_stores", [])]
        with self._lock:
            if self._library is None or self._library[0] != registered:
                self._library = (registered, ClipLibrary([*self._extra_stores, *registered]))
            return self._library[1]

    def summary(self, tag: str = "") -> dict[str, Any] | None:
        """The run's summary.json, or that of `eval/<tag>/`; None before it was written."""
        if tag and tag not in self.evaluations():
            raise LookupError(f"run {self.run.name} has no evaluation {tag!r}")
        path = self.run.evaluations / tag / "summary.json" if tag else self.run.summary
        return json.loads(path.read_text()) if path.is_file() else None

    def evaluations(self) -> list[str]:
        """Tags under `eval/` that hold a summary."""
        return sorted(path.parent.name for path in self.run.evaluations.glob("*/summary.json"))

    def _registry(self) -> RunRegistry | None:
        return RunRegistry(self.run.path, read_only=True) if self.run.registry.is_file() else None


def headline(series: Series) -> list[dict[str, Any]]:
    """The few numbers that say how a run fares: mean over its newest tenth (at least 1, at most 20 steps) and
    over as many at its start."""
    wanted = [
        ("reward", "Total reward", "", 1),
        *((f"rewards/{name}/mean", name, "", 1) for name in reward_names(series)),
        ("completions/validity", "Valid", "share", 1),
        ("frac_reward_zero_std", "No signal", "share", -1),
        ("completions/mean_length", "Length", "tokens", 0),
        ("kl", "KL", "", 0),
        ("perf/step_s", "Step", "s", 0),
    ]
    found: list[dict[str, Any]] = []
    for name, label, unit, better in wanted:
        if name not in series:
            continue
        values = series[name][1]
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        window = min(max(len(values) // 10, 1), 20)
        now, then = float(values[-window:].mean()), float(values[:window].mean())
        row = {"name": name, "label": label, "unit": unit, "better": better, "now": now, "then": then}
        found.append(row | {"window": window})
    return found
