"""A job with its progress bar and its end recorded, however it ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from rewards.redaction import redact
from rl.checkpoint import latest_checkpoint
from rl.config import JobConfig
from rl.job import GrpoJob
from rl.run_directory import RunDirectory
from rl.run_registry import EventKind, Phase, RunRegistry
from sft.data import split_store


def check_start(config: JobConfig, resume: bool) -> None:
    """Refuse to overwrite a run, or to resume what is not there. Raises FileExistsError or FileNotFoundError."""
    run = RunDirectory(config.folder)
    begun = run.ledger.is_dir() and any(run.ledger.glob("part-*.parquet"))
    if begun and not resume:
        raise FileExistsError(
            f"{config.folder} holds a run already; add --resume to go on with it, or name=… for a new one"
        )
    if resume and latest_checkpoint(run.checkpoints) is None and not run.config.is_file():
        raise FileNotFoundError(f"nothing to resume in {config.folder}; start it without --resume")


async def run_job(config: JobConfig, *, resume: bool = False) -> Path:
    """Run to the end; returns the trained policy folder. The run's state says how it ended."""
    check_start(config, resume)
    store = split_store(config.data, "pool")
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    registry = RunRegistry(RunDirectory.create(config.folder).path)
    with Progress(*columns) as bar:
        task = bar.add_task("GRPO", total=config.steps, note="starting")

        def progress(step: int, total: int, metrics: dict[str, float]) -> None:
            names = {"reward": "reward", "consistency": "rewards/consistency/mean", "s/step": "perf/step_s"}
            note = "  ".join(f"{k} {metrics[v]:.2f}" for k, v in names.items() if metrics.get(v) is not None)
            bar.update(task, completed=step, total=total, note=note)

        try:
            async with GrpoJob(config, store, resume=resume, progress=progress) as job:
                await job.run()
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt | asyncio.CancelledError)
            phase = Phase.STOPPED if stopped else Phase.FAILED
            state = registry.state()
            why = redact(f"{type(error).__name__}: {error}")
            registry.set_state(phase, state.step if state else 0, config.steps, why[:500])
            registry.add_event(EventKind.ALERT, why[:2000])
            raise
    return config.folder / "policy"
