"""Length-prefixed protobuf frames on the pipe between a server and its scoring processes."""

from __future__ import annotations

import asyncio
import struct
from typing import BinaryIO, TypeVar

from google.protobuf.message import Message

M = TypeVar("M", bound=Message)
_LENGTH = struct.Struct("<I")


def frame(message: Message) -> bytes:
    """The bytes of one frame."""
    body = message.SerializeToString()
    return _LENGTH.pack(len(body)) + body


def read_frame(stream: BinaryIO, kind: type[M]) -> M | None:
    """Block for the next frame; None at the end of the stream."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    size = _LENGTH.unpack(head)[0]
    body = stream.read(size)
    return kind.FromString(body) if len(body) == size else None


async def read_frame_async(stream: asyncio.StreamReader, kind: type[M]) -> M:
    """Await the next frame; asyncio.IncompleteReadError when the other side is gone."""
    head = await stream.readexactly(_LENGTH.size)
    return kind.FromString(await stream.readexactly(_LENGTH.unpack(head)[0]))
