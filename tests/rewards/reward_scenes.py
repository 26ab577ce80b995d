"""Small hand-made clips and rollouts for the tests of rewards."""

from __future__ import annotations

import numpy as np

from rewards.score import RolloutView
from scenes.clip import Agents, CausalFactor, ChainOfCausation, Clip, RoadMap
from scenes.decisions import Direction, FactorKind, Lateral, Longitudinal
from scenes.dynamics import integrate

SPEED = 8.0
LANE = np.stack([np.arange(-40.0, 170.0, 2.0), np.zeros(105)], axis=-1)


def straight_road(stop_at: float | None = None) -> RoadMap:
    """Two lanes along x, the ego in the right one; a stop line across both at x = stop_at."""
    line = () if stop_at is None else (np.array([[stop_at, -2.0], [stop_at, 5.0]]),)
    return RoadMap((LANE, LANE + [0.0, 3.5]), (3.5, 3.5), (LANE + [0.0, 1.75],), ("dashed",), (), (), line)


def actions(acceleration: float = 0.0, curvature: float = 0.0) -> np.ndarray:
    """Constant actions [64, 2]."""
    return np.tile([acceleration, curvature], (64, 1)).astype(float)


def label(
    longitudinal: Longitudinal = Longitudinal.SET_SPEED_TRACKING,
    lateral: Lateral = Lateral.LANE_KEEPING,
    direction: Direction | None = None,
    factors: tuple[FactorKind, ...] = (),
    text: str = "Keep lane and maintain speed since the road is clear.",
) -> ChainOfCausation:
    """A label; the factors' instances do not matter to rewards."""
    named = tuple(CausalFactor(kind, f"agent-{i}", "front_wide", 3, 40) for i, kind in enumerate(factors))
    return ChainOfCausation(text, longitudinal, lateral, direction, named)


def make_clip(
    clip_id: str = "c0",
    agents: Agents | None = None,
    road: RoadMap | None = None,
    coc: ChainOfCausation | None = None,
) -> Clip:
    """The ego drives straight on at SPEED."""
    history = np.zeros((16, 4))
    history[:, 0], history[:, 3] = SPEED * 0.1 * np.arange(-15, 1), SPEED
    nobody = Agents((), (), np.zeros((0, 3)), np.zeros((0, 80, 3)), np.zeros((0, 80), bool))
    return Clip(
        clip_id=clip_id,
        source="procedural/test",
        t0=1.5,
        cameras=None,
        ego_history=history,
        ego_future=integrate(actions(), SPEED),
        actions=actions(),
        ego_size=(4.8, 1.9, 1.6, 1.4),
        agents=nobody if agents is None else agents,
        road=straight_road() if road is None else road,
        label=label() if coc is None else coc,
    )


def parked_car(x: float, y: float) -> Agents:
    """One car that stands at a place."""
    poses = np.tile([x, y, 0.0], (1, 80, 1)).astype(float)
    return Agents(("car-0",), ("car",), np.array([[4.5, 1.8, 1.5]]), poses, np.ones((1, 80), bool))


def rollout(
    number: int | str = 0,
    text: str = "Keep lane and maintain speed since the road is clear.",
    drive: np.ndarray | None = None,
    clip_id: str = "c0",
    group_id: str = "g0",
) -> RolloutView:
    """A valid rollout that drives `drive` (default: the expert's actions)."""
    chosen = actions() if drive is None else drive
    states = integrate(chosen, SPEED)
    return RolloutView(f"{group_id}/{number}", group_id, clip_id, text, True, None, chosen, states, 150, 3)


def invalid(number: int | str = 0, clip_id: str = "c0") -> RolloutView:
    """A rollout whose completion did not parse."""
    return RolloutView(f"g0/{number}", "g0", clip_id, "", False, "127 trajectory tokens")
