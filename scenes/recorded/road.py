"""A recording's lanelets, lights and signs as the map and signals of one clip.

Role: transform into an ego frame; keep what lies within reach. Invariant: a bound that two lanes of one
direction share is painted once."""

from __future__ import annotations

import numpy as np

from scenes.clip import RoadMap, Sign, Signals
from scenes.geometry import to_frame, wrap_angle
from scenes.recorded.recording import Lanelet, Recording

REACH_M = 250.0


def road_map(recording: Recording, pose: np.ndarray) -> RoadMap:
    """The map around pose [3] (x, y, yaw), in its frame: lanelets that come within REACH_M, each a centre
    line, a drivable polygon and the lines painted on its bounds."""
    near = [lane for lane in recording.lanelets if _within(lane, pose)]
    driven = [lane for lane in near if not lane.crosswalk]
    lines = _painted(driven)
    return RoadMap(
        lanes=tuple(to_frame(0.5 * (lane.left + lane.right), pose) for lane in driven),
        lane_widths=tuple(
            float(np.median(np.linalg.norm(lane.left - lane.right, axis=1))) for lane in driven
        ),
        boundaries=tuple(to_frame(line, pose) for line, _ in lines),
        boundary_kinds=tuple(kind for _, kind in lines),
        drivable=tuple(to_frame(np.concatenate((lane.left, lane.right[::-1])), pose) for lane in driven),
        crosswalks=tuple(to_frame(_corners(lane), pose) for lane in near if lane.crosswalk),
        stop_lines=tuple(to_frame(lane.stop_line, pose) for lane in driven if lane.stop_line is not None),
        signs=tuple(
            Sign(
                f"sign:{sign.id}",
                sign.kind,
                _point(sign.position, pose),
                float(wrap_angle(sign.yaw - pose[2])),
            )
            for sign in recording.signs
        ),
    )


def signals(recording: Recording, pose: np.ndarray, steps: np.ndarray) -> Signals | None:
    """The traffic lights at steps [n], in the frame of pose; None when the recording has none."""
    if not recording.lights:
        return None
    return Signals(
        ids=tuple(f"signal:{light.id}" for light in recording.lights),
        positions=to_frame(np.array([light.position for light in recording.lights]), pose),
        yaws=wrap_angle(np.array([light.yaw for light in recording.lights]) - pose[2]),
        states=np.stack([light.at(steps) for light in recording.lights]),
    )


def _within(lane: Lanelet, pose: np.ndarray) -> bool:
    points = np.concatenate((lane.left, lane.right))
    return bool(np.min(np.linalg.norm(points - pose[:2], axis=1)) < REACH_M)


def _corners(lane: Lanelet) -> np.ndarray:
    return np.stack((lane.left[0], lane.left[-1], lane.right[-1], lane.right[0]))


def _point(position: tuple[float, float], pose: np.ndarray) -> tuple[float, float]:
    x, y = to_frame(np.array(position), pose)
    return float(x), float(y)


def _painted(lanes: list[Lanelet]) -> list[tuple[np.ndarray, str]]:
    """Painted bounds with their kinds, without exact repeats (in either direction)."""
    lines: dict[bytes, tuple[np.ndarray, str]] = {}
    for lane in lanes:
        for line, kind in ((lane.right, lane.right_mark), (lane.left, lane.left_mark)):
            if kind is not None and line[::-1].tobytes() not in lines:
                lines.setdefault(np.ascontiguousarray(line).tobytes(), (line, kind))
    return list(lines.values())
