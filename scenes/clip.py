"""The clip: everything known of one driving moment, seen by the policy or kept for its judges.

Role: the schema that readers, the procedural world, rewards and the dashboard share. Frozen, numpy only.
Frames of reference: ego frame at t0 = rear axle on the ground, x forward, y left, metres, radians, seconds.
Time axis: H=16 history steps end at t0 (index H-1 is t0), T=64 future steps start at t0+0.1 s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from scenes.decisions import Direction, FactorKind, Lateral, Longitudinal

CAMERA_NAMES = ("cross_left", "front_wide", "cross_right", "front_tele")
SIGNAL_STATES = ("unknown", "red", "yellow", "green")


@dataclass(frozen=True)
class Cameras:
    """names: C camera names in the release's ascending index order; frames: [C, F, h, w, 3] uint8 RGB,
    oldest frame first; times: [F] seconds relative to t0 (last is 0.0)."""

    names: tuple[str, ...]
    frames: np.ndarray
    times: np.ndarray


@dataclass(frozen=True)
class Agents:
    """N road users. classes: "car", "truck", "pedestrian", "cyclist", "cone"; sizes: [N, 3] length, width,
    height m; poses: [N, H+T, 3] x, y, yaw of the box centre; valid: [N, H+T] bool (False: not observed,
    pose is NaN)."""

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    sizes: np.ndarray
    poses: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class Sign:
    """A roadside sign facing traffic that drives along `yaw`. kind: "stop" or "speed_limit"."""

    id: str
    kind: str
    position: tuple[float, float]
    yaw: float


@dataclass(frozen=True)
class RoadMap:
    """lanes: centre polylines [P, 2] in driving direction, with lane_widths m beside them; boundaries:
    painted or kerb polylines [Q, 2] whose boundary_kinds are "solid", "dashed" or "kerb"; drivable: polygons
    [R, 2]; crosswalks: polygons [4, 2]; stop_lines: segments [2, 2]; signs: roadside signs."""

    lanes: tuple[np.ndarray, ...]
    lane_widths: tuple[float, ...]
    boundaries: tuple[np.ndarray, ...]
    boundary_kinds: tuple[str, ...]
    drivable: tuple[np.ndarray, ...]
    crosswalks: tuple[np.ndarray, ...] = ()
    stop_lines: tuple[np.ndarray, ...] = ()
    signs: tuple[Sign, ...] = ()


@dataclass(frozen=True)
class Signals:
    """S traffic lights. positions: [S, 2]; yaws: [S] heading of the traffic each controls; states: [S, H+T]
    uint8 index into SIGNAL_STATES."""

    ids: tuple[str, ...]
    positions: np.ndarray
    yaws: np.ndarray
    states: np.ndarray


@dataclass(frozen=True)
class CausalFactor:
    """One cause the label names. instance: id of the agent, signal or map element; frame: index of the
    history frame (0 oldest … F-1) and camera in which it covers `pixels` pixels (its best view)."""

    kind: FactorKind
    instance: str
    camera: str
    frame: int
    pixels: int


@dataclass(frozen=True)
class ChainOfCausation:
    """A truthful label: decisions, the factors that cause them, and one sentence saying so."""

    text: str
    longitudinal: Longitudinal | None
    lateral: Lateral | None
    direction: Direction | None
    factors: tuple[CausalFactor, ...]


@dataclass(frozen=True)
class Clip:
    """One driving moment. ego_history: [H, 4] and ego_future: [T, 4] of x, y, yaw, v at the rear axle;
    ego_future is the clean expert. actions: [T, 2] expert acceleration and curvature that integrate to it.
    ego_size: length, width, height m and rear-axle-to-box-centre offset m. source: "procedural/<situation>",
    "commonroad/<file>" or "physical_ai/<recording>"."""

    clip_id: str
    source: str
    t0: float
    cameras: Cameras | None
    ego_history: np.ndarray
    ego_future: np.ndarray
    actions: np.ndarray
    ego_size: tuple[float, float, float, float]
    agents: Agents
    road: RoadMap | None = None
    signals: Signals | None = None
    label: ChainOfCausation | None = None

    def without_cameras(self) -> Clip:
        """The same clip without images: what crosses the wire to rewards that need none."""
        return replace(self, cameras=None)


@dataclass(frozen=True)
class Demonstration:
    """What supervised stages imitate: the label and expert motion with their configured imperfections.

    text: reasoning sentence (may be wrong); actions: [T, 2]; text_is_wrong: whether noise replaced it."""

    clip_id: str
    text: str
    actions: np.ndarray
    text_is_wrong: bool
