"""`ar1 rescore`: what another reward, other weights or another combination would have made of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rl.advantages import Combine

BROKEN = 3


def rescore(
    run: Annotated[Path, typer.Argument(help="The run's folder, runs/<name>.")],
    reward: Annotated[
        list[str] | None,
        typer.Option(help="NAME=SOURCE to score anew, or NAME for the run's own source; repeatable."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "-o", help="NAME.KEY=VALUE for a reward scored anew; repeatable."),
    ] = None,
    weights: Annotated[str | None, typer.Option(help="NAME=NUMBER,…; the others keep the run's.")] = None,
    combine: Annotated[Combine | None, typer.Option(help="Default: as the run did.")] = None,
    steps: Annotated[str | None, typer.Option(help="FIRST:LAST, inclusive; either may be left out.")] = None,
    clips: Annotated[
        list[Path] | None, typer.Option(help="Clip store asked before those that the run names; repeatable.")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Scoring processes.")] = 2,
    deadline: Annotated[
        float, typer.Option(min=1.0, help="Seconds for one task, about a thousand rollouts.")
    ] = 300.0,
    top: Annotated[int, typer.Option(min=0, help="Worst disagreements kept of each kind.")] = 20,
    max_sign_flips: Annotated[
        float | None, typer.Option(help="Limit: share of advantages whose sign flips.")
    ] = None,
    max_changed: Annotated[
        float | None, typer.Option(help="Limit: share of a reward's scores that change.")
    ] = None,
    max_missing: Annotated[
        float | None, typer.Option(help="Limit: share of a reward's new scores that are missing.")
    ] = None,
    max_mean_shift: Annotated[
        float | None, typer.Option(help="Limit: change of a reward's mean over the run.")
    ] = None,
    min_kendall: Annotated[
        float | None, typer.Option(help="Limit: mean tau-b of old and new ranks inside groups.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Also write one self-contained HTML file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole report as one JSON line.")] = False,
) -> None:
    """Rescore a finished run offline: new scores, new advantages, what flips, and the rollouts behind it.

    Nothing of the run is changed. Without --reward the ledger's scores are only combined anew, through the code
    that the job optimised with, so that no change at all gives back every advantage to the bit:

      ar1 rescore runs/demo

    A new version of a reward, as a release test (exit status 3 when a limit is broken):

      ar1 rescore runs/demo --reward consistency=my_rewards.py:Consistency --max-sign-flips 0.01 --html out.html

    What if: other weights, another order of summing and normalising, other options of a reward:

      ar1 rescore runs/demo --weights reasoning=0.2,trajectory=2 --combine normalise_then_sum

      ar1 rescore runs/demo --reward trajectory -o trajectory.collision=5 --steps 50:
    """
    from rl.rescoring.page import rescore_page
    from rl.rescoring.plan import Changes, make_plan, parse_steps, parse_weights
    from rl.rescoring.report import Limits, checks
    from rl.rescoring.run import rescore_run

    changes = Changes(reward or [], _options(option), parse_weights(weights), combine, clips or [])
    plan = make_plan(run, changes, top)
    report = _with_bar(
        lambda progress: rescore_run(run, plan, parse_steps(steps), processes, deadline, progress)
    )
    limits = Limits(max_sign_flips, max_changed, max_missing, min_kendall, max_mean_shift)
    report["checks"] = found = checks(report, limits)
    if html is not None:
        html.write_text(rescore_page(report, found), encoding="utf-8")
    if as_json:
        from rl.commands.console import print_json

        print_json(report)
    else:
        _tell(report, html)
    if not all(check["ok"] for check in found):
        raise typer.Exit(BROKEN)


def _options(pairs: list[str] | None) -> dict[str, dict[str, Any]]:
    """{"trajectory": {"collision": 5}} of ["trajectory.collision=5"]."""
    from rl.commands.reward import parse_options

    options: dict[str, dict[str, Any]] = {}
    for key, value in parse_options(pairs).items():
        name, dot, field = key.partition(".")
        if not dot or not field:
            raise typer.BadParameter(
                f"{key!r} is not NAME.KEY, such as trajectory.collision", param_hint="-o"
            )
        options.setdefault(name, {})[field] = value
    return options


def _with_bar(work: Any) -> dict[str, Any]:
    """Run `work(progress)` under a progress bar on standard error."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("rescoring", total=None)
        report: dict[str, Any] = work(lambda done, total: bar.update(task, completed=done, total=total))
        return report


def _tell(report: dict[str, Any], html: Path | None) -> None:
    from rich.table import Table

    from rl.commands.console import console
    from rl.rescoring.page import percent
    from rl.rescoring.report import told_weight

    advantages, ranks = report["advantages"], report["ranks"]
    first, last = report["steps"] or (0, 0)
    console.print(
        f"{report['run']}: {report['rollouts']} rollouts in {report['groups']} groups, steps {first} to {last}, "
        f"{report['seconds']:.1f} s"
    )
    weights = ", ".join(f"{name} {told_weight(weight)}" for name, weight in report["weights"].items())
    console.print(f"{report['combine']}; weights {weights}")
    table = Table("advantages", "", box=None, pad_edge=False)
    table.add_row("identical to the bit", f"{advantages['identical']} of {advantages['compared']}")
    table.add_row("signs flipped", f"{advantages['sign_flips']} ({percent(advantages['sign_flip_share'])})")
    table.add_row("lost, gained", f"{advantages['lost']}, {advantages['gained']}")
    table.add_row("groups newly below quorum", str(advantages["groups_dropped_anew"]))
    table.add_row("groups reordered", f"{percent(ranks['reordered_share'])} of {ranks['groups']}")
    table.add_row(
        "rank agreement, mean",
        f"tau-b {_number(ranks['kendall_mean'])}, rho {_number(ranks['spearman_mean'])}",
    )
    console.print(table)
    _tell_rewards(report)
    for name, rows in report["worst"].items():
        for row in rows[:3]:
            console.print(
                f"worst {name}: {row['rollout_id']} {_number(row['old'])} → {_number(row['new'])}\n"
                f"    {row['text']}\n"
                f"    then: {row['old_explanation']}\n    now:  {row['new_explanation']}",
                markup=False,
                highlight=False,
            )
    for check in report["checks"]:
        sign = "≥" if check["at_least"] else "≤"
        mark = "[green]kept[/]" if check["ok"] else "[red]BROKEN[/]"
        console.print(f"limit {check['name']} {sign} {check['limit']:g}: {_number(check['value'])} {mark}")
    if html is not None:
        console.print(f"page: {html}")


def _tell_rewards(report: dict[str, Any]) -> None:
    from rich.table import Table

    from rl.commands.console import console
    from rl.rescoring.page import percent
    from rl.rescoring.report import told_weight

    table = Table(
        "reward", "weight", "share of |advantage|", "mean", "changed", "missing", box=None, pad_edge=False
    )
    for name, weight in report["weights"].items():
        steer = report["steering"].get(name, {"old": None, "new": None})
        row = report["rewards"].get(name)
        scored = ("as logged", "", "")
        if row is not None:
            means = f"{_number(row.get('old_mean'))} → {_number(row.get('new_mean'))}"
            scored = (means, percent(row["changed_share"]), f"{row['missing_before']} → {row['missing']}")
        table.add_row(
            name, told_weight(weight), f"{percent(steer['old'])} → {percent(steer['new'])}", *scored
        )
    console.print(table)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
