"""Series of a run cut to what a screen can show, as JSON that the page draws.

Invariant: no series has more than MOST_POINTS points, and the extremes of a panel's first line survive the
cut: a spike of the loss is never averaged away.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from rl.dashboard.panels import CORRELATION, Panel, panels
from rl.rollup_table import Series

MOST_POINTS = 5000


def charts(series: Series, points: int = 1500) -> list[dict[str, Any]]:
    """All charts of a run, in reading order.

    A chart is {section, title, kind, unit, note, steps [S], lines [{name, label, values [S], low?, high?}]};
    a value is None at a step that lacks it. Raises ValueError for `points` outside 2 … MOST_POINTS.
    """
    if not 2 <= points <= MOST_POINTS:
        raise ValueError(f"points is {points}; ask for 2 to {MOST_POINTS} a series")
    return [chart(panel, series, points) for panel in panels(series)]


def chart(panel: Panel, series: Series, points: int) -> dict[str, Any]:
    """One panel as JSON."""
    names = [name for line in panel.lines for name in line.names if name in series]
    steps, columns = aligned([series[name] for name in names])
    kept = decimated(columns[0], points)
    values = {name: _numbers(column[kept]) for name, column in zip(names, columns, strict=True)}
    lines: list[dict[str, Any]] = []
    for line in panel.lines:
        drawn: dict[str, Any] = {"name": line.name, "label": line.label, "values": values[line.name]}
        if line.low in values and line.high in values:
            drawn |= {"low": values[line.low], "high": values[line.high]}
        lines.append(drawn)
    return {
        "section": panel.section,
        "title": panel.title,
        "kind": panel.kind,
        "unit": panel.unit,
        "note": panel.note,
        "steps": steps[kept].tolist(),
        "lines": lines,
    }


def aligned(columns: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Series over the union of their steps [S]; NaN where one has no value."""
    steps = np.unique(np.concatenate([steps for steps, _ in columns]))
    wide: list[np.ndarray] = []
    for at, values in columns:
        column = np.full(len(steps), np.nan)
        column[np.searchsorted(steps, at)] = values
        wide.append(column)
    return steps, wide


def decimated(values: np.ndarray, points: int) -> np.ndarray:
    """Indices to keep, ascending, at most `points`: the first, the last, and the least and greatest of each
    bucket between (min-max decimation, as oscilloscopes do)."""
    count = len(values)
    if count <= points:
        return np.arange(count)
    edges = np.linspace(1, count - 1, (points - 2) // 2 + 1).astype(int)
    kept = {0, count - 1}
    for start, stop in pairwise(edges):
        bucket = values[start:stop]
        if len(bucket) == 0 or np.isnan(bucket).all():
            continue
        kept |= {start + int(np.nanargmin(bucket)), start + int(np.nanargmax(bucket))}
    return np.array(sorted(kept))


def correlations(series: Series, last_steps: int = 20) -> dict[str, Any] | None:
    """Mean Pearson's r of each pair of rewards, and with length, over the newest steps that have it.

    Returns {names [K], values [K][K] (None where no step has the pair)}, or None when nothing correlates.
    """
    pairs: dict[tuple[str, str], float] = {}
    for name, (_, values) in series.items():
        if name.startswith(CORRELATION):
            a, _, b = name.removeprefix(CORRELATION).partition("__")
            pairs[a, b] = pairs[b, a] = float(np.mean(values[-last_steps:]))
    if not pairs:
        return None
    names = sorted({name for pair in pairs for name in pair}, key=lambda name: (name == "length", name))
    return {"names": names, "values": [[1.0 if a == b else pairs.get((a, b)) for b in names] for a in names]}


def _numbers(values: np.ndarray) -> list[float | None]:
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values]
