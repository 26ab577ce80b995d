"""The quickstart: clips, SFT, GRPO, evaluation, report, in one go.

Role: what `make demo` runs. Invariants: every stage is the one its own command runs, nothing is special-cased;
an interrupted demo goes on where it stopped; the recipe was chosen on the validation split, the figures come
from the test split.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from policy.config_file import config_digest, load_config
from rl.checkpoint import latest_checkpoint
from rl.commands.console import console, summary_table
from rl.config import JobConfig
from rl.evaluation_run import Stopwatch
from rl.judgement import judge
from rl.ledger import LedgerReader
from rl.provenance import MemoryWatch, versions
from rl.report import write_picture, write_report
from rl.run import run_job
from rl.run_directory import RunDirectory
from rl.run_registry import RunRegistry
from rl.summary import write_summary
from sft.config import SPLITS, SftConfig
from sft.data import split_store
from sft.stages import run_sft


def run_demo(folder: Path, overrides: dict[str, list[str]], seed: int | None = None) -> dict[str, Any]:
    """Run sft.yaml and grpo.yaml of a folder; returns summary.json's content.

    overrides: dotted overrides by "sft" and "grpo". seed: of SFT and GRPO alike (None: the files' own).
    """
    extra = [] if seed is None else [f"seed={seed}"]
    sft = load_config(SftConfig, folder / "sft.yaml", [*overrides.get("sft", []), *extra])
    job = load_config(JobConfig, folder / "grpo.yaml", [*overrides.get("grpo", []), *extra])
    notes = []
    recorded = job.evaluation.recorded
    if recorded is not None and not recorded.is_dir():
        notes.append(f"recorded traffic skipped: no folder {recorded}; set evaluation.recorded in grpo.yaml")
        job = job.model_copy(update={"evaluation": job.evaluation.model_copy(update={"recorded": None})})
    if job.data != sft.data:
        raise ValueError(
            f"{folder}: sft.yaml and grpo.yaml name different data; the policy would see other clips"
        )
    watch = Stopwatch()
    with MemoryWatch() as memory:
        with watch.measure("clips"):
            for split in SPLITS:
                split_store(job.data, split)
        with watch.measure("sft"):
            run_sft(sft)
        with watch.measure("grpo"):
            if not (job.folder / "policy").is_dir():
                resume = latest_checkpoint(RunDirectory(job.folder).checkpoints) is not None
                asyncio.run(run_job(job, resume=resume))
        with watch.measure("evaluation"):
            summary = judge(job, None, None, "test", "test")
    summary |= {
        "counts": ledger_counts(job),
        "seconds": watch.seconds,
        "peak_rss_gib": memory.peak / 2**30,
        "versions": versions(),
        "config_sha256": config_digest(job),
        "notes": notes,
    }
    run = RunDirectory(job.folder)
    write_summary(run.summary, summary)
    write_report(run.path)
    write_picture(run.path, run.path / "result.png")
    return summary


def ledger_counts(job: JobConfig) -> dict[str, int]:
    """Groups, rollouts, missing scores and dropped groups of a run."""
    counts = {"groups": 0, "rollouts": 0, "missing": 0, "dropped": 0}
    for group in LedgerReader(job.folder):
        counts["groups"] += 1
        counts["rollouts"] += len(group.rollouts)
        counts["missing"] += sum(
            score.value is None for rollout in group.rollouts for score in rollout.scores
        )
        counts["dropped"] += group.fate != "trained"
    return counts


def show(job_folder: Path, summary: dict[str, Any]) -> None:
    """Print the before/after table and where things lie."""
    facts = RunRegistry(job_folder).facts()
    console.print(
        summary_table(summary["metrics"], f"SFT → GRPO on {summary['split']} clips, 95 % intervals")
    )
    console.print(f"clean expert's consistency (ceiling): {summary['ceiling']}")
    console.print(f"seconds: { {k: round(v) for k, v in summary['seconds'].items()} }")
    console.print(f"peak memory: {summary['peak_rss_gib']:.1f} GiB; rewards: {facts.get('rewards')}")
    for note in summary["notes"]:
        console.print(note)
    console.print(f"report: {job_folder / 'report.html'}   summary: {job_folder / 'summary.json'}")
