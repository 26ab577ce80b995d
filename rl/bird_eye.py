"""A scene seen from above, as drawing primitives that are plain JSON.

Role: what the dashboard's SVG, the report and the README picture draw; none of them reads a Clip.
Invariant: every point is in metres in the ego frame at t0 (x forward, y left) and every primitive has a role,
never a colour: the one who draws decides how a role looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rl.rollout import Rollout
from scenes.clip import SIGNAL_STATES, Agents, Clip, RoadMap
from scenes.trajectory import HISTORY_STEPS, STEP_S

MARGIN_M = 8.0
LEAST_SPAN_M = 28.0

Scene = dict[str, Any]


def bird_eye(clip: Clip, rollouts: Sequence[Rollout] = ()) -> Scene:
    """The scene of a clip with the trajectories driven in it.

    Returns {"step_s", "extent": [x0, y0, x1, y1] of what matters, "polygons" and "polylines": [{role, points
    [[x, y]]}], "marks": [{role, x, y, yaw, states?}], "boxes": [{role, id, length, width, poses}], "paths":
    [{role, id, states [[x, y, yaw, v]], length, width, offset}]}. poses and signal states start at t0 and run
    T+1 steps; a pose is null where the agent was not observed. Paths have the roles "history", "expert" and
    "sample" (id: the rollout's index); `offset` moves a rear axle to its box centre.
    """
    length, width, _, offset = clip.ego_size
    ego = {"length": length, "width": width, "offset": offset}
    start = clip.ego_history[-1:]
    paths = [
        {"role": "history", "id": "history", "states": _rounded(clip.ego_history)} | ego,
        {"role": "expert", "id": "expert", "states": _rounded(np.concatenate([start, clip.ego_future]))}
        | ego,
    ]
    for rollout in rollouts:
        if rollout.trajectory is not None:
            states = np.concatenate([start, rollout.trajectory.states])
            paths.append({"role": "sample", "id": str(rollout.index), "states": _rounded(states)} | ego)
    polygons, polylines, marks = _road(clip.road) if clip.road is not None else ([], [], [])
    return {
        "step_s": STEP_S,
        "extent": _extent(clip, rollouts),
        "polygons": polygons,
        "polylines": polylines,
        "marks": marks + _signals(clip),
        "boxes": _boxes(clip.agents),
        "paths": paths,
    }


def colour_values(rollouts: Sequence[Rollout], reward: str | None = None) -> Mapping[str, float | None]:
    """What to colour each sample by: the total, or one reward's value; None where it is missing."""
    if reward is None:
        return {str(rollout.index): rollout.total for rollout in rollouts}
    values = {str(rollout.index): None for rollout in rollouts}
    return values | {str(r.index): s.value for r in rollouts for s in r.scores if s.reward == reward}


def _road(road: RoadMap) -> tuple[list[Scene], list[Scene], list[Scene]]:
    polygons = [_line("drivable", points) for points in road.drivable]
    polygons += [_line("crosswalk", points) for points in road.crosswalks]
    polylines = [_line("lane", points) for points in road.lanes]
    kinds = zip(road.boundary_kinds, road.boundaries, strict=True)
    polylines += [_line(kind, points) for kind, points in kinds]
    polylines += [_line("stop_line", points) for points in road.stop_lines]
    marks = [_mark(sign.kind, *sign.position, sign.yaw) | {"id": sign.id} for sign in road.signs]
    return polygons, polylines, marks


def _signals(clip: Clip) -> list[Scene]:
    if clip.signals is None:
        return []
    found = zip(clip.signals.ids, clip.signals.positions, clip.signals.yaws, clip.signals.states, strict=True)
    return [
        _mark("signal", float(position[0]), float(position[1]), float(yaw))
        | {"id": name, "states": [SIGNAL_STATES[state] for state in states[HISTORY_STEPS - 1 :]]}
        for name, position, yaw, states in found
    ]


def _boxes(agents: Agents) -> list[Scene]:
    boxes: list[Scene] = []
    for index, name in enumerate(agents.ids):
        seen = agents.valid[index, HISTORY_STEPS - 1 :]
        if not seen.any():
            continue
        poses = agents.poses[index, HISTORY_STEPS - 1 :]
        boxes.append(
            {
                "role": agents.classes[index],
                "id": name,
                "length": round(float(agents.sizes[index, 0]), 2),
                "width": round(float(agents.sizes[index, 1]), 2),
                "poses": [row if ok else None for row, ok in zip(_finite(poses), seen, strict=True)],
            }
        )
    return boxes


def _extent(clip: Clip, rollouts: Sequence[Rollout]) -> list[float]:
    """What must be in view: the ego's past second, expert and samples, with a margin and a least span."""
    points = [clip.ego_history[-10:, :2], clip.ego_future[:, :2]]
    points += [r.trajectory.states[:, :2] for r in rollouts if r.trajectory is not None]
    every = np.concatenate(points)
    low, high = every.min(0) - MARGIN_M, every.max(0) + MARGIN_M
    short = np.maximum(LEAST_SPAN_M - (high - low), 0.0) / 2
    return [round(float(value), 2) for value in (*(low - short), *(high + short))]


def _line(role: str, points: np.ndarray) -> Scene:
    return {"role": role, "points": _rounded(points)}


def _mark(role: str, x: float, y: float, yaw: float) -> Scene:
    return {"role": role, "x": round(x, 2), "y": round(y, 2), "yaw": round(yaw, 3)}


def _rounded(array: np.ndarray) -> list[list[float]]:
    """Centimetres and milliradians: below what a screen shows."""
    decimals = 3 if array.shape[-1] > 2 else 2
    return [[float(value) for value in row] for row in np.round(np.asarray(array, np.float64), decimals)]


def _finite(poses: np.ndarray) -> list[list[float]]:
    return _rounded(np.nan_to_num(poses, nan=0.0))
