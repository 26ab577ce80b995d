"""Options of a command that asks a reward server: who we are, and whom we trust (docs/security.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

TlsCa = Annotated[Path | None, typer.Option(help="Authority that signed the server, PEM.")]
TlsCert = Annotated[Path | None, typer.Option(help="Our client certificate (mutual TLS), PEM.")]
TlsKey = Annotated[Path | None, typer.Option(help="Its key, PEM.")]
TokenFile = Annotated[Path | None, typer.Option(help="File with the bearer token.")]
