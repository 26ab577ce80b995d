"""`ar1 grpo`: a GRPO job."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
import yaml

from policy.config_file import load_config
from rl.commands.console import console, print_json
from rl.config import JobConfig
from rl.plan import plan


def grpo(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Dotted overrides, e.g. rollout.group_size=16")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file; see configs/.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's newest checkpoint.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON line.")] = False,
) -> None:
    """Train a policy with GRPO: vLLM rollouts, gRPC rewards, Boltzmann curator, TRL's loss.

    Everything of the run lies in runs/<name>: ledger of every rollout and score, checkpoints, TensorBoard, the
    trained policy. Watch it with `ar1 dashboard`. After a crash: the same command with --resume.

    Example: ar1 grpo --config configs/quickstart/grpo.yaml steps=20 name=try
    """
    resolved = load_config(JobConfig, config, overrides or [])
    if dry_run:
        content = plan(resolved)
        if as_json:
            print_json(content)
        else:
            print(yaml.safe_dump(content, sort_keys=False), end="")
        return
    from rl.run import run_job

    policy = asyncio.run(run_job(resolved, resume=resume))
    if as_json:
        print_json({"run": str(resolved.folder), "policy": str(policy), "steps": resolved.steps})
    else:
        console.print(f"run: {resolved.folder}\npolicy: {policy}")
