"""The ground as a pyramid of bird's-eye textures, each level only as large as the cameras can use.

Role: paints grass, road, kerbs, markings, crosswalks and stop lines in the ego frame at t0. Invariant: the
coarsest level covers every camera's view to RANGE_M, so no pixel is without ground.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from scenes.cameras import CameraRig
from scenes.clip import RoadMap
from scenes.render import palette, raster
from scenes.render.road_shapes import road_names, road_shapes
from scenes.render.windows import level_windows

_NO_ROAD = RoadMap((), (), (), (), ())


@dataclass(frozen=True)
class Ground:
    """Levels laid end to end. rgb: [cells, 3] uint8; ids: [cells] int16 instance or -1; levels: [L, 6] (see
    scenes.render.windows); names: instances in id order."""

    rgb: np.ndarray
    ids: np.ndarray
    levels: np.ndarray
    names: tuple[str, ...]


def build_ground(road: RoadMap | None, rig: CameraRig, poses: np.ndarray, first_id: int) -> Ground:
    """Paint what the rig can see of the road from ego poses [F, 3] (x, y, yaw). Ids start at first_id.

    Raises ValueError for a boundary kind that has no line style."""
    levels = level_windows(rig, poses)
    sizes = (levels[:, 1] * levels[:, 2]).astype(np.int64)
    grain, grass = _backgrounds(len(levels))
    cells = int(sizes.sum())
    rgb, ids = np.empty((cells, 3), np.uint8), np.full(cells, -1, np.int16)
    toggles = np.zeros(int(sizes.max()), np.uint8)
    some = _NO_ROAD if road is None else road
    raster.paint_levels(rgb, ids, toggles, levels, grass, grain, *road_shapes(some, first_id))
    return Ground(rgb, ids, levels, road_names(some))


@lru_cache(maxsize=16)
def _backgrounds(levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Grain [L, GRAIN_CELLS] int8, and grass with that grain [L, 3 * GRAIN_CELLS] uint8."""
    grain = np.stack([palette.grain(raster.GRAIN_CELLS, level) for level in range(levels)])
    return grain, (np.array(palette.GRASS) + grain[:, :, None]).astype(np.uint8).reshape(levels, -1)
