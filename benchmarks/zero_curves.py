"""Loss curves of one rank, two plain ranks and two ranks under ZeRO-1, ZeRO-2 and ZeRO-3: the same run, cut up.

    python -m benchmarks.zero_curves [--steps 40] [--only zero2 --only zero3]

One joint stage of the embedded policy in fp32, the same global batch, clips and seed throughout, loss of every
step logged. Prints the largest difference from one rank over all steps and sections (nats a token) and between the
final weights, and writes zero_curves.png and zero_curves.json to the folder. Finished runs in the folder are not
repeated; choose another --folder to measure anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import matplotlib
import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from safetensors.numpy import load_file

from policy.config_file import load_config
from sft.config import SftConfig, StageConfig
from sft.options import ExecutionConfig

matplotlib.use("Agg")
CONFIGS = Path(__file__).parents[1] / "configs"
SECTIONS = ("text/nll", "trajectory/nll", "mark/nll")
GOAL = 1e-3


def executions() -> dict[str, ExecutionConfig]:
    """How each run is cut up; the first is what the others are held against."""
    files = {f"zero{stage}": CONFIGS / "deepspeed" / f"cpu-zero{stage}.json" for stage in (1, 2, 3)}
    sharded = {name: ExecutionConfig(ranks=2, deepspeed=path) for name, path in files.items()}
    return {"one": ExecutionConfig(), "parallel": ExecutionConfig(ranks=2), **sharded}


def run_config(name: str, folder: Path, steps: int, batch: int, execution: ExecutionConfig) -> SftConfig:
    """The quickstart policy on a few clips, one joint stage. Clips fill whole batches, so that epochs agree."""
    quickstart = load_config(SftConfig, CONFIGS / "quickstart" / "sft.yaml")
    clips = {"folder": folder / "data", "train": 16 * batch, "validation": 32}
    return quickstart.model_copy(
        update={
            "name": name,
            "runs": folder,
            "threads": 1,
            "data": quickstart.data.model_copy(update=clips),
            "stages": (StageConfig(kind="joint", steps=steps, batch_size=batch, learning_rate=2e-3),),
            "log_every": 1,
            "checkpoint_every": steps,
            "validation_clips": 32,
            "execution": execution,
        }
    )


def curves(run: Path) -> dict[str, np.ndarray]:
    """[steps] loss of each section."""
    rows = [json.loads(line) for line in (run / "losses.jsonl").read_text().splitlines()]
    return {name: np.array([row[name] for row in rows if name in row]) for name in SECTIONS}


def differences(run: Path, one: Path) -> dict[str, float]:
    """Largest difference of losses and of final weights."""
    mine, theirs = curves(run), curves(one)
    losses = max(float(np.abs(mine[name] - theirs[name]).max()) for name in SECTIONS)
    ours, reference = (load_file(path / "policy" / "model.safetensors") for path in (run, one))
    weights = max(float(np.abs(ours[name] - reference[name]).max()) for name in reference)
    return {"losses": losses, "weights": weights}


def draw(folder: Path, names: list[str]) -> Path:
    """Curves on the left, differences from one rank on the right."""
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), dpi=120)
    one = curves(folder / "one")
    for name in ["one", *names]:
        mine = curves(folder / name)
        total = sum(mine[section] for section in SECTIONS[:2])
        steps = np.arange(1, len(total) + 1)
        left.plot(steps, total, label=name, alpha=0.7)
        if name != "one":
            apart = np.max([np.abs(mine[section] - one[section]) for section in SECTIONS], axis=0)
            right.semilogy(steps, np.maximum(apart, 1e-9), label=name)
    right.axhline(GOAL, color="#b3b3b3", linestyle="--", label="bound")
    left.set(xlabel="step", ylabel="text + trajectory, nats per token", title="two ranks and one")
    right.set(xlabel="step", ylabel="largest difference of a section", title="from one rank")
    for axis in (left, right):
        axis.legend()
        axis.grid(alpha=0.3)
    path = folder / "zero_curves.png"
    figure.savefig(path, bbox_inches="tight")
    pyplot.close(figure)
    return path


def main(
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = 40,
    batch: Annotated[int, typer.Option(help="Global batch.")] = 16,
    folder: Annotated[Path, typer.Option(help="Where runs and figures go.")] = Path("runs/zero-curves"),
    only: Annotated[
        list[str] | None, typer.Option(help="Runs to compare with one rank; all when absent.")
    ] = None,
) -> None:
    """Train every way, compare with one rank; exit 1 when a difference passes 1e-3."""
    from sft.stages import run_sft

    ways = executions()
    names = only or [name for name in ways if name != "one"]
    for name in ["one", *names]:
        run_sft(run_config(name, folder, steps, batch, ways[name]))
    figures = {name: differences(folder / name, folder / "one") for name in names}
    table = Table("run", "largest loss difference", "largest weight difference")
    for name, found in figures.items():
        table.add_row(name, f"{found['losses']:.2e}", f"{found['weights']:.2e}")
    Console().print(table)
    (folder / "zero_curves.json").write_text(
        json.dumps({"steps": steps, "batch": batch, **figures}, indent=1) + "\n"
    )
    print(f"picture: {draw(folder, names)}")
    if max(found["losses"] for found in figures.values()) > GOAL:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
