"""Named arrays in one file of shared memory.

Role: what a worker writes and every process of the machine maps. Layout: magic, header length (uint32), header
(JSON: names, dtypes, shapes, offsets), then the arrays, each on a 64-byte boundary. Invariants: a block appears
whole or not at all; mapped arrays are read-only and stay valid after the file's name is gone; nothing is
unpickled.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from scenes.prefetch.errors import PrefetchError

_PREFIX = struct.Struct("<4sI")
_MAGIC = b"AR1B"
_ALIGN = 64
NUMERIC = "biuf"
_POPULATE = getattr(mmap, "MAP_POPULATE", 0)
"""Where there is such a thing: all pages at once instead of a fault a page at the first reading."""


def write_block(path: Path, arrays: Mapping[str, np.ndarray]) -> int:
    """Write arrays of numbers as a block and return its size in bytes. Raises ValueError for other arrays."""
    entries, offset = [], 0
    plain = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    for name, array in plain.items():
        if array.dtype.kind not in NUMERIC:
            raise ValueError(
                f"array {name!r} has dtype {array.dtype}; only booleans and numbers can be shared"
            )
        entries.append((name, array.dtype.newbyteorder("<").str, array.shape, offset))
        offset += array.nbytes + -array.nbytes % _ALIGN
    header = json.dumps(entries).encode()
    header += b" " * (-(_PREFIX.size + len(header)) % _ALIGN)
    aside = path.with_suffix(".writing")
    with aside.open("wb") as file:
        file.write(_PREFIX.pack(_MAGIC, len(header)) + header)
        for array in plain.values():
            little = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
            file.write(little.reshape(-1).view(np.uint8).data)
            file.write(bytes(-array.nbytes % _ALIGN))
        size = file.tell()
    aside.rename(path)
    return size


def map_block(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a block, read-only views of its memory. Raises PrefetchError when it is not one."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size < _PREFIX.size:
            raise PrefetchError(f"{path} is no block of arrays")
        view = mmap.mmap(file.fileno(), size, flags=mmap.MAP_SHARED | _POPULATE, prot=mmap.PROT_READ)
    magic, length = _PREFIX.unpack_from(view)
    if magic != _MAGIC or _PREFIX.size + length > size:
        raise PrefetchError(f"{path} is no block of arrays")
    start = _PREFIX.size + length
    arrays = {}
    for name, dtype, shape, offset in json.loads(view[_PREFIX.size : start]):
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(view, np.dtype(dtype), count, start + offset).reshape(shape)
    return arrays
