"""Hostile bytes: nothing but WireError, and neither memory nor time beyond what the bytes themselves take."""

from __future__ import annotations

import asyncio
import contextlib
import io
import math
import struct
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from reward_scenes import invalid, label, make_clip, parked_car, rollout, straight_road

from rewards.score import Score
from rewards.wire import frames
from rewards.wire import reward_pb2 as pb
from rewards.wire.arrays import WireError, decode
from rewards.wire.bounds import MOST_ENTRIES, entries, parse
from rewards.wire.clips import decode_clip, encode_clip
from rewards.wire.codec import decode_description, decode_rollout, decode_score, encode_rollout, encode_score
from rewards.wire.worker_pb2 import WorkerReply, WorkerRequest
from scenes.clip import Cameras, Clip, Signals

MIB = 2**20


def full_clip() -> Clip:
    """Every optional part present."""
    clip = make_clip(agents=parked_car(30.0, 1.0), road=straight_road(stop_at=25.0), coc=label())
    frames_ = np.zeros((1, 2, 3, 4, 3), np.uint8)
    return Clip(
        **{
            **{name: getattr(clip, name) for name in clip.__dataclass_fields__},
            "signals": Signals(("s",), np.zeros((1, 2)), np.zeros(1), np.ones((1, 80), np.uint8)),
            "cameras": Cameras(("front_wide",), frames_, np.array([-0.1, 0.0])),
        }
    )


def decode_clips(message: pb.PutClipsRequest) -> list[Clip]:
    return [decode_clip(clip) for clip in message.clips]


def decode_batch(message: pb.ScoreRequest) -> list[Any]:
    return [decode_rollout(each) for each in message.rollouts]


def decode_scores(message: pb.ScoreResponse) -> list[Score]:
    return [decode_score(result, "r", "1", 1) for result in message.results]


def decode_offers(message: pb.DescribeResponse) -> list[Any]:
    return [decode_description(each) for each in message.rewards]


GOOD = encode_score("g/0", Score("r", 0.5, components={"ade": 1.0, "jerk": 2.0}, explanation="fine"))
SEEDS: dict[str, tuple[Message, Callable[[Any], object]]] = {
    "clips": (pb.PutClipsRequest(clips=[encode_clip(full_clip(), cameras=True)]), decode_clips),
    "rollouts": (
        pb.ScoreRequest(reward="r", rollouts=[encode_rollout(rollout()), encode_rollout(invalid(1))]),
        decode_batch,
    ),
    "scores": (pb.ScoreResponse(reward="r", results=[GOOD, pb.Result(status=pb.DATA)]), decode_scores),
    "descriptions": (
        pb.DescribeResponse(
            protocol=1, rewards=[pb.Description(name="r", needs=[pb.TEXT], mode=pb.PER_GROUP)]
        ),
        decode_offers,
    ),
}
PACKED = {name: message.SerializeToString() for name, (message, _) in SEEDS.items()}


def fate(name: str, data: bytes) -> str:
    """ "decoded" or "refused"; anything else that happens fails the test."""
    message, decoder = SEEDS[name]
    try:
        decoder(parse(data, type(message)))
    except WireError:
        return "refused"
    return "decoded"


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, bytes]:
    """A valid message after bit flips, a cut, a splice, a repetition, or a length that lies."""
    name = draw(st.sampled_from(sorted(PACKED)))
    data = bytearray(PACKED[name])
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data) - 1)) if data else 0
        match draw(st.sampled_from(["flip", "cut", "insert", "repeat", "length", "float"])):
            case "flip" if data:
                data[place] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[place : place + draw(st.integers(1, len(data) + 1))]
            case "insert":
                data[place:place] = draw(st.binary(min_size=1, max_size=16))
            case "repeat":
                data[place:place] = data[place : place + draw(st.integers(1, 64))]
            case "length":
                data[place : place + 1] = b"\xff\xff\xff\xff" + bytes([draw(st.integers(0, 15))])
            case "float":
                value = draw(st.sampled_from([math.nan, math.inf, -math.inf, 1e308, -0.0, 5e-324]))
                data[place : place + 8] = struct.pack("<d", value)
    return name, bytes(data)


@settings(max_examples=1500, deadline=None)
@given(mutated())
def test_damaged_messages_decode_or_are_refused(case: tuple[str, bytes]) -> None:
    assert fate(*case) in ("decoded", "refused")


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(sorted(PACKED)), st.binary(max_size=400))
def test_arbitrary_bytes_decode_or_are_refused(name: str, data: bytes) -> None:
    assert fate(name, data) in ("decoded", "refused")


@pytest.mark.parametrize("name", sorted(PACKED))
def test_what_is_not_damaged_decodes(name: str) -> None:
    assert fate(name, PACKED[name]) == "decoded"


LENGTHS = st.one_of(st.integers(0, 3), st.sampled_from([2**16, 2**26, 2**31 - 1, 2**31, 2**32 - 1]))


@settings(max_examples=1000, deadline=None)
@given(st.integers(-1, 9), st.lists(LENGTHS, max_size=10), st.binary(max_size=24))
def test_huge_and_overflowing_shapes_are_refused(dtype: int, shape: list[int], data: bytes) -> None:
    message = pb.Array(shape=shape, data=data)
    message.dtype = dtype
    with contextlib.suppress(WireError):
        array = decode(message)
        assert (array.nbytes, array.shape) == (len(data), tuple(shape))


@pytest.mark.parametrize(
    "shape",
    [(0, 2**32 - 1, 2**32 - 1), (2**32 - 1, 2**32 - 1, 2**32 - 1, 0), (0, *[2**26] * 7), (2**31, 2**31, 4)],
)
def test_an_empty_array_with_overflowing_lengths_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(WireError, match="shape"):
        decode(pb.Array(dtype=pb.FLOAT64, shape=shape))


def field(number: int, body: bytes) -> bytes:
    """A length-delimited field."""
    head = bytearray()
    for value in (number << 3 | 2, len(body)):
        while value > 0x7F:
            head.append(value & 0x7F | 0x80)
            value >>= 7
        head.append(value)
    return bytes(head) + body


EMPTY = b"\x12\x00"
BOMBS = {
    "empty rollouts": (pb.ScoreRequest, EMPTY * (16 * MIB)),
    "empty clips": (pb.PutClipsRequest, b"\x0a\x00" * (16 * MIB)),
    "empty signs": (pb.PutClipsRequest, field(1, field(9, b"\x42\x00" * (16 * MIB)))),
    "empty lanes": (pb.PutClipsRequest, field(1, field(9, b"\x0a\x00" * (16 * MIB)))),
    "empty ids": (pb.PutClipsRequest, field(1, field(8, b"\x0a\x00" * (16 * MIB)))),
    "empty factors": (pb.PutClipsRequest, field(1, field(11, b"\x2a\x00" * (16 * MIB)))),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_message_that_would_swell_is_refused_before_it_is_parsed(name: str) -> None:
    kind, data = BOMBS[name]
    tracemalloc.start()
    with pytest.raises(WireError, match=f"more than {MOST_ENTRIES} entries"):
        parse(data, kind)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MIB


def test_large_honest_messages_are_few_entries() -> None:
    batch = pb.ScoreRequest(rollouts=[encode_rollout(rollout(i)) for i in range(4096)])
    assert entries(batch.SerializeToString(), pb.ScoreRequest.DESCRIPTOR, MOST_ENTRIES) == 4096
    big = pb.PutClipsRequest(clips=[encode_clip(full_clip(), cameras=True)])
    big.clips[0].cameras.frames.data = bytes(32 * MIB)
    assert entries(big.SerializeToString(), pb.PutClipsRequest.DESCRIPTOR, MOST_ENTRIES) < 200
    assert parse(big.SerializeToString(), pb.PutClipsRequest) == big


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda c: c.ego_size.__setitem__(0, math.nan), "ego_size"),
        (lambda c: setattr(c, "t0", math.inf), "t0"),
        (lambda c: c.road.lane_widths.__setitem__(0, math.nan), "lane_widths"),
        (lambda c: c.road.signs.add(x=math.nan), "signs"),
        (lambda c: setattr(c, "clip_id", "x" * 257), "257 characters"),
        (lambda c: setattr(c.label, "lateral", "x" * MIB), "is no Lateral"),
        (
            lambda c: setattr(c.agents.poses, "data", c.agents.poses.data[:-8] + struct.pack("<d", math.nan)),
            "valid",
        ),
    ],
)
def test_numbers_and_names_outside_arrays_are_checked_too(change, complaint) -> None:
    message = encode_clip(full_clip(), cameras=True)
    change(message)
    with pytest.raises(WireError, match=complaint) as refused:
        decode_clip(message)
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("name", ["rollout_id", "group_id", "clip_id"])
def test_ids_that_would_fill_the_memory_of_remembered_scores_are_refused(name: str) -> None:
    message = encode_rollout(rollout())
    setattr(message, name, "x" * 257)
    with pytest.raises(WireError, match="longer than 256"):
        decode_rollout(message)


FRAMES = st.one_of(
    st.binary(max_size=64),
    st.binary(max_size=64).map(lambda body: struct.pack("<I", len(body)) + body),
    st.integers(0, 2**32 - 1).map(lambda size: struct.pack("<I", size) + b"\x0a\x02xx"),
)


async def read_async(data: bytes) -> Message:
    stream = asyncio.StreamReader()
    stream.feed_data(data)
    stream.feed_eof()
    return await frames.read_frame_async(stream, WorkerReply)


@settings(max_examples=500, deadline=None)
@given(FRAMES)
def test_a_pipe_full_of_anything_gives_frames_the_end_or_a_wire_error(data: bytes) -> None:
    with contextlib.suppress(WireError, asyncio.IncompleteReadError):
        assert isinstance(asyncio.run(read_async(data)), WorkerReply)
    with contextlib.suppress(WireError):
        found = frames.read_frame(io.BytesIO(data), WorkerRequest)
        assert found is None or isinstance(found, WorkerRequest)


def test_a_frame_length_that_lies_takes_no_memory() -> None:
    for size in (frames.MOST_BYTES + 1, 2**32 - 1):
        with pytest.raises(WireError, match=f"a frame of {size} bytes"):
            frames.read_frame(io.BytesIO(struct.pack("<I", size)), WorkerRequest)
