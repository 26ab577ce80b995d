"""`ar1 doctor`: preflight of a job."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from policy.config_file import load_config
from rl.commands.console import console, print_json
from rl.config import JobConfig


def doctor(
    overrides: Annotated[list[str] | None, typer.Argument(help="Dotted overrides.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of the job.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON line.")] = False,
) -> None:
    """Check a job before it runs: the learner's log-probabilities against the engine's at every position, prompt
    ids, the completion grammar, the prefix cache, and that every reward server answers.

    Exits with 1 when a check fails. Example: ar1 doctor --config configs/quickstart/grpo.yaml
    """
    resolved = load_config(JobConfig, config, overrides or [])
    from rl.doctor import examine
    from sft.data import split_store

    findings = asyncio.run(examine(resolved, split_store(resolved.data, "validation")))
    ok = all(finding.ok for finding in findings)
    if as_json:
        print_json({"ok": ok, "findings": [asdict(finding) for finding in findings]})
    else:
        table = Table("check", "result", "value", "bound", "detail")
        for finding in findings:
            value = "" if finding.value is None else f"{finding.value:.3g}"
            bound = "" if finding.bound is None else f"{finding.bound:.3g}"
            mark = "[green]ok[/]" if finding.ok else "[red]FAILED[/]"
            table.add_row(finding.name, mark, value, bound, finding.detail)
        console.print(table)
    if not ok:
        raise typer.Exit(1)
