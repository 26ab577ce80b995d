"""A Score call as it came: its bytes, where each rollout stands in them, and the message that they are.

Role: lets a server hand a call on to its scoring process, and remember what it answered, without packing anything
anew. Invariant: as `rewards.wire.bounds.parse`: a call, or WireError, whatever the bytes; memory is bounded before
the message is parsed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from google.protobuf.message import DecodeError

from rewards.wire import reward_pb2 as pb
from rewards.wire.arrays import WireError
from rewards.wire.bounds import MOST_ENTRIES, skipped, varint

_ROLLOUT = pb.ScoreRequest.ROLLOUTS_FIELD_NUMBER << 3 | 2


@dataclass(frozen=True)
class Call:
    """data: the bytes; message: what they are; places: for each rollout where its field begins, where its own bytes
    begin, and where both end; together: whether nothing stands between them."""

    data: bytes
    message: pb.ScoreRequest
    places: Sequence[tuple[int, int, int]]
    together: bool

    def body(self, index: int) -> memoryview:
        """The bytes of one rollout."""
        _, begin, end = self.places[index]
        return memoryview(self.data)[begin:end]

    def fields(self, indices: Sequence[int]) -> bytes:
        """Some of the rollouts, in this order, as fields of a request. Nothing else that a caller may have put into
        the bytes is among them."""
        if self.together and len(indices) == len(self.places):
            return self.data[self.places[0][0] : self.places[-1][2]]
        return b"".join([self.data[begin:end] for begin, _, end in map(self.places.__getitem__, indices)])


def parse_call(data: bytes) -> Call:
    """The call in the bytes. WireError: they are none, or hold more than MOST_ENTRIES entries."""
    places: list[tuple[int, int, int]] = []
    view, place, size, others = memoryview(data), 0, len(data), 0
    while place < size:
        begin = place
        if data[place] == _ROLLOUT:
            length, place = varint(view, place + 1)
            places.append((begin, place, place + length))
            place += length
        else:
            tag, place = varint(view, place)
            place = skipped(view, place, tag & 7, "ScoreRequest")
            others += 1
        if len(places) + others > MOST_ENTRIES:
            raise WireError(f"ScoreRequest: more than {MOST_ENTRIES} entries")
    try:
        message = pb.ScoreRequest.FromString(data)
    except DecodeError as error:
        raise WireError(f"ScoreRequest: {size} bytes that are no such message") from error
    if len(message.rollouts) != len(places):
        raise WireError(
            f"ScoreRequest: {size} bytes that name their rollouts in an unusual way; pack them anew"
        )
    together = all(one[2] == other[0] for one, other in pairwise(places))
    return Call(data, message, places, together)
