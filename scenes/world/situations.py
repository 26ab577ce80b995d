"""The situations a clip may show, each a function that draws one scene.

Role: the registry. A situation decides what is on the road, never what the expert does about it: decisions are
derived from the simulation. Invariant: everything that decides is in place at or before t0.
"""

from __future__ import annotations

from collections.abc import Callable

from numpy.random import Generator

from scenes.world import path_situations as path
from scenes.world import speed_situations as speed
from scenes.world.spec import SceneSpec

Sampler = Callable[[Generator], SceneSpec]

SITUATIONS: dict[str, Sampler] = {
    sampler.__name__: sampler
    for sampler in (
        speed.cruise,
        path.narrow,
        speed.curve,
        speed.speed_limit,
        speed.follow,
        speed.follow_blocked,
        speed.lead_brakes,
        speed.cut_in,
        speed.red_light,
        speed.queue,
        speed.stop_sign,
        speed.pedestrian,
        speed.cross_traffic,
        path.nudge_parked,
        path.nudge_out,
        path.nudge_oncoming,
        path.cones,
        path.cyclist,
        path.lane_change,
        path.lane_change_under_way,
        path.abort,
        path.lane_end,
        path.lane_end_blocked,
        path.turn,
        path.pull_over,
    )
}


def situations() -> dict[str, str]:
    """Name and description of every situation."""
    return {name: (sampler.__doc__ or "").strip() for name, sampler in SITUATIONS.items()}
