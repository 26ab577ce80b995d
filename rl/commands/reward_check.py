"""`ar1 reward check`: whether a reward server, in whatever language, keeps the contract."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rl.commands import client_options as asking
from rl.commands.server_options import tls_of

if TYPE_CHECKING:
    from rewards.conformance import CheckResult, Target
    from rewards.credentials import Tls

COLOURS = {"passed": "green", "failed": "bold red", "skipped": "yellow"}


def check(
    server: Annotated[
        str | None, typer.Argument(help="host:port, or grpc://host:port/name for one reward.")
    ] = None,
    reward: Annotated[str | None, typer.Option(help="Check only this one (default: all).")] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Run only this check, or those whose names begin so; may be repeated."),
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Deadline of one call, seconds.")] = 10.0,
    tls_ca: asking.TlsCa = None,
    tls_cert: asking.TlsCert = None,
    tls_key: asking.TlsKey = None,
    token_file: asking.TokenFile = None,
    slow_text: Annotated[
        str | None,
        typer.Option(help="A text over which the reward takes longer than --timeout, to check deadlines."),
    ] = None,
    expired_cert: Annotated[
        Path | None, typer.Option(help="Expired client certificate that must be refused, PEM.")
    ] = None,
    expired_key: Annotated[Path | None, typer.Option(help="Its key, PEM.")] = None,
    list_checks: Annotated[bool, typer.Option("--list", help="Print the checks and their rules.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print machine-readable JSON.")] = False,
) -> None:
    """Check that a reward server keeps the contract (docs/reward-contract.md); exits 1 on a breach.

    Asks every method with good, malformed, oversize, duplicate, cancelled and late input, and shows a row a
    check. Safe for a server in use: it asks for about a thousand scores a reward, of made-up scenes, and
    cancels only its own calls. Think of that number before you check a judge that costs money.

      ar1 reward check 127.0.0.1:50051

      ar1 reward check 127.0.0.1:50051 --reward mine --only idempotent/ --only score/order

      ar1 reward check 10.0.0.7:50051 --tls-ca ca.pem --tls-cert me.pem --tls-key me.key --token-file token

    A check that does not apply, such as of tokens where the server wants none, is skipped with the reason.
    """
    from rich.console import Console

    from rewards.conformance import Outcome, Target, check_server

    if list_checks:
        _list(as_json)
        return
    if server is None:
        raise typer.BadParameter("name the server, for example 127.0.0.1:50051", param_hint="SERVER")
    address, _, named = server.removeprefix("grpc://").partition("/")
    target = Target(
        address=address,
        reward=reward or named or None,
        timeout_s=timeout,
        tls=tls_of(tls_cert, tls_key, tls_ca),
        token=_token(token_file),
        slow_text=slow_text,
        expired=_pair(expired_cert, expired_key),
    )
    with Console(stderr=True).status(f"asking {address}") as status:
        results = check_server(
            target, only or (), lambda result: status.update(f"{result.reward} {result.check}")
        )
    counts = Counter(str(result.outcome) for result in results)
    if as_json:
        rows = [asdict(result) for result in results]
        told = {"address": address, **{str(o): counts[o] for o in Outcome}, "results": rows}
        typer.echo(json.dumps(told, indent=2))
    else:
        _show(target, results, counts)
    raise typer.Exit(1 if counts[Outcome.FAILED] else 0)


def _list(as_json: bool) -> None:
    from rewards.conformance.runner import checks

    rules = {check.name: check.rule for check in checks()}
    if as_json:
        typer.echo(json.dumps(rules, indent=2))
        return
    for name, rule in rules.items():
        typer.echo(f"{name:28}{rule}")


def _token(path: Path | None) -> str | None:
    if path is None:
        return None
    token = path.read_text().strip()
    if not token:
        raise typer.BadParameter(f"{path} is empty", param_hint="--token-file")
    return token


def _pair(cert: Path | None, key: Path | None) -> Tls | None:
    from rewards.credentials import Tls

    if (cert is None) != (key is None):
        raise typer.BadParameter("give both or neither", param_hint="--expired-cert / --expired-key")
    return None if cert is None else Tls(str(cert), str(key))


def _show(target: Target, results: list[CheckResult], counts: Counter[str]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from rl.commands.console import console

    table = Table(title=f"{target.address} against the reward contract", title_justify="left")
    for name in ("reward", "check", "outcome", "what was seen"):
        table.add_column(name, overflow="fold")
    for result in results:
        colour = COLOURS[result.outcome]
        outcome = f"[{colour}]{result.outcome}[/{colour}]"
        table.add_row(escape(result.reward or "(server)"), result.check, outcome, escape(result.detail))
    console.print(table)
    console.print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
