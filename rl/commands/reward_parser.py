"""`ar1 reward parser-report`, `parse` and `taxonomy`: what the consistency reward makes of words."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from rl.commands.console import console, print_json

if TYPE_CHECKING:
    from rewards.intent_parser import IntentParser
    from rewards.parser_report import PartReport

AsJson = Annotated[bool, typer.Option("--json", help="Print machine-readable JSON.")]
Parser = Annotated[
    str, typer.Option(help="'rules', or 'package.module:factory' of a second parser behind the rules.")
]
Options = Annotated[
    list[str] | None, typer.Option("--option", "-o", help="KEY=VALUE for the second parser's factory.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to `ar1 reward`."""
    app.command("parser-report")(parser_report)
    app.command("parse")(parse)
    app.command("taxonomy")(taxonomy)


def parser_report(
    misses: Annotated[
        bool, typer.Option(help="List the misread sentences of the development half (never of the others).")
    ] = False,
    parser: Parser = "rules",
    option: Options = None,
    as_json: AsJson = False,
) -> None:
    """Judge the intent parser on the labelled sentences: precision and recall a decision, share right a tag.

    The parser was tuned on the development half alone; "held-out" is the other half, split by a hash of the
    text, and "later" are sentences written after the parser was frozen. Look at those figures, not at their
    errors.

      ar1 reward parser-report

      ar1 reward parser-report --parser critic_server.intent_judge:intent_judge -o base_url=… -o model=…
    """
    from rewards.labelled_intents import Part, load
    from rewards.parser_report import as_json as plain
    from rewards.parser_report import report

    texts, judged = load(), _parser(parser, option)
    parts = {part: report(texts, judged, part) for part in Part}
    if as_json:
        data = {str(part): plain(found) for part, found in parts.items()}
        for part in data:
            if part != Part.DEVELOPMENT:
                del data[part]["misses"]
        print_json({"parser": judged.version, "parts": data})
        return
    _print_decisions(parts)
    _print_tags(parts)
    if misses:
        for miss in parts[Part.DEVELOPMENT].misses:
            console.print(f"{miss.text!r}\n    labelled {_words(miss.wanted)}, read as {_words(miss.found)}")


def parse(
    text: Annotated[str, typer.Argument(help="A reasoning text.")],
    parser: Parser = "rules",
    option: Options = None,
    as_json: AsJson = False,
) -> None:
    """Show what a text is taken to say: decisions, steps in order, what matched and what was not counted.

    ar1 reward parse "After the truck passes, slow down, then turn left."
    """
    from rewards.consistency import not_counted, told

    (found,) = _parser(parser, option).parse([text])
    if as_json:
        print_json({"parser": found.parser, "status": str(found.status), **asdict(found.intent)})
        return
    intent = found.intent
    if not intent.parsed:
        why = found.why or "; ".join(intent.conflicts) or "states no driving decision"
        typer.echo(f"unparsable: {why}{not_counted(intent)}")
        return
    typer.echo(f"{told(intent)}\n    matched: {'; '.join(intent.matched)}{not_counted(intent)}")
    if intent.speed:
        typer.echo(f"    words of speed: {intent.speed}")


def taxonomy(as_json: AsJson = False) -> None:
    """Show the decisions that texts state, the meta-actions that drives show, and what one demands of the other.

    Decisions are Table 1, meta-actions Table 5 of the Alpamayo-R1 paper; bounds are those of the consistency
    reward, read off its rules.
    """
    from rewards.taxonomy import META_ACTIONS, rows

    found = rows()
    if as_json:
        tests = {str(action): {"paper": name, "when": when} for action, (name, when) in META_ACTIONS.items()}
        print_json({"decisions": [asdict(row) for row in found], "meta_actions": tests})
        return
    for axis in ("longitudinal", "lateral"):
        table = Table(title=f"{axis} decisions", title_justify="left", show_lines=True)
        shows = "a drive may show" if axis == "longitudinal" else "on a straight road, to the left"
        table.add_column("decision", no_wrap=True)
        for name in ("paper, Table 1", shows, "and must"):
            table.add_column(name)
        for row in found:
            if row.axis == axis:
                opening = f"first change: {' or '.join(row.opening)}; " if row.opening else ""
                table.add_row(row.decision, row.paper, ", ".join(row.meta_actions), opening + row.demands)
        console.print(table)
    table = Table(title="meta-actions", title_justify="left")
    for name in ("meta-action", "paper, Table 5", "a segment is one when"):
        table.add_column(name)
    for action, (name, when) in META_ACTIONS.items():
        table.add_row(str(action), name, when)
    console.print(table)


def _parser(name: str, option: list[str] | None) -> IntentParser:
    from rewards.intent_parser import parser_named

    options: dict[str, Any] = {}
    for pair in option or []:
        key, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="--option")
        try:
            options[key] = json.loads(value)
        except json.JSONDecodeError:
            options[key] = value
    try:
        return parser_named(name, options)
    except (ValueError, TypeError, ImportError, AttributeError) as error:
        raise typer.BadParameter(str(error), param_hint="--parser / --option") from error


def _print_decisions(parts: dict[Any, PartReport]) -> None:
    table = Table(title="precision / recall (sentences labelled so)", title_justify="left")
    for name in ("axis", "decision", *parts):
        table.add_column(str(name), justify="left" if name in ("axis", "decision") else "right")
    keys = dict.fromkeys(
        (axis, decision)
        for part in parts.values()
        for axis, rates in part.decisions.items()
        for decision in rates
    )
    for axis, decision in keys:
        rates = [part.decisions[axis].get(decision) for part in parts.values()]
        cells = [
            "–" if rate is None else f"{_share(rate.precision)} / {_share(rate.recall)} ({rate.meant})"
            for rate in rates
        ]
        table.add_row(axis, decision, *cells)
    console.print(table)


def _print_tags(parts: dict[Any, PartReport]) -> None:
    table = Table(title="sentences read entirely right (both axes, side, steps)", title_justify="left")
    for name in ("tag", *parts):
        table.add_column(str(name), justify="left" if name == "tag" else "right")
    for tag in dict.fromkeys(tag for part in parts.values() for tag in part.tags):
        cells = []
        for part in parts.values():
            right, count = part.tags.get(tag, (0, 0))
            cells.append(f"{right}/{count} {right / count:.0%}" if count else "–")
        table.add_row(tag, *cells)
    console.print(table)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _words(decisions: tuple[Any, ...]) -> str:
    return " ".join(str(decision) for decision in decisions if decision) or "none"
