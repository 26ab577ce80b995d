"""What commands share in printing: one JSON line, tables with intervals, and the plan of a job."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

console = Console()
HEADLINE = ("reward", "reasoning", "consistency", "trajectory", "ade", "min_ade", "collision", "validity")


def print_json(data: Mapping[str, Any]) -> None:
    """One JSON object on standard output."""
    print(json.dumps(data))


def interval(row: list[float] | None) -> str:
    """ "0.53 [0.50, 0.56]"."""
    return "–" if row is None else f"{row[0]:.3f} [{row[1]:.3f}, {row[2]:.3f}]"


def summary_table(metrics: Mapping[str, Mapping[str, Any]], title: str) -> Table:
    """Before/after table of summary.json's metrics, headline rows first."""
    table = Table(title=title, title_justify="left")
    for name in ("metric", "before", "after", "after - before (paired)", "clips"):
        table.add_column(name, justify="left" if name == "metric" else "right")

    def rank(name: str) -> tuple[int, str, int]:
        base, _, suffix = name.partition("@")
        if base.startswith("recorded/"):
            return (3, base, 0)
        if base.startswith("decision/"):
            return (2, suffix, 0) if not suffix else (4, suffix, 0)
        return (0 if not suffix else 1, suffix, HEADLINE.index(base) if base in HEADLINE else 99)

    for name in sorted(metrics, key=lambda name: (rank(name), name)):
        if name.startswith("decision/") and "@" in name:
            continue
        row = metrics[name]
        table.add_row(
            name,
            interval(row.get("before")),
            interval(row.get("after")),
            interval(row.get("paired")),
            str(row.get("clips", "")),
        )
    return table
