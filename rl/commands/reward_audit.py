"""`ar1 reward audit`: signs that a run's rewards are being gamed."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

FOUND = 3


class FailOn(StrEnum):
    """From which severity on the exit status is 3."""

    NEVER = "never"
    NOTICE = "notice"
    WARNING = "warning"
    ALERT = "alert"


def audit(
    run: Annotated[Path, typer.Argument(help="The run's folder, runs/<name>.")],
    steps: Annotated[str | None, typer.Option(help="FIRST:LAST, inclusive; either may be left out.")] = None,
    judge: Annotated[str, typer.Option(help="Reward that a model or rubric grades.")] = "reasoning",
    rule: Annotated[
        list[str] | None, typer.Option(help="Reward that rules grade, held against the judge; repeatable.")
    ] = None,
    fail_on: Annotated[FailOn, typer.Option(help="Exit with 3 from this severity on.")] = FailOn.NEVER,
    html: Annotated[Path | None, typer.Option(help="Also write one self-contained HTML file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON line.")] = False,
) -> None:
    """Look over a run for signs of reward hacking, with the rollouts behind each.

    Judged are trends over the steps: one reward up while another falls, a judge that praises what a rule
    condemns, scores that no longer tell rollouts apart, texts that grow or repeat, driving that collapses. Each
    sign needs a slope whose 95 % interval excludes 0 and a change that matters; a finding says where to look,
    not what to think.

      ar1 reward audit runs/demo

      ar1 reward audit runs/demo --fail-on alert --html audit.html
    """
    from rl.auditing.audit import audit_report
    from rl.auditing.columns import read_columns
    from rl.auditing.reward_signs import RULES
    from rl.rescoring.plan import parse_steps
    from rl.run_directory import RunDirectory

    columns = read_columns(run, parse_steps(steps))
    report = audit_report(RunDirectory(run).name, columns, judge, rule or RULES)
    if html is not None:
        from rl.auditing.page import audit_page

        html.write_text(audit_page(report), encoding="utf-8")
    if as_json:
        from rl.commands.console import print_json

        print_json(report)
    else:
        _tell(report, html)
    if fail_on is not FailOn.NEVER:
        from rl.auditing.finding import Severity

        least = Severity(fail_on.value).rank
        if report["not_judged"] or any(Severity(f["severity"]).rank >= least for f in report["findings"]):
            raise typer.Exit(FOUND)


def _tell(report: dict[str, Any], html: Path | None) -> None:
    from rl.commands.console import console

    first, last = report["steps"]
    console.print(f"{report['run']}: {report['rollouts']} rollouts, steps {first} to {last}")
    if report["not_judged"]:
        console.print(f"[yellow]not judged:[/] {report['not_judged']}")
        return
    colours = {"notice": "cyan", "warning": "yellow", "alert": "red"}
    for finding in report["findings"]:
        severity = finding["severity"]
        console.print(f"[{colours[severity]}]{severity}[/] [bold]{finding['sign']}[/]: {finding['what']}")
        told = ", ".join(f"{name} {value:.3g}" for name, value in finding["evidence"].items())
        console.print(f"    {told}", highlight=False, markup=False)
        for rollout in finding["rollouts"][:3]:
            values = ", ".join(
                f"{name} {'–' if value is None else f'{value:.3g}'}"
                for name, value in rollout["values"].items()
            )
            console.print(
                f"    {rollout['rollout_id']} ({values}): {rollout['text']}", markup=False, highlight=False
            )
    flagged = {finding["sign"] for finding in report["findings"]}
    clean = [name for name in report["signs"] if name not in flagged and name not in report["skipped"]]
    if clean:
        console.print(f"nothing found: {', '.join(clean)}")
    for name, why in report["skipped"].items():
        console.print(f"not looked at: {name} ({why})")
    if html is not None:
        console.print(f"page: {html}")
