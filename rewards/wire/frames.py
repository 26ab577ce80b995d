"""Length-prefixed protobuf frames on the pipe between a server and its scoring processes.

Invariant: what cannot be a frame raises WireError before memory is taken for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import stat
import struct
from typing import BinaryIO, TypeVar

from google.protobuf.message import DecodeError, Message

from rewards.wire.arrays import WireError

M = TypeVar("M", bound=Message)
# A batch with all its clips, images included; protobuf itself ends at 2 GiB.
MOST_BYTES = 2**30
# What an unprivileged process may ask for on Linux.
PIPE_BYTES = 2**20
_LENGTH = struct.Struct("<I")


def frame(message: Message, fields: bytes = b"") -> bytes:
    """The bytes of one frame; WireError when the message is larger than a frame may be. fields: of the same
    message, packed already."""
    size = message.ByteSize() + len(fields)
    if size > MOST_BYTES:
        raise WireError(
            f"{size} bytes for one scoring process, at most {MOST_BYTES}: score fewer clips a call"
        )
    return b"".join((_LENGTH.pack(size), message.SerializeToString(), fields))


def widen(pipe: int) -> None:
    """Let a pipe hold a whole batch, where the system can: each filling of a pipe costs both sides a wake-up."""
    resize = getattr(fcntl, "F_SETPIPE_SZ", None)
    if resize is None or not stat.S_ISFIFO(os.fstat(pipe).st_mode):
        return
    # Refused once a user holds many wide pipes; a narrow one does the same, more slowly.
    with contextlib.suppress(PermissionError):
        fcntl.fcntl(pipe, resize, PIPE_BYTES)


def read_frame(stream: BinaryIO, kind: type[M]) -> M | None:
    """Block for the next frame; None at the end of the stream, WireError for what is no frame."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    size = _size(head)
    body = stream.read(size)
    return _parse(body, kind) if len(body) == size else None


async def read_frame_async(stream: asyncio.StreamReader, kind: type[M]) -> M:
    """Await the next frame; asyncio.IncompleteReadError when the other side is gone, WireError for what is no
    frame."""
    head = await stream.readexactly(_LENGTH.size)
    return _parse(await stream.readexactly(_size(head)), kind)


def _size(head: bytes) -> int:
    size: int = _LENGTH.unpack(head)[0]
    if size > MOST_BYTES:
        raise WireError(f"a frame of {size} bytes, at most {MOST_BYTES} are allowed")
    return size


def _parse(body: bytes, kind: type[M]) -> M:
    try:
        return kind.FromString(body)
    except DecodeError as error:
        raise WireError(f"a frame of {len(body)} bytes that is no {kind.DESCRIPTOR.name}") from error
