"""Parquet columns as numpy arrays, with every way they can be wrong told.

Invariant: what is returned is complete, of one length, and finite where it is a number."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scenes.physical_ai.errors import DamagedInputError

INDEX_NAMES = ("clip_id", "__index_level_0__")
"""A clip id is a column, or the unnamed index that pandas wrote beside the columns."""


def read_table(source: bytes | IO[bytes], what: str, columns: Sequence[str] | None = None) -> pa.Table:
    """The table, only `columns` of it when given. Raises DamagedInputError naming `what`."""
    try:
        file = pq.ParquetFile(io.BytesIO(source) if isinstance(source, bytes) else source)
        names = file.schema_arrow.names
        missing = [column for column in columns or () if column not in names]
        if missing:
            raise DamagedInputError(
                f"{what} has no column {', '.join(missing)}; it has {', '.join(names)}: another layout version?"
            )
        return file.read(columns=None if columns is None else list(columns))
    except (pa.ArrowException, OSError) as error:
        raise DamagedInputError(f"{what} is not readable parquet: {error}") from error


def id_column(names: Sequence[str], what: str) -> str:
    """Name of the column that holds clip ids."""
    for name in INDEX_NAMES:
        if name in names:
            return name
    raise DamagedInputError(f"{what} has neither a column nor an index clip_id; it has {', '.join(names)}")


def numbers(table: pa.Table, columns: Sequence[str], what: str) -> np.ndarray:
    """Columns as float64 [rows, columns]. Raises DamagedInputError for text, nulls or non-finite numbers."""
    out = np.empty((table.num_rows, len(columns)))
    for at, column in enumerate(columns):
        try:
            out[:, at] = table[column].cast(pa.float64()).to_numpy()
        except (pa.ArrowException, ValueError) as error:
            raise DamagedInputError(f"{what}: column {column} is not numeric: {error}") from error
    if not np.isfinite(out).all():
        bad = columns[int(np.flatnonzero(~np.isfinite(out).all(axis=0))[0])]
        raise DamagedInputError(f"{what}: column {bad} holds missing or non-finite numbers")
    return out


def microseconds(table: pa.Table, column: str, what: str) -> np.ndarray:
    """A time column as int64 [rows]. Raises DamagedInputError for nulls or anything but whole numbers."""
    data = table[column]
    if data.null_count or not (pa.types.is_integer(data.type) or pa.types.is_floating(data.type)):
        raise DamagedInputError(
            f"{what}: column {column} is {data.type} with {data.null_count} nulls, no times"
        )
    try:
        return np.asarray(data.cast(pa.int64()).to_numpy())
    except pa.ArrowException as error:
        raise DamagedInputError(
            f"{what}: column {column} holds times that are no microseconds: {error}"
        ) from error


def increasing(times_us: np.ndarray, what: str) -> None:
    """Raise DamagedInputError unless times increase strictly: two samples of one instant contradict each other."""
    steps = np.diff(times_us)
    if len(steps) and steps.min() <= 0:
        at = int(np.argmax(steps <= 0))
        raise DamagedInputError(
            f"{what}: times overlap or go back at row {at + 1} ({times_us[at]} then {times_us[at + 1]} us)"
        )
