"""Headers of safetensors files, read and written without touching a weight.

Role: where each tensor's bytes lie, so that they can be checked and copied in pieces. The library reads tensors
and writes whole files from memory, but offers neither their offsets nor a writer that streams.
Format (safetensors documentation): 8 bytes little-endian length, that many bytes of JSON, then the data.
Invariant: offsets of a header that was read are in order, without gaps, and agree with dtype and shape.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policy.release.findings import CheckpointError

LENGTH_BYTES = 8
ALIGNMENT = 8
HEADER_LIMIT = 100_000_000
"""Longest header in bytes that the format allows."""
DTYPE_BYTES = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "BF16": 2, "F16": 2, "I16": 2, "U16": 2,
    "F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip


@dataclass(frozen=True)
class StoredTensor:
    """One tensor in a file. dtype as the format spells it ("BF16"); start, end: bytes from the file's start."""

    name: str
    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def nbytes(self) -> int:
        """Length in bytes."""
        return self.end - self.start

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Header:
    """One file's header. text: the JSON verbatim, padding included; tensors in the order of their bytes."""

    file: Path
    text: str
    metadata: Mapping[str, str]
    tensors: Mapping[str, StoredTensor]

    @property
    def data_start(self) -> int:
        """Byte at which the first tensor begins."""
        return LENGTH_BYTES + len(self.text.encode())

    @property
    def size(self) -> int:
        """Length in bytes that the file must have."""
        return max((tensor.end for tensor in self.tensors.values()), default=self.data_start)


def read_header(file: Path) -> Header:
    """Header of one file. The file may be shorter than the header says: compare its size with `Header.size`.

    Raises CheckpointError when there is no valid header, FileNotFoundError when there is no file.
    """
    with file.open("rb") as stream:
        prefix = stream.read(LENGTH_BYTES)
        length = int.from_bytes(prefix, "little")
        if len(prefix) < LENGTH_BYTES or length > HEADER_LIMIT:
            raise CheckpointError(f"{file} is no safetensors file (no header length); fetch it again")
        blob = stream.read(length)
    if len(blob) < length:
        raise CheckpointError(f"{file} ends inside its header; fetch it again")
    try:
        text = blob.decode()
        data = json.loads(text)
        metadata = dict(data.pop("__metadata__", {}))
        tensors = [_tensor(file, name, entry, LENGTH_BYTES + length) for name, entry in data.items()]
    except (
        UnicodeDecodeError,
        json.JSONDecodeError,
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:
        raise CheckpointError(f"{file} has a damaged header ({error}); fetch it again") from error
    tensors.sort(key=lambda tensor: (tensor.start, tensor.end))
    _check_order(file, tensors, LENGTH_BYTES + length)
    return Header(file, text, metadata, {tensor.name: tensor for tensor in tensors})


def _tensor(file: Path, name: str, entry: Mapping[str, Any], base: int) -> StoredTensor:
    dtype, shape = entry["dtype"], tuple(int(size) for size in entry["shape"])
    start, end = (int(offset) for offset in entry["data_offsets"])
    if dtype not in DTYPE_BYTES:
        raise ValueError(f"tensor {name} has the unknown dtype {dtype}")
    if any(size < 0 for size in shape) or end - start != math.prod(shape) * DTYPE_BYTES[dtype]:
        raise ValueError(f"tensor {name} of shape {shape} {dtype} has {end - start} bytes")
    return StoredTensor(name, file, dtype, shape, base + start, base + end)


def _check_order(file: Path, tensors: Sequence[StoredTensor], begin: int) -> None:
    for tensor in tensors:
        if tensor.start != begin:
            raise CheckpointError(
                f"{file} has a gap or an overlap before tensor {tensor.name}; fetch it again"
            )
        begin = tensor.end


def format_header(
    entries: Sequence[tuple[str, str, tuple[int, ...]]], metadata: Mapping[str, str] | None = None
) -> str:
    """Header text for tensors (name, dtype, shape) whose bytes follow in this order, padded to 8 bytes."""
    data: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    offset = 0
    for name, dtype, shape in entries:
        end = offset + math.prod(shape) * DTYPE_BYTES[dtype]
        data[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    return text + " " * (-(LENGTH_BYTES + len(text.encode())) % ALIGNMENT)
