"""Options of a served reward: where it listens, who may call, how much, and over what (docs/security.md)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rewards.credentials import Tls

Port = Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")]
PortFile = Annotated[Path | None, typer.Option(help="Write host:port here once bound.")]
MetricsPort = Annotated[int | None, typer.Option(help="Prometheus on loopback; 0 takes a free port.")]
Host = Annotated[str, typer.Option(help="Other than loopback only with TLS.")]
TlsCert = Annotated[Path | None, typer.Option(help="Server certificate, PEM.")]
TlsKey = Annotated[Path | None, typer.Option(help="Its key, PEM; readable by you alone.")]
TlsCa = Annotated[Path | None, typer.Option(help="Demand client certificates of this CA (mutual TLS).")]
TokenFile = Annotated[
    Path | None,
    typer.Option(help="Demand the bearer token in this file; it may change while the server runs."),
]
TokenGrace = Annotated[float, typer.Option(min=0, help="Seconds for which a replaced token is still good.")]
MaxConcurrent = Annotated[int, typer.Option(min=1, help="Calls answered at once.")]
MaxRate = Annotated[float | None, typer.Option(min=0.001, help="Of all callers together; default: no limit.")]
MaxBatch = Annotated[int | None, typer.Option(min=1, help="Rollouts a call, below the reward's own limit.")]
MaxMessageMib = Annotated[int, typer.Option(min=1, max=64, help="Of a request.")]
Reflection = Annotated[
    bool | None, typer.Option(help="Tell callers the contract; by default on loopback only.")
]


def tls_of(cert: Path | None, key: Path | None, ca: Path | None) -> Tls | None:
    """The TLS files given, or None where none is."""
    from rewards.credentials import Tls

    if not (cert or key or ca):
        return None
    return Tls(*(str(path) if path else None for path in (cert, key, ca)))
