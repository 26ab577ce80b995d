"""Score tables packed as `Result` messages, a batch at a time.

Role: what a scoring process answers. In results with the same components everything but id, numbers and explanation
is the same bytes at the same places, so that a batch is one array of bytes into which the numbers are written.
Invariant: row i, unpacked, is what `codec.encode_score` makes of score i (tested).
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from rewards.score import Score
from rewards.score_table import ScoreTable
from rewards.wire import reward_pb2 as pb
from rewards.wire.codec import EXPLANATION_CHARS, encode_score

_ID, _VALUE, _COMPONENT, _TOLD, _LATENCY = b"\x0a", b"\x19", b"\x22", b"\x2a", b"\x31"
_OK = b"\x10" + bytes([pb.OK])
_NAME, _NUMBER = b"\x0a", b"\x11"
_CACHED = b"\x38\x01"
STATUS_NAMES = {number: name.lower() for name, number in pb.Status.items()}
Packed = tuple[pb.Status, bytes]
"""A status and the Result that has it."""


def packed_scores(ids: Sequence[str], scores: Sequence[Score]) -> list[Packed]:
    """A packed result a score, in order."""
    if isinstance(scores, ScoreTable):
        return _packed_table(ids, scores)
    results = [encode_score(name, score) for name, score in zip(ids, scores, strict=True)]
    return [packed(result) for result in results]


def packed(result: pb.Result) -> Packed:
    """One result, packed."""
    return result.status, result.SerializeToString()


def as_cached(result: bytes) -> bytes:
    """A packed result, now marked as remembered: of a field that stands twice the last one counts."""
    return result + _CACHED


def field(head: bytes, body: bytes) -> bytes:
    """A length-delimited field with the tag in `head`."""
    size = len(body)
    if size < 0x80:
        return head + bytes((size,)) + body
    if size < 0x4000:
        return head + bytes((size & 0x7F | 0x80, size >> 7)) + body
    length = bytearray()
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return head + bytes(length) + bytes((size,)) + body


def _packed_table(ids: Sequence[str], table: ScoreTable) -> list[Packed]:
    out: list[Packed | None] = [None] * len(table)
    absent = np.isnan(table.parts)
    # An infinite component is the reward's bug, which encode_score tells.
    odd = set(table.missing) | set(np.flatnonzero(np.isinf(table.parts).any(axis=1)).tolist())
    for row in odd:
        out[row] = packed(encode_score(ids[row], table[row]))
    by_absent: dict[bytes, list[int]] = defaultdict(list)
    keys = absent if absent.any() else [None] * len(table)
    for row, key in enumerate(keys):
        if row not in odd:
            by_absent[b"" if key is None else key.tobytes()].append(row)
    latency = _LATENCY + struct.pack("<d", table.latency_s)
    for rows in by_absent.values():
        here = np.flatnonzero(~absent[rows[0]])
        numbers = np.concatenate([table.values[rows, None], table.parts[rows][:, here]], axis=1)
        middles = _middles(numbers, [table.names[column] for column in here])
        for row, middle in zip(rows, middles, strict=True):
            told = table.told[row][:EXPLANATION_CHARS].encode()
            head = field(_ID, ids[row].encode())
            out[row] = (pb.OK, b"".join((head, middle, field(_TOLD, told) if told else b"", latency)))
    return [one for one in out if one is not None]


def _middles(numbers: np.ndarray, names: Sequence[str]) -> list[bytes]:
    """Status, value and components of rows of numbers [R, 1 + C], packed."""
    template, places = bytearray(_OK + _VALUE), []
    places.append(len(template))
    template += bytes(8)
    for name in names:
        entry = field(_NAME, name.encode()) + _NUMBER + bytes(8)
        template += field(_COMPONENT, entry)
        places.append(len(template) - 8)
    size = len(template)
    block = np.tile(np.frombuffer(bytes(template), np.uint8), (len(numbers), 1))
    octets = np.ascontiguousarray(numbers, dtype="<f8").view(np.uint8).reshape(len(numbers), -1, 8)
    for column, place in enumerate(places):
        block[:, place : place + 8] = octets[:, column]
    whole = block.tobytes()
    return [whole[i : i + size] for i in range(0, len(whole), size)]
