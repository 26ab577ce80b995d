"""`ar1 evaluate`: figures of one policy, or of two compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from policy.config_file import load_config
from rl.commands.console import console, print_json, summary_table
from rl.config import JobConfig


def evaluate(
    overrides: Annotated[list[str] | None, typer.Argument(help="Dotted overrides.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of the job.")] = None,
    before: Annotated[
        Path | None, typer.Option(help="Policy folder to compare with (default: the job's)")
    ] = None,
    after: Annotated[
        Path | None, typer.Option(help="Policy folder to judge (default: the run's policy).")
    ] = None,
    split: Annotated[str, typer.Option(help="validation for choices, test for figures.")] = "validation",
    tag: Annotated[str, typer.Option(help="Name under runs/<name>/eval/.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON line.")] = False,
) -> None:
    """Judge a policy on clips it never learned from, at the run's temperature, a lower one, and greedily.

    Figures have bootstrap 95 % intervals over clips; "paired" is after minus before on the same clips. Touch
    the test split once, when every choice is made.

    Example: ar1 evaluate --config configs/quickstart/grpo.yaml --split validation
    """
    resolved = load_config(JobConfig, config, overrides or [])
    from rl.judgement import judge

    summary = judge(resolved, before, after, split, tag or split)
    if as_json:
        print_json(summary)
    else:
        console.print(summary_table(summary["metrics"], f"{resolved.name}, {split} split"))
        console.print(f"clean expert's consistency (ceiling): {summary['ceiling']}")
