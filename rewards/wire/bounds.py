"""Parse a message only when it stays small once parsed.

An empty repeated message takes 2 bytes on the wire and about 140 in memory (measured: 4 MiB of empty rollouts
took 276 MiB), so a limit on bytes alone lets 64 MiB become gigabytes. Entries of repeated messages and texts
are counted on the packed bytes first. Large arrays, what real messages consist of, are one entry each.

Invariant: `parse` returns a message or raises WireError, whatever the bytes.
"""

from __future__ import annotations

from functools import cache
from typing import TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from rewards.wire.arrays import WireError

M = TypeVar("M", bound=Message)
# About 14 MiB once parsed. A clip of a large map has some 10,000, a batch of 4096 rollouts 4,096.
MOST_ENTRIES = 100_000
_TEXTS = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


def parse(data: bytes, kind: type[M], most: int = MOST_ENTRIES) -> M:
    """The message of this kind in the bytes. WireError: they are none, or hold more than `most` entries."""
    if (count := entries(data, kind.DESCRIPTOR, most)) > most:
        raise WireError(f"{kind.DESCRIPTOR.name}: more than {most} entries ({count} were counted)")
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise WireError(f"{kind.DESCRIPTOR.name}: {len(data)} bytes that are no such message") from error


def entries(data: bytes, descriptor: Descriptor, most: int) -> int:
    """Fields on the wire, nested ones included where messages can branch; stops at `most` + 1.

    Bytes that are no message raise WireError or are counted as far as they go: the parser judges them."""
    return _count(memoryview(data), descriptor, 0, most)


def _count(view: memoryview, kind: Descriptor, count: int, most: int) -> int:
    """`count` and the fields in the view. Recursion is as deep as the contract, whatever the bytes."""
    place, size, branches = 0, len(view), _branches(kind)
    while place < size and count <= most:
        count += 1
        tag, place = varint(view, place)
        wire_type = tag & 7
        inner = branches.get(tag >> 3) if wire_type == _LENGTH else None
        if inner is not None:
            length, place = varint(view, place)
            count = _count(view[place : place + length], inner, count, most)
            place += length
        else:
            place = skipped(view, place, wire_type, kind.name)
    return count


def skipped(view: memoryview, place: int, wire_type: int, kind: str) -> int:
    """The place behind a field's value; WireError for wire types that this contract does not use."""
    if wire_type == _VARINT:
        return varint(view, place)[1]
    if wire_type == _LENGTH:
        length, place = varint(view, place)
        return place + length
    if wire_type in (_FIXED64, _FIXED32):
        return place + (8 if wire_type == _FIXED64 else 4)
    raise WireError(f"{kind}: wire type {wire_type} is not used in this contract")


def varint(view: memoryview, place: int) -> tuple[int, int]:
    """(value, next place) of a base-128 integer; WireError when it does not end."""
    value = shift = 0
    while place < len(view) and shift < 70:
        byte = view[place]
        value |= (byte & 0x7F) << shift
        place += 1
        if byte < 0x80:
            return value, place
        shift += 7
    raise WireError("an integer that does not end")


@cache
def _branches(descriptor: Descriptor) -> dict[int, Descriptor]:
    """Fields to look into: messages that hold, at any depth, repeated messages or texts. Maps do not count, as
    they keep equal keys once. Contracts without recursive messages only."""
    return {f.number: f.message_type for f in descriptor.fields if f.message_type and _grows(f.message_type)}


def _grows(descriptor: Descriptor) -> bool:
    return any(
        (field.is_repeated and not _is_map(field) and (field.message_type or field.type in _TEXTS))
        or (field.message_type and _grows(field.message_type))
        for field in descriptor.fields
    )


def _is_map(field: FieldDescriptor) -> bool:
    return bool(field.message_type and field.message_type.GetOptions().map_entry)
