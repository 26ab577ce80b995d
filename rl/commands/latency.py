"""`ar1 latency`: what each stage of a drive takes, and the least it could take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from policy.flow_options import FlowOptions, Integrator
from rl.commands.console import console, print_json


def latency(
    policy: Annotated[
        Path | None, typer.Argument(help="Policy folder with an expert; with --plan none is needed.")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Rows sampled together from one prompt.")] = 6,
    text_tokens: Annotated[int, typer.Option(min=2, help="Text tokens a row.")] = 16,
    steps: Annotated[int, typer.Option(min=1, help="Flow steps.")] = 5,
    method: Annotated[Integrator, typer.Option(help="How the flow is followed.")] = Integrator.EULER,
    repeats: Annotated[int, typer.Option(min=1, help="Timed rounds, after two that are not.")] = 20,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 2,
    bf16: Annotated[bool, typer.Option("--bf16", help="bfloat16 instead of float32.")] = False,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan", help="Rooflines of the released 10B model on a device you describe; runs nothing."
        ),
    ] = False,
    tflops: Annotated[
        float, typer.Option(min=0.0, help="With --plan: dense bfloat16 rate in TFLOP/s.")
    ] = 500.0,
    gbytes_s: Annotated[float, typer.Option(min=0.0, help="With --plan: memory rate in GB/s.")] = 1792.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON line.")] = False,
) -> None:
    """Time vision, prefill, text, flow and, for comparison, the discrete trajectory; a roofline beside each.

    The roofline is the larger of operations over the device's matrix rate and bytes over its copy rate, both
    measured here first. It leaves launch overhead out, which is most of what a small policy pays.

    Examples: ar1 latency runs/quickstart-expert/policy; ar1 latency --plan --tflops 989 --gbytes-s 3350
    --samples 1
    """
    if plan:
        result = _planned(samples, text_tokens, steps * method.evaluations, tflops, gbytes_s)
    elif policy is None:
        raise typer.BadParameter("name a policy folder with an expert, or ask for --plan")
    else:
        result = _measured(policy, samples, text_tokens, FlowOptions(steps, method), repeats, threads, bf16)
    if as_json:
        print_json(result)
    else:
        console.print(_table(result))


def _planned(
    samples: int, text_tokens: int, evaluations: int, tflops: float, gbytes_s: float
) -> dict[str, Any]:
    from policy.roofline import Rates, release_shape, roofline_row

    rates = Rates(f"{tflops:g} TFLOP/s, {gbytes_s:g} GB/s", tflops * 1e12, gbytes_s * 1e9)
    shape = release_shape()
    stages = {n: roofline_row(c, rates) for n, c in shape.stages(samples, text_tokens, evaluations).items()}
    return {
        "device": rates.name,
        "dtype": "bfloat16",
        "prompt_tokens": shape.prompt,
        "rows": samples,
        "text_tokens": text_tokens,
        "flow": f"{evaluations} evaluations",
        "stages": stages,
    }


def _measured(
    policy: Path, samples: int, text_tokens: int, flow: FlowOptions, repeats: int, threads: int, bf16: bool
) -> dict[str, Any]:
    import torch

    from policy.planner import Planner
    from policy.prompt import PromptBuilder
    from policy.tokenizer import TextCodec
    from rl.latency import Setting, measure

    torch.set_num_threads(threads)
    planner = Planner(policy, torch.bfloat16 if bf16 else torch.float32)
    builder = PromptBuilder(planner.spec, TextCodec.load(policy))
    return measure(planner, builder, Setting(samples, text_tokens, flow, repeats))


def _table(result: dict[str, Any]) -> Any:
    from rich.table import Table

    title = (
        f"{result['device']}, {result['dtype']}: prompt {result['prompt_tokens']}, {result['rows']} rows of "
        f"{result['text_tokens']} text tokens, {result['flow']}"
    )
    if "gflops" in result:
        title += f"; matrix {result['gflops']:.0f} GFLOP/s, copy {result['gbytes_s']:.1f} GB/s"
    table = Table(title=title, title_justify="left")
    for name in ("stage", "median ms", "p10 – p90", "roofline ms", "bound by", "GFLOP", "MB"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    for name, row in result["stages"].items():
        timed = "ms" in row
        table.add_row(
            name,
            f"{row['ms']:.2f}" if timed else "–",
            f"{row['p10_ms']:.2f} – {row['p90_ms']:.2f}" if timed else "–",
            f"{row['roofline_ms']:.3f}",
            row["bound"],
            _figure(row["gflop"]),
            _figure(row["mbytes"]),
        )
    return table


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
