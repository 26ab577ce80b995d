"""`ar1`: the command line.

Invariant: importing this module is light; a command imports what it runs when it runs, so that --help answers
at once.
"""

from __future__ import annotations

import importlib
import sys

import typer

app = typer.Typer(
    name="ar1",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="RL post-training for driving models that reason before they act.\n\n"
    "Start with `ar1 demo`; then copy a file of configs/ and run `ar1 grpo --config FILE`.",
)
GROUPS = ("dashboard", "reward", "critic", "checkpoint", "clips")
COMMANDS = (
    "sft",
    "grpo",
    "evaluate",
    "doctor",
    "demo",
    "report",
    "rescore",
    "drive",
    "latency",
    "vision_tokens",
)


def build() -> typer.Typer:
    """The application with every command mounted."""
    for name in COMMANDS:
        module = importlib.import_module(f"rl.commands.{name}")
        app.command(name.replace("_", "-"))(getattr(module, name))
    for name in GROUPS:
        app.add_typer(importlib.import_module(f"rl.commands.{name}").app, name=name)
    return app


def main() -> None:
    """Entry point of `ar1`: errors that name their fix are printed without a traceback."""
    from rewards.redaction import redact
    from rl.commands.errors import EXPECTED

    try:
        build()()
    except EXPECTED as error:
        typer.secho(f"error: {redact(str(error))}", fg=typer.colors.RED, err=True)
        sys.exit(1)
