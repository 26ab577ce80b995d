"""Size of the ego vehicle, from a chunk's calibration.

Invariant: a clip without dimensions has no size made up for it; the caller may give one for all clips."""

from __future__ import annotations

from scenes.physical_ai.chunks import Chunks
from scenes.physical_ai.errors import DamagedInputError
from scenes.physical_ai.layout import DIMENSIONS
from scenes.physical_ai.parquet import numbers

COLUMNS = ("length", "width", "height", "rear_axle_to_bbox_center")


def ego_size(chunks: Chunks, clip_id: str) -> tuple[float, float, float, float]:
    """Length, width, height and rear-axle-to-box-centre offset, m. Raises InputError when they are not there
    or not positive."""
    what = f"{DIMENSIONS} of {clip_id}"
    row = chunks.row(clip_id, DIMENSIONS)
    missing = [name for name in COLUMNS if name not in row.column_names]
    if missing:
        raise DamagedInputError(f"{what} has no column {', '.join(missing)}")
    length, width, height, offset = (float(value) for value in numbers(row.select(COLUMNS), COLUMNS, what)[0])
    if min(length, width, height) <= 0.0 or not 0.0 <= offset < length:
        raise DamagedInputError(f"{what} are {length} x {width} x {height} m, axle to centre {offset} m")
    return length, width, height, offset
