"""`ar1 demo`: the quickstart."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rl.commands.console import print_json


def demo(
    folder: Annotated[Path, typer.Option(help="Folder with sft.yaml and grpo.yaml.")] = Path(
        "configs/quickstart"
    ),
    seed: Annotated[int | None, typer.Option(help="Seed of SFT and GRPO (default: the files' own).")] = None,
    sft: Annotated[list[str] | None, typer.Option(help="Override of sft.yaml, repeatable.")] = None,
    grpo: Annotated[list[str] | None, typer.Option(help="Override of grpo.yaml, repeatable.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON line.")] = False,
) -> None:
    """Watch a reasoning driving policy get better: clips, SFT, GRPO, evaluation and report on this machine.

    About half an hour on two cores. Leaves runs/quickstart with summary.json and report.html. Run it again after
    an interruption and it goes on where it stopped.
    """
    from policy.config_file import load_config
    from rl.config import JobConfig
    from rl.demo import run_demo, show

    overrides = {"sft": list(sft or []), "grpo": list(grpo or [])}
    summary = run_demo(folder, overrides, seed)
    job = load_config(JobConfig, folder / "grpo.yaml", overrides["grpo"])
    if as_json:
        print_json(summary)
    else:
        show(job.folder, summary)
