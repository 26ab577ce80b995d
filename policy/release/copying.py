"""Copying tensors from file to file in pieces.

Role: writes shards of any size in constant memory. Invariant: at most one piece (16 MiB) of one tensor is held,
twice while its dtype changes; a tensor whose dtype and rows stay is copied byte for byte.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from policy.release.findings import CheckpointError
from policy.release.safetensors_header import DTYPE_BYTES, LENGTH_BYTES, StoredTensor, format_header

PIECE_BYTES = 16 << 20
METADATA = {"format": "pt"}
"""What transformers asks of a header it loads."""
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Copy:
    """One tensor to write: `source` under `name`; dtype: cast to (None: as stored); rows: keep the first rows."""

    name: str
    source: StoredTensor
    dtype: str | None = None
    rows: int | None = None

    @property
    def entry(self) -> tuple[str, str, tuple[int, ...]]:
        """Name, dtype and shape as written."""
        shape = self.source.shape if self.rows is None else (self.rows, *self.source.shape[1:])
        return self.name, self.dtype or self.source.dtype, shape

    @property
    def nbytes(self) -> int:
        """Bytes read."""
        size = self.source.nbytes
        return size if self.rows is None else size // self.source.shape[0] * self.rows


def pieces(tensor: StoredTensor, nbytes: int | None = None) -> Iterator[bytes]:
    """The tensor's bytes, or the first nbytes of them, piece by piece.

    Raises CheckpointError when the file ends early.
    """
    left = tensor.nbytes if nbytes is None else nbytes
    with tensor.file.open("rb") as stream:
        stream.seek(tensor.start)
        while left:
            piece = stream.read(min(PIECE_BYTES, left))
            if not piece:
                raise CheckpointError(f"{tensor.file} ends inside tensor {tensor.name}; fetch it again")
            left -= len(piece)
            yield piece


def order(copies: Sequence[Copy]) -> list[Copy]:
    """Copies with wide dtypes first, so that every tensor's bytes are aligned for its dtype."""
    return sorted(copies, key=lambda copy: -DTYPE_BYTES[copy.entry[1]])


def write_shard(
    file: Path, copies: Sequence[Copy], progress: Progress = lambda _: None, text: str | None = None
) -> None:
    """Write one shard and sync it to disk.

    text: header to write verbatim (it must place these tensors in this order); None makes one. progress is told
    the bytes read. Raises CheckpointError when a source ends early or a cast is not possible.
    """
    header = (text or format_header([copy.entry for copy in copies], METADATA)).encode()
    with file.open("wb") as out:
        out.write(len(header).to_bytes(LENGTH_BYTES, "little") + header)
        for copy in copies:
            for piece in pieces(copy.source, copy.nbytes):
                out.write(_cast(piece, copy))
                progress(len(piece))
        out.flush()
        os.fsync(out.fileno())


def _cast(piece: bytes, copy: Copy) -> bytes:
    if copy.dtype in (None, copy.source.dtype):
        return piece
    import torch

    known = {"F64": torch.float64, "F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
    if copy.dtype not in known or copy.source.dtype not in known:
        raise CheckpointError(f"tensor {copy.name} cannot be cast from {copy.source.dtype} to {copy.dtype}")
    values = torch.frombuffer(bytearray(piece), dtype=known[copy.source.dtype]).to(known[copy.dtype])
    return bytes(values.view(torch.uint8).numpy().tobytes())


def same_bytes(first: StoredTensor, second: StoredTensor) -> bool:
    """Whether two tensors of one dtype and shape hold the same bytes."""
    if (first.dtype, first.shape) != (second.dtype, second.shape):
        return False
    return all(a == b for a, b in zip(pieces(first), pieces(second), strict=True))


def non_finite(tensor: StoredTensor) -> int:
    """Number of NaN or infinite elements; 0 for a dtype that has none."""
    import torch

    known = {"F64": torch.float64, "F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
    if tensor.dtype not in known:
        return 0
    buffers = (torch.frombuffer(bytearray(piece), dtype=known[tensor.dtype]) for piece in pieces(tensor))
    return sum(int((~values.isfinite()).sum()) for values in buffers)
