"""Options and output that the checkpoint commands share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from policy.release.copying import Progress as Told
from policy.release.findings import CheckpointError, Finding, errors
from policy.spec import CameraSpec
from rl.commands.console import console, print_json

Folder = Annotated[Path, typer.Argument(help="A release, a backbone export, or a policy folder.")]
Base = Annotated[
    Path | None,
    typer.Option(
        help="The backbone's Qwen3-VL folder: config.json, tokenizer, processor; no weights needed."
    ),
]
Stated = Annotated[
    list[str] | None,
    typer.Option("--set", help="State a key that config.json leaves out: a.b=JSON. Repeatable."),
]
ClassDefaults = Annotated[
    bool, typer.Option(help="Accept what the release's code would use for codec keys left out.")
]
Trim = Annotated[bool, typer.Option(help="Drop embedding and head rows beyond the vocabulary.")]
Cast = Annotated[str | None, typer.Option(help="Cast weights that differ: bfloat16, float16 or float32.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]


def parse_stated(items: Sequence[str] | None) -> dict[str, Any]:
    """ "a.b=1" … as a dictionary. Raises CheckpointError on anything else."""
    stated: dict[str, Any] = {}
    for item in items or ():
        key, found, text = item.partition("=")
        try:
            if not found:
                raise ValueError("no '='")
            stated[key] = json.loads(text)
        except ValueError as error:
            raise CheckpointError(f"--set {item!r} is not of the form key=JSON ({error})") from error
    return stated


def parse_cameras(names: str | None, frames: int, size: str) -> CameraSpec:
    """Cameras of a policy folder. Raises CheckpointError when the size is not WIDTHxHEIGHT."""
    width, found, height = size.partition("x")
    if not (found and width.isdecimal() and height.isdecimal()):
        raise CheckpointError(f"--image-size {size!r} is not of the form 576x320")
    given = {"names": tuple(names.split(","))} if names else {}
    return CameraSpec(**given, frames=frames, width=int(width), height=int(height))


@contextmanager
def byte_bar(title: str, total: int, quiet: bool) -> Iterator[Told]:
    """A progress bar on standard error; what it yields is told the bytes done."""
    columns = (TextColumn(title), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.advance(task, done)


def show_findings(findings: Sequence[Finding], folder: Path, as_json: bool) -> None:
    """Print findings; exit with 1 when any is an error."""
    bad = errors(findings)
    if as_json:
        rows = [vars(finding) for finding in findings]
        print_json({"folder": str(folder), "ok": not bad, "findings": rows})
    else:
        for finding in findings:
            style = "red" if finding.error else "yellow"
            text = escape(f"{finding.subject}: {finding.message}")
            console.print(f"[{style}]{finding.kind}[/] {text}", soft_wrap=True)
        verdict = "[red]not fit to load[/]" if bad else "[green]whole[/]"
        count = f"{len(bad)} errors, {len(findings) - len(bad)} notes"
        console.print(f"{folder}: {verdict}; {count}", soft_wrap=True)
    if bad:
        raise typer.Exit(1)


def parts_table(content: dict[str, Any]) -> Table:
    """Parts of a checkpoint as `policy.checkpoint_inspect` lists them."""
    kind = content["model_type"] or "no release configuration"
    table = Table(title=f"{content['folder']}: {content['layout']} layout, {kind}", title_justify="left")
    for name in ("part", "tensors", "parameters", "MB", "dtypes"):
        table.add_column(name, justify="left" if name in ("part", "dtypes") else "right")
    for part, row in content["parts"].items():
        dtypes = ", ".join(f"{dtype} ({count})" for dtype, count in row["dtypes"].items())
        table.add_row(
            part, str(row["tensors"]), f"{row['parameters']:,}", f"{row['bytes'] / 1e6:.1f}", dtypes
        )
    table.add_row("all", "", f"{content['parameters']:,}", f"{content['bytes'] / 1e6:.1f}", "")
    return table
