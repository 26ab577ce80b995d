"""A hand-made clip for tests of cameras, pictures and stores: a straight road along x and what stands on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scenes.clip import (
    Agents,
    CausalFactor,
    ChainOfCausation,
    Clip,
    RoadMap,
    Sign,
    Signals,
)
from scenes.decisions import FactorKind, Longitudinal
from scenes.trajectory import FUTURE_STEPS, HISTORY_STEPS, STEP_S

STEPS = HISTORY_STEPS + FUTURE_STEPS
TIMES = (np.arange(STEPS) - (HISTORY_STEPS - 1)) * STEP_S
SIZES = {
    "car": (4.6, 1.9, 1.5),
    "truck": (8.0, 2.5, 3.2),
    "pedestrian": (0.5, 0.6, 1.75),
    "cyclist": (1.8, 0.6, 1.7),
    "cone": (0.4, 0.4, 0.75),
}


def road() -> RoadMap:
    """Two lanes of 3.5 m along x with kerbs, a dashed line between, a crosswalk at 12 m and a stop line at 8 m."""
    along = np.array((-80.0, 250.0))
    lines = [np.stack((along, np.full(2, y)), axis=1) for y in (-1.75, 1.75, 5.25)]
    return RoadMap(
        lanes=(np.stack((along, np.zeros(2)), axis=1), np.stack((along[::-1], np.full(2, 3.5)), axis=1)),
        lane_widths=(3.5, 3.5),
        boundaries=tuple(lines),
        boundary_kinds=("kerb", "dashed", "kerb"),
        drivable=(np.array(((-80, -1.75), (250, -1.75), (250, 5.25), (-80, 5.25)), float),),
        crosswalks=(np.array(((12, -1.75), (16, -1.75), (16, 5.25), (12, 5.25)), float),),
        stop_lines=(np.array(((8, -1.75), (8, 1.75)), float),),
    )


def clip(
    objects: Sequence[tuple[str, float, float]] = (),
    *,
    clip_id: str = "street",
    speed: float = 0.0,
    lights: Sequence[tuple[float, float, int]] = (),
    signs: Sequence[tuple[str, float, float]] = (),
    map_of: RoadMap | None = None,
) -> Clip:
    """A clip of an ego at constant speed along x. objects: class, x, y at rest, heading +x; lights: x, y, state;
    signs: kind, x, y."""
    base = road() if map_of is None else map_of
    poses = np.array([[(x, y, 0.0)] * STEPS for _, x, y in objects]).reshape(len(objects), STEPS, 3)
    ego = np.stack((speed * TIMES, 0 * TIMES, 0 * TIMES, 0 * TIMES + speed), axis=1)
    signals = None
    if lights:
        signals = Signals(
            ids=tuple(f"signal:{i}" for i in range(len(lights))),
            positions=np.array([(x, y) for x, y, _ in lights]),
            yaws=np.zeros(len(lights)),
            states=np.array([[state] * STEPS for _, _, state in lights], np.uint8),
        )
    return Clip(
        clip_id=clip_id,
        source="test/street",
        t0=0.0,
        cameras=None,
        ego_history=ego[:HISTORY_STEPS],
        ego_future=ego[HISTORY_STEPS:],
        actions=np.zeros((FUTURE_STEPS, 2)),
        ego_size=(4.8, 2.0, 1.6, 1.4),
        agents=Agents(
            ids=tuple(f"{kind}:{i}" for i, (kind, _, _) in enumerate(objects)),
            classes=tuple(kind for kind, _, _ in objects),
            sizes=np.array([SIZES[kind] for kind, _, _ in objects]).reshape(len(objects), 3),
            poses=poses,
            valid=np.ones((len(objects), STEPS), bool),
        ),
        road=RoadMap(
            **{
                **vars(base),
                "signs": tuple(Sign(f"sign:{i}", k, (x, y), 0.0) for i, (k, x, y) in enumerate(signs)),
            }
        ),
        signals=signals,
        label=ChainOfCausation(
            "Stop for the pedestrian.",
            Longitudinal.YIELD,
            None,
            None,
            (CausalFactor(FactorKind.PEDESTRIAN, "pedestrian:0", "front_wide", 0, 12),),
        ),
    )
