"""Share of the steps at which the ego's box is off the road.

A box is off the road where one of its four corners lies outside all drivable polygons of the clip.
Invariant: without a drivable area the answer is NaN, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rewards.drivable_area import DrivableAreas, drivable_areas
from scenes.clip import Clip


def off_road_share(states: np.ndarray, clip: np.ndarray, clips: Sequence[Clip]) -> np.ndarray:
    """Share [R] of the steps of states [R, T, >= 3] at which the ego's box is off the road of clips[clip[r]], whose
    expert futures have T steps as well.

    Steps at which the expert's own box is off are left out: there the map ends or is wrong. NaN where the clip has
    no drivable area, or one that the expert never keeps to."""
    sizes = np.array([one.ego_size for one in clips], dtype=np.float64)
    reach = float(0.5 * np.hypot(sizes[:, 0], sizes[:, 1]).max())
    areas = drivable_areas([one.road for one in clips], reach)
    expert = off_road(np.stack([one.ego_future for one in clips]), np.arange(len(clips)), sizes, areas)
    judged = (~expert & areas.mapped[:, None])[clip]
    steps = judged.sum(axis=-1)
    off = (off_road(states, clip, sizes, areas) & judged).sum(axis=-1)
    return np.where(steps > 0, off / np.maximum(steps, 1), np.nan)


def off_road(states: np.ndarray, clip: np.ndarray, sizes: np.ndarray, areas: DrivableAreas) -> np.ndarray:
    """[R, T] bool of states [R, T, >= 3], row r in the map of clip[r] with the ego's size in sizes [C, 4]
    (`Clip.ego_size`); False in clips without a map."""
    if not areas.mapped.any():
        return np.zeros(states.shape[:2], dtype=bool)
    from rewards.compiled import areas as compiled

    edges, bands = areas.table()
    return compiled.off_road(
        np.ascontiguousarray(states, dtype=np.float64),
        clip,
        sizes,
        areas.mapped,
        areas.left,
        areas.width,
        areas.base,
        areas.first,
        edges,
        bands,
    )
