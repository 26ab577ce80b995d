"""`ar1 report`: one HTML file of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[Path, typer.Argument(help="The run's folder, runs/<name>.")],
    clips: Annotated[
        list[Path] | None,
        typer.Option(help="Clip store to take images from; repeatable. Runs name theirs, so rarely needed."),
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Also draw the run as one PNG, for a README.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the paths as one JSON line.")] = False,
) -> None:
    """Write runs/<name>/report.html: before and after, curves, groups with images, facts. It opens anywhere.

    Example: ar1 report runs/quickstart --picture result.png
    """
    from rl.report import write_picture, write_report

    written = {"report": str(write_report(run, clips or []))}
    if picture is not None:
        written["picture"] = str(write_picture(run, picture, clips or []))
    typer.echo(
        json.dumps(written) if as_json else "\n".join(f"{name}: {path}" for name, path in written.items())
    )
