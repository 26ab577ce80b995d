"""A clip as the trajectory reward needs it: expert, road users, drivable area; and many of them end to end.

Invariant: row r of a batch sees its clip's part of the tables and nothing else; no row is padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rewards.annotation import clip_fault
from rewards.drivable_area import DrivableArea, DrivableAreas, drivable_area
from rewards.off_road import judged
from rewards.traffic import Traffic, joined, traffic
from scenes.clip import Clip


@dataclass(frozen=True)
class ClipScene:
    """What a clip's rollouts share. fault: why it cannot be used, and then nothing else is there; expert: [T, 4];
    size: [4] of the ego, see Clip.ego_size; judged: [T] bool, steps at which off-road counts."""

    fault: str | None
    expert: np.ndarray
    size: np.ndarray
    traffic: Traffic
    area: DrivableArea
    judged: np.ndarray

    @classmethod
    def of(cls, clip: Clip) -> ClipScene:
        """Prepare a clip."""
        fault = clip_fault(clip)
        expert, size = clip.ego_future, np.array(clip.ego_size, dtype=np.float64)
        steps = len(expert)
        road = None if fault else clip.road
        area = drivable_area(road, 0.5 * float(np.hypot(size[0], size[1])))
        users = traffic([] if fault else [clip], steps)
        return cls(fault, expert, size, users, area, judged(expert, size, area))


@dataclass(frozen=True)
class ClipScenes:
    """C scenes of one horizon end to end. experts: [C, T, 4]; sizes: [C, 4]; judged: [C, T]."""

    experts: np.ndarray
    sizes: np.ndarray
    traffic: Traffic
    areas: DrivableAreas
    judged: np.ndarray

    @classmethod
    def of(cls, scenes: Sequence[ClipScene]) -> ClipScenes:
        """Lay scenes end to end, at least one."""
        return cls(
            np.stack([scene.expert for scene in scenes]),
            np.stack([scene.size for scene in scenes]),
            joined([scene.traffic for scene in scenes]),
            DrivableAreas.of([scene.area for scene in scenes]),
            np.stack([scene.judged for scene in scenes]),
        )
