"""Share of the steps at which the ego's box is off the road.

A box is off the road where one of its four corners lies outside all drivable polygons of the clip.
Invariant: without a drivable area the answer is NaN, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rewards.drivable_area import DrivableArea, DrivableAreas, drivable_area
from scenes.clip import Clip


def off_road_share(states: np.ndarray, clip: np.ndarray, clips: Sequence[Clip]) -> np.ndarray:
    """Share [R] of the steps of states [R, T, >= 3] at which the ego's box is off the road of clips[clip[r]], whose
    expert futures have T steps as well.

    Steps at which the expert's own box is off are left out: there the map ends or is wrong. NaN where the clip has
    no drivable area, or one that the expert never keeps to."""
    sizes = np.array([one.ego_size for one in clips], dtype=np.float64)
    areas = [drivable_area(one.road, 0.5 * float(np.hypot(*one.ego_size[:2]))) for one in clips]
    experts = [one.ego_future for one in clips]
    counted = np.stack([judged(*each) for each in zip(experts, sizes, areas, strict=True)])
    return share(states, clip, sizes, DrivableAreas.of(areas), counted)


def judged(expert: np.ndarray, size: np.ndarray, area: DrivableArea) -> np.ndarray:
    """[T] bool: the steps of an expert [T, >= 3] with an ego of size [4] at which its own box is on the road."""
    one = DrivableAreas.of([area])
    return ~off_road(expert[None], np.zeros(1, np.int64), size[None], one)[0] & one.mapped


def share(
    states: np.ndarray, clip: np.ndarray, sizes: np.ndarray, areas: DrivableAreas, counted: np.ndarray
) -> np.ndarray:
    """As `off_road_share`, of maps that are prepared; sizes: [C, 4]; counted: [C, T] bool, see `judged`."""
    steps = counted.sum(axis=-1)[clip]
    off = (off_road(states, clip, sizes, areas) & counted[clip]).sum(axis=-1)
    return np.where(steps > 0, off / np.maximum(steps, 1), np.nan)


def off_road(states: np.ndarray, clip: np.ndarray, sizes: np.ndarray, areas: DrivableAreas) -> np.ndarray:
    """[R, T] bool of states [R, T, >= 3], row r in the map of clip[r] with the ego's size in sizes [C, 4]
    (`Clip.ego_size`); False in clips without a map."""
    from rewards.compiled import areas as compiled

    return compiled.off_road(
        np.ascontiguousarray(states, dtype=np.float64),
        clip,
        sizes,
        areas.mapped,
        areas.left,
        areas.width,
        areas.base,
        areas.first,
        areas.edges,
        areas.bands,
    )
