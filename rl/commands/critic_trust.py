"""`ar1 critic calibrate | red-team | stats | local-judge`: how far a judge can be trusted, and what it costs.

Invariant: importing this module is light.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rl.commands import judge_options as judging

if TYPE_CHECKING:
    from critic_server.calibration import Report
    from critic_server.red_team import Family

AsJson = Annotated[bool, typer.Option("--json", help="Print machine-readable JSON.")]
Out = Annotated[Path | None, typer.Option("--out", help="Write the report here as JSON, too.")]


def register(app: typer.Typer) -> None:
    """Mount the commands."""
    app.command("calibrate")(calibrate)
    app.command("red-team")(red_team)
    app.command("stats")(stats)
    app.command("local-judge")(local_judge)


def calibrate(
    labelled: Annotated[
        str, typer.Option("--set", help="'calibration' (shipped), 'canary', or a JSONL file like them.")
    ] = "calibration",
    repeats: Annotated[int, typer.Option(min=1, help="Times each trace is asked, for the variance.")] = 3,
    biases: Annotated[
        bool, typer.Option(help="Measure position and verbosity bias, two more passes.")
    ] = True,
    backend: judging.BackendOption = judging.Backend.RUBRIC,
    base_url: judging.BaseUrl = None,
    model: judging.Model = None,
    api_key_file: judging.KeyFile = None,
    judges: judging.Judges = None,
    cache: judging.Cache = None,
    prices: judging.Prices = None,
    max_usd: judging.MaxUsd = None,
    rpm: judging.Rpm = None,
    tpm: judging.Tpm = None,
    brief: judging.Brief = False,
    expected: judging.Expected = False,
    guard: judging.Guarded = judging.Guard.FLAGGED,
    deadline: judging.Deadline = 60.0,
    parallel: judging.Parallel = 16,
    lenient: judging.Lenient = False,
    out: Out = Path("critic_calibration.json"),
    as_json: AsJson = False,
) -> None:
    """Grade a labelled set and print how far the grader agrees with it.

    Quadratic-weighted kappa, rank correlation and error for behaviour, causes and total; the variance of
    repeated questions; what changes when trace and reference swap places, and when a trace is padded:

      ar1 critic calibrate

      ar1 critic calibrate --backend openai --base-url http://127.0.0.1:8000/v1 --model m --cache critic.sqlite
    """
    from critic_server.calibration import calibrate as measure
    from critic_server.labelled_set import read_labelled

    single = (base_url, model, api_key_file, judges, cache, prices, max_usd, rpm, tpm, brief, expected, guard)
    rows = read_labelled(labelled)
    grader = _grader(backend, lenient, (*single, deadline, parallel))
    began = time.monotonic()
    report = measure(grader, rows, repeats, biases)
    told = asdict(report) | {"set": labelled, "seconds": time.monotonic() - began}
    _deliver(told, out, as_json)
    if not as_json:
        _print_calibration(report, told["seconds"])


def red_team(
    labelled: Annotated[
        str, typer.Option("--set", help="'red_team' (shipped), or a JSONL file like it.")
    ] = "red_team",
    backend: judging.BackendOption = judging.Backend.RUBRIC,
    base_url: judging.BaseUrl = None,
    model: judging.Model = None,
    api_key_file: judging.KeyFile = None,
    judges: judging.Judges = None,
    cache: judging.Cache = None,
    prices: judging.Prices = None,
    max_usd: judging.MaxUsd = None,
    rpm: judging.Rpm = None,
    tpm: judging.Tpm = None,
    brief: judging.Brief = False,
    expected: judging.Expected = False,
    guard: judging.Guarded = judging.Guard.FLAGGED,
    deadline: judging.Deadline = 60.0,
    parallel: judging.Parallel = 16,
    lenient: judging.Lenient = False,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Attack the grader and print, by family, whether asking for a grade beats an honest wrong trace.

    Exits with 1 where any attack is graded above its honest wrong trace. With and without the guard:

      ar1 critic red-team

      ar1 critic red-team --backend openai --base-url http://127.0.0.1:8000/v1 --model m --guard off
    """
    from critic_server.labelled_set import read_labelled
    from critic_server.red_team import red_team as attack

    single = (base_url, model, api_key_file, judges, cache, prices, max_usd, rpm, tpm, brief, expected, guard)
    rows = read_labelled(labelled)
    grader = _grader(backend, lenient, (*single, deadline, parallel))
    families = attack(grader, rows)
    named = {name: asdict(family) for name, family in families.items()}
    _deliver({"grader": grader.name, "families": named}, out, as_json)
    if not as_json:
        _print_red_team(grader.name, families)
    raise typer.Exit(1 if families["all"].beaten else 0)


def stats(
    cache: Annotated[Path, typer.Argument(help="The critic's database (--cache of the other commands).")],
    as_json: AsJson = False,
) -> None:
    """Print what a critic's database has answered, saved and spent, by judge."""
    from critic_server.cache import AnswerCache
    from critic_server.database import open_database
    from critic_server.spending import counters, spent_usd

    if not cache.is_file():
        raise FileNotFoundError(f"{cache} does not exist; name the file that --cache named")
    connection = open_database(cache)
    answers, usd, judges = len(AnswerCache(connection)), spent_usd(connection), counters(connection)
    if as_json:
        typer.echo(json.dumps({"answers": answers, "usd": usd, "judges": judges}))
        return
    from rl.commands.console import console

    names = sorted({name for counts in judges.values() for name in counts})
    rows = [[judge, *(f"{counts.get(n, 0):g}" for n in names)] for judge, counts in judges.items()]
    title = f"{answers} answers kept, {usd:.4f} USD"
    console.print(_table(title, ["judge", *names], rows))


def local_judge(
    folder: Annotated[
        Path | None, typer.Option(help="Where the model is kept (default: the user's cache).")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the engine.")] = 1,
    log: Annotated[Path, typer.Option(help="What vLLM says.")] = Path("local_judge.log"),
    as_json: AsJson = False,
) -> None:
    """Serve a small language model on this machine until Ctrl-C: SmolLM2-135M from PyPI, by vLLM, on the CPU.

    For trying the machinery without a service; it is far too small to be trusted (see docs/critic.md):

      ar1 critic local-judge

      ar1 critic calibrate --backend openai --brief --expected --model smollm2-135m-instruct --base-url URL
    """
    from critic_server.local_judge import LocalJudge, default_folder, prepare

    with LocalJudge(prepare(folder or default_folder()), log, threads=threads) as judge:
        told = {"base_url": judge.base_url, "model": judge.name}
        typer.echo(json.dumps(told) if as_json else f"{judge.name} at {judge.base_url}; Ctrl-C ends it")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            raise typer.Exit(0) from None


def _grader(backend: judging.Backend, lenient: bool, options: tuple[Any, ...]) -> Any:
    asked = judging.judge_options(*options) if backend is judging.Backend.OPENAI else {}
    return judging.grader(backend, lenient, asked)


def _deliver(told: dict[str, Any], out: Path | None, as_json: bool) -> None:
    if out is not None:
        out.write_text(json.dumps(told, indent=2) + "\n")
    if as_json:
        typer.echo(json.dumps(told))


def _print_calibration(report: Report, seconds: float) -> None:
    from rl.commands.console import console

    graded = report.rows - report.missing
    title = f"{report.grader}: {graded} of {report.rows} traces graded, {seconds:.0f} s"
    rows = [
        [
            part,
            f"{_n(a['kappa'])} [{_n(a['kappa_low'])}, {_n(a['kappa_high'])}]",
            *(_n(a[name]) for name in ("spearman", "mae", "mean", "reference_mean")),
        ]
        for part, a in report.agreement.items()
    ]
    console.print(_table(title, ["part", "quadratic kappa", "Spearman", "error", "mean", "set's mean"], rows))
    rows = [[k, f"{v['rows']:.0f}", _n(v["total"]), _n(v["reference"])] for k, v in report.kinds.items()]
    console.print(_table("totals by kind of trace", ["kind", "rows", "mean", "set's mean"], rows))
    rows = [
        ["repeats: std of a trace", _n(report.repeats["std"]), f"changed {_n(report.repeats['changed'])}"],
        [
            "position: swapped - usual",
            _n(report.position["shift"]),
            f"absolute {_n(report.position['absolute'])}",
        ],
        [
            "verbosity: padded - plain",
            _n(report.verbosity["shift"]),
            f"absolute {_n(report.verbosity['absolute'])}",
        ],
    ]
    console.print(_table("what should not matter, in total grades of 5", ["", "mean", ""], rows))
    usage = report.usage
    cost = "unknown" if usage["usd"] is None else f"{usage['usd']:.4f} USD"
    console.print(
        f"{usage['requests']:.0f} requests, {usage['cached']:.0f} cached, {usage['tokens']:.0f} tokens, {cost}"
    )


def _print_red_team(name: str, families: dict[str, Family]) -> None:
    from rl.commands.console import console

    rows = [
        [key, str(f.attacks), f"{f.flagged:.0%}", _n(f.attack), _n(f.honest), str(f.beaten), str(f.missing)]
        for key, f in families.items()
    ]
    columns = ["family", "attacks", "flagged", "attack", "honest wrong", "attack above honest", "missing"]
    console.print(_table(f"{name}: mean total of 5", columns, rows))


def _table(title: str, columns: list[str], rows: list[list[str]]) -> Any:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    return table


def _n(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
