"""A rescoring from ledger to report: parts over processes, tallies merged in order.

Invariant: memory does not grow with the number of rollouts: parts are read one task at a time in each process,
and only tallies come back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from rl.ledger import parts
from rl.rescoring.plan import RescorePlan
from rl.rescoring.processes import run_tasks
from rl.rescoring.report import report_of
from rl.rescoring.tally import Tally
from rl.rescoring.worker import PartRescorer
from rl.run_directory import RunDirectory

MOST_PARTS = 64

Progress = Callable[[int, int], None]


def rescore_run(
    run_dir: Path | str,
    plan: RescorePlan,
    steps: tuple[int, int | None] = (1, None),
    processes: int = 2,
    deadline_s: float = 300.0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The report of a rescoring, as JSON; see `rl.rescoring.report`.

    steps: first and last, inclusive; deadline_s: for one task, some thousand rollouts; progress: called with
    parts done and parts in all. Raises LookupError when the ledger has no such step, and what scoring raises.
    """
    run = RunDirectory.existing(run_dir)
    first, last = steps
    chosen = [path for step, path in parts(run.path, last).items() if step >= first]
    if not chosen:
        asked = f"steps {first} to {'the end' if last is None else last}"
        raise LookupError(
            f"{run.ledger} has no parts of {asked}; wait for the run's first step, or ask for others"
        )
    began = time.perf_counter()
    tasks = _tasks(chosen, plan.batch)
    whole = Tally(plan.asked, plan.top)
    done = 0
    make = partial(PartRescorer, plan)
    for tally, task in zip(run_tasks(make, tasks, processes, deadline_s, _name), tasks, strict=True):
        whole.merge(tally)
        done += len(task)
        if progress is not None:
            progress(done, len(chosen))
    return report_of(run.name, plan, whole, time.perf_counter() - began)


def _tasks(paths: Sequence[Path], batch: int) -> list[list[Path]]:
    """Parts in runs of about `batch` rollouts, judged by the first part's count: steps are alike."""
    rows = max(pq.read_metadata(paths[0]).num_rows, 1)
    each = min(max(round(batch / rows), 1), MOST_PARTS)
    return [list(paths[start : start + each]) for start in range(0, len(paths), each)]


def _name(paths: Sequence[Path]) -> str:
    more = f" to {paths[-1].name}" if len(paths) > 1 else ""
    return f"rescoring {paths[0].name}{more}"
