"""A plain page: one self-contained HTML file of tables, figures and small charts.

Role: what `ar1 rescore` and `ar1 reward audit` write. Invariant: no script and no request; every text is escaped,
because the texts of a policy are data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

STYLE = """
:root{--ink:#16191f;--text:#262b33;--muted:#68717f;--line:#e2e5ea;--accent:#1f6f8b;--good:#16887e;--bad:#c0433a;
--warn:#c08a1e;--bg:#f4f5f7;--surface:#fff}
*{box-sizing:border-box}html{font:14px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif}
body{margin:0;background:var(--bg);color:var(--text);font-variant-numeric:tabular-nums}
main{max-width:1240px;margin:0 auto;padding:22px 22px 60px}h1{font-size:20px;margin:0 0 4px;color:var(--ink)}
h2{font-size:15px;margin:28px 0 10px;color:var(--ink)}h3{font-size:13px;margin:0 0 6px}p{margin:4px 0}
.muted{color:var(--muted)}.card{background:var(--surface);border:1px solid var(--line);border-radius:10px;
padding:12px 14px;margin-bottom:12px;overflow-x:auto}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(480px,1fr));gap:0 12px}
.tiles{display:flex;flex-wrap:wrap;gap:10px}
.tile{background:var(--surface);border:1px solid var(--line);border-radius:10px;padding:8px 14px;min-width:130px}
.tile b{display:block;font-size:18px;color:var(--ink)}.tile span{font-size:12px;color:var(--muted)}
table{border-collapse:collapse;width:100%}th{text-align:left;font-weight:520;font-size:12px;color:var(--muted)}
th,td{padding:5px 9px;border-bottom:1px solid var(--line);vertical-align:top}tr:last-child td{border-bottom:0}
td.n,th.n{text-align:right;white-space:nowrap}.mono{font-family:ui-monospace,Menlo,Consolas,monospace;font-size:12px}
.bad{color:var(--bad)}.good{color:var(--good)}.warn{color:var(--warn)}svg{display:block;max-width:100%}
"""


class Raw(str):
    """Markup that is not escaped again."""

    __slots__ = ()


def text(value: object) -> str:
    """A value as escaped text: numbers short, None as a dash, markup of this module as it is."""
    if isinstance(value, Raw):
        return str(value)
    if value is None:
        return "–"
    if isinstance(value, float):
        return escape(f"{value:.4g}")
    return escape(str(value))


def page(title: str, subtitle: str, sections: Sequence[tuple[str, str]]) -> str:
    """The document: sections are (heading, markup)."""
    body = "".join(f"<h2>{escape(name)}</h2>{markup}" if name else markup for name, markup in sections)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
        f'<h1>{escape(title)}</h1><p class="muted">{escape(subtitle)}</p>{body}</main></body></html>\n'
    )


def tiles(figures: Mapping[str, object]) -> Raw:
    """A row of big numbers."""
    cells = "".join(
        f'<div class="tile"><b>{text(value)}</b><span>{escape(name)}</span></div>'
        for name, value in figures.items()
    )
    return Raw(f'<div class="tiles">{cells}</div>')


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str] | None = None) -> Raw:
    """A table in a card; columns: key → heading (default: the first row's keys)."""
    if not rows:
        return Raw('<div class="card muted">none</div>')
    named = dict(columns or {key: key.replace("_", " ") for key in rows[0]})
    numeric = {key for key in named if all(isinstance(row.get(key), int | float | None) for row in rows)}
    marks = {key: ' class="n"' if key in numeric else "" for key in named}
    head = "".join(f"<th{marks[key]}>{escape(name)}</th>" for key, name in named.items())
    body = "".join(
        "<tr>" + "".join(f"<td{marks[key]}>{text(row.get(key))}</td>" for key in named) + "</tr>"
        for row in rows
    )
    return Raw(f'<div class="card"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>')


def lines(title: str, series: Mapping[str, Sequence[tuple[float, float]]], note: str = "") -> Raw:
    """A line chart of (x, y) points by name; series without two points are left out."""
    drawn = {name: points for name, points in series.items() if len(points) > 1}
    if not drawn:
        return Raw("")
    every = [point for points in drawn.values() for point in points]
    (x0, x1), (y0, y1) = (_span([point[axis] for point in every]) for axis in (0, 1))
    width, height, left, low = 560, 170, 46, 20
    shapes, legend = [], []
    colours = ("#4a7fd6", "#dd7a35", "#2a9d7c", "#a765c9", "#c94f6d", "#7f8b2f")
    for number, (name, points) in enumerate(drawn.items()):
        colour = colours[number % len(colours)]
        at = " ".join(
            f"{left + (x - x0) / (x1 - x0) * (width - left - 6):.1f},"
            f"{height - low - (y - y0) / (y1 - y0) * (height - low - 8):.1f}"
            for x, y in points
        )
        shapes.append(f'<polyline points="{at}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        legend.append(f'<span style="color:{colour}">■</span> {escape(name)}')
    marks = [
        f'<text x="{left - 4}" y="{y}" text-anchor="end" font-size="10" fill="#68717f">{value:.3g}</text>'
        for y, value in ((height - low, y0), (14, y1))
    ] + [
        f'<text x="{x}" y="{height - 5}" text-anchor="{anchor}" font-size="10" fill="#68717f">{value:.0f}</text>'
        for x, anchor, value in ((left, "start", x0), (width - 6, "end", x1))
    ]
    return Raw(
        f'<div class="card"><h3>{escape(title)}</h3><p class="muted">{escape(note)}</p><svg viewBox="0 0 {width} '
        f'{height}" width="{width}">{"".join(shapes + marks)}</svg><p>{" &nbsp; ".join(legend)}</p></div>'
    )


def grid(charts: Sequence[Raw]) -> Raw:
    """Charts side by side where there is room."""
    return Raw(f'<div class="grid">{"".join(charts)}</div>')


def bars(title: str, values: Sequence[float], first: float, last: float, note: str = "") -> Raw:
    """A histogram whose equal bins span first to last."""
    width, height = 560, 120
    top, step = max([*values, 1]), (width - 12) / max(len(values), 1)
    shapes = "".join(
        f'<rect x="{6 + i * step:.1f}" y="{100 - 92 * v / top:.1f}" width="{step - 1:.1f}" '
        f'height="{92 * v / top:.1f}" fill="#1f6f8b"><title>{v}</title></rect>'
        for i, v in enumerate(values)
    )
    ends = (
        f'<text x="6" y="114" font-size="10" fill="#68717f">{first:g}</text>'
        f'<text x="{width - 6}" y="114" font-size="10" fill="#68717f" text-anchor="end">{last:g}</text>'
    )
    return Raw(
        f'<div class="card"><h3>{escape(title)}</h3><p class="muted">{escape(note)}</p>'
        f'<svg viewBox="0 0 {width} {height}" width="{width}">{shapes}{ends}</svg></div>'
    )


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
