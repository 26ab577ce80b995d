"""`ar1 sft`: supervised stages from clips to a policy folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from policy.config_file import dump_config, load_config
from rl.commands.console import console, print_json
from sft.config import SftConfig


def sft(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Dotted overrides, e.g. data.train=2000")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file; without one the defaults.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the resolved configuration and stop.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON line.")] = False,
) -> None:
    """Supervised stages from clips to a policy folder: action modality, text, both.

    Run it again to go on where it stopped. Leaves runs/<name>/policy, loss_curve.png, losses.jsonl and
    validation.jsonl (loss with a clip's own images and with another clip's: equal means images are ignored).

    Example: ar1 sft --config configs/quickstart/sft.yaml data.train=2000

    Two ranks under ZeRO-2: ar1 sft --config configs/quickstart/sft.yaml execution.ranks=2
    execution.deepspeed=configs/deepspeed/cpu-zero2.json (gpu-zero2.json on GPUs, one rank each)
    """
    resolved = load_config(SftConfig, config, overrides or [])
    if dry_run:
        print(dump_config(resolved), end="")
        return
    from sft.stages import run_sft

    policy = run_sft(resolved)
    if as_json:
        print_json({"policy": str(policy), "loss_curve": str(resolved.folder / "loss_curve.png")})
    else:
        console.print(f"policy: {policy}\nloss curve: {resolved.folder / 'loss_curve.png'}")
