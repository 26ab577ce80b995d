"""One picture of a run for a README: before/after, curves, and one group from above.

Invariant: drawn from the same summary, rollups and ledger as the report; nothing is left out of an axis, and what
is averaged over steps says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from rl.bird_eye import colour_values
from rl.dashboard.clip_library import ClipSource
from rl.dashboard.group_index import GroupQuery
from rl.dashboard.panels import reward_names
from rl.dashboard.run_view import RunView
from rl.ledger import LedgerReader
from rl.report_groups import choose_groups
from rl.rollup_table import Series
from rl.run_directory import RunDirectory

COLOURS = ("#4a7fd6", "#dd7a35", "#2a9d7c", "#a765c9", "#c94f6d", "#7f8b2f", "#2f9fc0", "#9a6b4d")
WINDOW = 10
INK, MUTED, GRID = "#16191f", "#68717f", "#e8ebef"
RAMP = LinearSegmentedColormap.from_list("worst_to_best", ["#c4433a", "#d6a84a", "#168a80"])
_ROAD: dict[str, dict[str, Any]] = {
    "drivable": {"fc": "#dfe2e6", "ec": "none"},
    "crosswalk": {"fc": "#ffffff", "ec": "none", "alpha": 0.6},
}
_LINES = {
    "lane": ("#b9bfc7", 0.6, (0, (2, 5))),
    "solid": ("#ffffff", 1.2, "-"),
    "dashed": ("#ffffff", 1.2, (0, (5, 5))),
    "kerb": ("#9aa2ad", 1.2, "-"),
    "stop_line": ("#ffffff", 2.6, "-"),
}


def write_picture(
    run_dir: Path | str, path: Path, clip_stores: Sequence[Path | str | ClipSource] = ()
) -> Path:
    """Write a PNG of 1600 × 620 pixels. Raises FileNotFoundError for a folder that is no run, LookupError for
    a run without steps."""
    view = RunView(RunDirectory.existing(run_dir).path, clip_stores)
    series = view.series()
    if "reward" not in series:
        raise LookupError(f"{run_dir} has no scored step to draw; wait for its first")
    style: Any = {
        "font.family": "DejaVu Sans",
        "font.size": 9.5,
        "axes.edgecolor": GRID,
        "axes.labelcolor": MUTED,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "text.color": INK,
    }
    with rc_context(style):
        figure = Figure(figsize=(16, 6.2), dpi=100)
        axes = figure.subplots(1, 3, width_ratios=(1.0, 1.4, 0.75))
        summary = view.summary()
        rewards = reward_names(series)
        _bars(axes[0], (summary or {}).get("metrics", {}), ("reward", *rewards), rewards)
        _curves(axes[1], series, rewards)
        _scene(axes[2], view)
        figure.suptitle(view.run.name, x=0.02, ha="left", fontsize=14, fontweight="bold")
        figure.tight_layout(rect=(0, 0, 1, 0.96), w_pad=2.5)
        figure.savefig(path)
    return path


def _plain(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", pad=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=GRID)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)


def _bars(axes: Axes, metrics: dict[str, Any], names: Sequence[str], rewards: Sequence[str]) -> None:
    shown = [name for name in (*names, "validity") if {"before", "after"} <= metrics.get(name, {}).keys()]
    _plain(axes, "Before and after, 95 % intervals")
    if not shown:
        axes.text(0.5, 0.5, "no evaluation yet", ha="center", color=MUTED, transform=axes.transAxes)
        axes.set_xticks([])
        return
    for offset, when, face in ((-0.19, "before", 0.35), (0.19, "after", 1.0)):
        rows = np.array([metrics[name][when] for name in shown])
        colours = [COLOURS[rewards.index(n) % len(COLOURS)] if n in rewards else INK for n in shown]
        at = np.arange(len(shown)) + offset
        reach = np.abs(rows[:, 1:] - rows[:, :1]).T
        faces = [to_rgba(colour, face) for colour in colours]
        whiskers = {"ecolor": MUTED, "elinewidth": 1.2, "capsize": 2.5}
        bars = axes.bar(at, rows[:, 0], 0.36, color=faces, yerr=reach, error_kw=whiskers)
        axes.bar_label(bars, [f"{value:.2f}" for value in rows[:, 0]], padding=3, fontsize=8.5, color=INK)
    axes.set_xticks(range(len(shown)), shown, rotation=0 if len(shown) < 5 else 18)
    axes.margins(y=0.12)


def _curves(axes: Axes, series: Series, rewards: Sequence[str]) -> None:
    _plain(axes, "Rewards while training: mean, and 10–90 % of the total")
    steps, low = series["reward/p10"]
    axes.fill_between(steps, low, series["reward/p90"][1], color=INK, alpha=0.1, lw=0)
    for number, name in enumerate(rewards):
        if f"rewards/{name}/mean" in series:
            colour = COLOURS[number % len(COLOURS)]
            axes.plot(*series[f"rewards/{name}/mean"], color=colour, lw=1.6, label=name)
    axes.plot(*series["reward"], color=INK, lw=1.6, label="total")
    if "curator/reward_uniform" in series:
        steps, uniform = series["curator/reward_uniform"]
        if len(steps) >= WINDOW:
            mean = np.convolve(uniform, np.full(WINDOW, 1 / WINDOW), "valid")
            label = f"total of uniformly drawn clips, mean of {WINDOW} steps"
            axes.plot(steps[WINDOW - 1 :], mean, color="#c94f6d", lw=2.4, label=label)
    axes.set_xlabel("step")
    axes.legend(frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.1))


def _scene(axes: Axes, view: RunView) -> None:
    axes.axis("off")
    chosen = choose_groups(view)
    step, group_id = chosen[0]["groups"][-1]
    scene = view.group(step, group_id, GroupQuery())["scene"]
    if scene is None:
        axes.text(0.5, 0.5, "no clip store at hand", ha="center", color=MUTED, transform=axes.transAxes)
        return
    rollouts = LedgerReader(view.run.path).group(step, group_id).rollouts
    values = colour_values(rollouts)
    known = [value for value in values.values() if value is not None]
    title = f"A group at step {step}:\nexpert dashed, samples"
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    draw_surroundings(axes, scene)
    for path in scene["paths"]:
        points = turned(np.array(path["states"])[:, :2])
        if path["role"] == "sample":
            value = values[path["id"]]
            share = 0.5 if value is None else (value - min(known)) / max(max(known) - min(known), 1e-9)
            axes.plot(*points.T, color="#a9b0bb" if value is None else RAMP(share), lw=2.4, alpha=0.9)
        elif path["role"] == "expert":
            axes.plot(*points.T, color=INK, lw=1.6, ls=(0, (4, 3)), zorder=5)
    bar = ScalarMappable(Normalize(min(known), max(known)), RAMP)
    axes.figure.colorbar(bar, ax=axes, label="total reward", shrink=0.5, pad=0.03).outline.set_visible(False)


def draw_surroundings(axes: Axes, scene: dict[str, Any]) -> None:
    """Road and other road users of a scene (rl.bird_eye) at t0, forward up, and the limits of its view."""
    for polygon in scene["polygons"]:
        axes.add_patch(Polygon(turned(polygon["points"]), **_ROAD[polygon["role"]]))
    for line in scene["polylines"]:
        colour, width, dashes = _LINES[line["role"]]
        axes.plot(*turned(line["points"]).T, color=colour, lw=width, ls=dashes)
    for box in scene["boxes"]:
        if box["poses"][0] is not None:
            axes.add_patch(Polygon(turned(_corners(box, box["poses"][0])), fc="#6b7686", ec="none"))
    x0, y0, x1, y1 = scene["extent"]
    axes.set_xlim(-y1, -y0)
    axes.set_ylim(x0, x1)
    axes.set_aspect("equal", adjustable="box", anchor="W")


def turned(points: Any) -> np.ndarray:
    """Forward up: picture x is to the right of the ego."""
    array = np.asarray(points, float)
    return np.stack([-array[:, 1], array[:, 0]], axis=1)


def _corners(box: dict[str, Any], pose: Sequence[float]) -> np.ndarray:
    x, y, yaw = pose
    half = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) * (box["length"] / 2, box["width"] / 2)
    cos, sin = np.cos(yaw), np.sin(yaw)
    return half @ np.array([[cos, sin], [-sin, cos]]) + (x, y)
