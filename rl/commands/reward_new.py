"""`ar1 reward new`: a package to write a reward in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def new(
    name: Annotated[str, typer.Argument(help="Lower-case words joined by _, like smooth_turns.")],
    into: Annotated[Path, typer.Option(help="Folder to make the package in.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print machine-readable JSON.")] = False,
) -> None:
    """Make an installable package with a new reward, its tests and its entry point.

    The reward works as it stands; edit its formula. The tests score it by itself, and serve it and run the
    checks of the reward contract against it. Nothing that exists is overwritten.

      ar1 reward new smooth_turns --into ~/rewards

      ar1 reward serve ~/rewards/smooth_turns/smooth_turns.py:SmoothTurns
    """
    from rewards.scaffold import class_name, scaffold

    folder = scaffold(name, into.expanduser())
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    if as_json:
        told = {"folder": str(folder), "files": files, "source": f"{folder / name}.py:{class_name(name)}"}
        typer.echo(json.dumps(told))
        return
    typer.echo(f"{folder}: {', '.join(files)}")
    typer.echo(f"edit      {folder / name}.py")
    typer.echo(f"test      cd {folder} && python -m pytest")
    typer.echo(f"serve     ar1 reward serve {folder / name}.py:{class_name(name)}")
    typer.echo(f"install   pip install -e {folder}    # then its name is {name}, everywhere")
