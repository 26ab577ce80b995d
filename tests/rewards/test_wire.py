"""What crosses the wire comes out as it went in, and nonsense never gets further than a WireError."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from reward_scenes import label, make_clip, parked_car, rollout, straight_road

from rewards.description import Component, Description, Mode, Need
from rewards.score import Score, Status
from rewards.wire import generate
from rewards.wire import reward_pb2 as pb
from rewards.wire.arrays import WireError, decode, encode
from rewards.wire.clips import decode_clip, encode_clip
from rewards.wire.codec import (
    decode_description,
    decode_rollout,
    decode_score,
    encode_description,
    encode_rollout,
    encode_score,
)
from scenes.clip import Cameras, Signals
from scenes.decisions import Direction, FactorKind, Lateral

DTYPES = st.sampled_from(["?", "u1", "<i4", ">i4", "<i8", "<f4", "<f8", ">f8"]).map(np.dtype)
ARRAYS = DTYPES.flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4))
)


def same(a: object, b: object) -> bool:
    """Equality of nested records, arrays bit for bit."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return (
            a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        )
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if is_dataclass(a) and is_dataclass(b):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    return a == b


def rich_clip():
    clip = make_clip(
        agents=parked_car(30.0, 1.0),
        road=straight_road(stop_at=25.0),
        coc=label(
            lateral=Lateral.TURN, direction=Direction.LEFT, factors=(FactorKind.RED_LIGHT, FactorKind.CURVE)
        ),
    )
    signals = Signals(("s",), np.array([[20.0, 3.0]]), np.array([0.1]), np.ones((1, 80), np.uint8))
    frames = np.arange(2 * 3 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 3, 4, 5, 3)
    cameras = Cameras(("front_wide", "front_tele"), frames, np.array([-0.2, -0.1, 0.0]))
    return replace(clip, signals=signals, cameras=cameras)


@given(ARRAYS)
def test_an_array_survives_the_round_trip(array):
    back = decode(pb.Array.FromString(encode(array).SerializeToString()))
    assert back.shape == array.shape
    assert back.dtype == array.dtype.newbyteorder("<")
    assert back.tobytes() == np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()


@given(st.integers(-3, 20), st.lists(st.integers(0, 2**32 - 1), max_size=10), st.binary(max_size=64))
def test_any_array_message_decodes_or_is_refused(dtype, shape, data):
    message = pb.Array(shape=shape, data=data)
    message.dtype = dtype
    try:
        array = decode(message, "thing")
    except WireError:
        with pytest.raises(WireError, match="thing"):
            decode(message, "thing")
    else:
        assert array.nbytes == len(data)


def test_dtypes_without_a_code_are_not_sent():
    with pytest.raises(WireError, match="complex"):
        encode(np.zeros(3, complex))
    with pytest.raises(WireError, match="object"):
        encode(np.array([object()]))


def test_a_clip_survives_with_and_without_its_cameras():
    clip = rich_clip()
    packed = encode_clip(clip, cameras=True).SerializeToString()
    assert same(decode_clip(pb.Clip.FromString(packed)), clip)
    assert same(decode_clip(encode_clip(clip)), clip.without_cameras())


PACKED = encode_clip(rich_clip(), cameras=True).SerializeToString()


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(PACKED) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_a_damaged_clip_decodes_or_is_refused(damage):
    data = bytearray(PACKED)
    for place, byte in damage:
        data[place] = byte
    try:
        steps = len(decode_clip(pb.Clip.FromString(bytes(data))).ego_future)
    except (WireError, DecodeError):
        steps = 64
    assert steps == 64


@given(st.binary(max_size=300))
def test_random_bytes_never_crash_the_decoders(data):
    for kind, decoder in ((pb.Clip, decode_clip), (pb.Rollout, decode_rollout)):
        try:
            decoder(kind.FromString(data))
        except (WireError, DecodeError):
            continue
        assert kind is pb.Rollout, "no random message is a whole clip"


def test_a_rollout_survives_the_round_trip():
    view = rollout(7)
    assert same(decode_rollout(pb.Rollout.FromString(encode_rollout(view).SerializeToString())), view)
    broken = replace(view, valid=False, reason="no end token", actions=None, states=None)
    assert same(decode_rollout(encode_rollout(broken)), broken)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"states": np.full((64, 4), np.nan)}, "256 numbers are not finite"),
        ({"actions": np.zeros((64, 3))}, "expected"),
        ({"states": np.zeros((63, 4))}, "states"),
        ({"actions": np.zeros((64, 2), np.int64)}, "dtype"),
        ({"actions": None}, "carries"),
        ({"valid": False}, "carries"),
        ({"text": "x" * 70_000}, "70000 bytes"),
        ({"clip_id": ""}, "clip_id"),
        ({"actions": np.zeros((0, 2)), "states": np.zeros((0, 4))}, "0 steps"),
        ({"actions": np.zeros((2000, 2)), "states": np.zeros((2000, 4))}, "2000 steps"),
    ],
)
def test_a_rollout_that_cannot_be_scored_says_why(change, complaint):
    with pytest.raises(WireError, match=complaint):
        decode_rollout(encode_rollout(replace(rollout(), **change)))


@given(
    st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
    st.dictionaries(st.text(max_size=8), st.floats(allow_nan=False, allow_infinity=False), max_size=4),
    st.text(max_size=50),
    st.booleans(),
)
def test_a_score_survives_the_round_trip(value, components, explanation, cached):
    status = Status.OK if value is not None else Status.DATA
    score = Score("r", value, status, components, explanation, "7", 2, 0.25, cached)
    back = decode_score(pb.Result.FromString(encode_score("g/0", score).SerializeToString()), "r", "7", 2)
    assert back == score


def test_a_component_that_is_not_finite_makes_the_score_missing():
    result = encode_score("g/0", Score("r", 1.0, components={"ade": math.inf}))
    assert (result.status, result.HasField("value")) == (pb.REWARD_BUG, False)


@pytest.mark.parametrize(
    "result",
    [
        pb.Result(status=pb.OK),
        pb.Result(status=pb.DATA, value=0.0),
        pb.Result(status=pb.OK, value=math.nan),
        pb.Result(status=pb.OK, value=1.0, components={"x": math.inf}),
        pb.Result(status=pb.UNKNOWN_CLIP),
        pb.Result(value=1.0),
    ],
)
def test_a_server_that_answers_nonsense_is_refused(result):
    with pytest.raises(WireError):
        decode_score(result, "r", "1", 1)


def test_a_description_survives_the_round_trip():
    said = Description(
        "r",
        "2",
        -math.inf,
        1.0,
        (Component("ade", 0.0, 9.0, "m"),),
        (Need.IMAGES, Need.TEXT),
        16,
        Mode.PER_GROUP,
        "doc",
    )
    assert decode_description(encode_description(said)) == said


def test_a_need_of_a_newer_contract_is_refused():
    message = encode_description(Description("r", "1", 0.0, 1.0))
    message.needs.append(99)  # type: ignore[arg-type]
    with pytest.raises(WireError, match="99"):
        decode_description(message)


def test_the_committed_modules_are_generated_from_the_committed_protos(tmp_path):
    assert generate.write(tmp_path) == 0
    for name in ("reward_pb2.py", "worker_pb2.py"):
        lines = [
            [
                line
                for line in (root / "rewards" / "wire" / name).read_text().splitlines()
                if "AddSerializedFile" in line
            ]
            for root in (generate.ROOT, tmp_path)
        ]
        assert lines[0] == lines[1] != [], "run python -m rewards.wire.generate"
