"""One driven clip as a picture: what the policy saw, what it said, and where both decoders would go."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rl.bird_eye import bird_eye
from rl.drive_result import Drive, displacements, least
from rl.report_picture import INK, MUTED, draw_surroundings, turned
from rl.rollout import Rollout
from scenes.trajectory import Trajectory

DISCRETE, FLOW = "#dd7a35", "#2a9d7c"
MOST_TEXTS = 6


def write_drive_picture(result: Drive, path: Path) -> Path:
    """Write a PNG: cameras and texts on the left, both fans of trajectories from above on the right."""
    figure = Figure(figsize=(14, 6.4), dpi=100)
    grid = figure.add_gridspec(2, 3, width_ratios=(1.2, 1, 1), height_ratios=(1, 1.6))
    _cameras(figure.add_subplot(grid[0, 0]), result)
    _texts(figure.add_subplot(grid[1, 0]), result)
    kinds: tuple[tuple[str, Sequence[Trajectory | None], str], ...] = (
        ("discrete", result.discrete, DISCRETE),
        ("flow", result.flow, FLOW),
    )
    for column, (name, trajectories, colour) in enumerate(kinds):
        _fan(figure.add_subplot(grid[:, 1 + column]), result, name, trajectories, colour)
    figure.tight_layout()
    figure.savefig(path)
    return path


def _cameras(axes: Axes, result: Drive) -> None:
    axes.axis("off")
    cameras = result.clip.cameras
    if cameras is None:
        return
    axes.imshow(np.concatenate(list(cameras.frames[:, -1]), axis=1))
    axes.set_title(" · ".join(cameras.names), loc="left", fontsize=9, color=MUTED)


def _texts(axes: Axes, result: Drive) -> None:
    axes.axis("off")
    label = result.clip.label
    lines = [] if label is None else [f"label: {label.text}"]
    lines += [completion.text for completion in result.completions[:MOST_TEXTS]]
    wrapped = [textwrap.fill(line, 62) for line in lines]
    axes.text(0, 1, "\n".join(wrapped), va="top", fontsize=9, color=INK, transform=axes.transAxes)


def _fan(
    axes: Axes, result: Drive, name: str, trajectories: Sequence[Trajectory | None], colour: str
) -> None:
    axes.axis("off")
    driven = [
        Rollout(str(row), "drive", row, result.clip.clip_id, 0, result.completions[row], trajectory)
        for row, trajectory in enumerate([*result.discrete])
    ]
    driven += [
        Rollout(str(row), "drive", row, result.clip.clip_id, 0, result.completions[row], trajectory)
        for row, trajectory in enumerate(result.flow)
    ]
    scene: dict[str, Any] = bird_eye(result.clip, driven)  # one extent for both fans
    draw_surroundings(axes, scene)
    for trajectory in trajectories:
        if trajectory is not None:
            points = turned(np.concatenate([[[0.0, 0.0]], trajectory.states[:, :2]]))
            axes.plot(*points.T, color=colour, lw=1.8, alpha=0.8)
    axes.plot(*turned(result.clip.ego_future[:, :2]).T, color=INK, lw=1.4, ls=(0, (4, 3)))
    best = least(displacements(tuple(trajectories), result.clip))
    told = "no valid sample" if best is None else f"minADE {best:.2f} m of {len(trajectories)}"
    axes.set_title(f"{name}: {told}", loc="left", fontsize=10, fontweight="bold")
