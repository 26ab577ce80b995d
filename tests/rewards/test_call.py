"""A call is split where its rollouts stand, and nothing but rollouts is handed on."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reward_scenes import invalid, make_clip, rollout

from rewards.wire import reward_pb2 as pb
from rewards.wire.arrays import WireError
from rewards.wire.bounds import MOST_ENTRIES, parse
from rewards.wire.call import parse_call
from rewards.wire.clips import encode_clip
from rewards.wire.codec import encode_rollout
from rewards.wire.worker_pb2 import WorkerRequest

ROLLOUTS = [encode_rollout(view) for view in (rollout(0), invalid(1), rollout("two"))]
REQUEST = pb.ScoreRequest(reward="r", rollouts=ROLLOUTS, job="j")
PACKED = REQUEST.SerializeToString()


def test_every_rollout_is_found_at_its_place():
    call = parse_call(PACKED)
    assert call.message == REQUEST
    assert [pb.Rollout.FromString(bytes(call.body(i))) for i in range(3)] == ROLLOUTS


@pytest.mark.parametrize("chosen", [[0, 1, 2], [2, 0], [1], []])
def test_chosen_rollouts_are_fields_of_a_workers_request(chosen):
    request = WorkerRequest.FromString(parse_call(PACKED).fields(chosen))
    assert list(request.rollouts) == [ROLLOUTS[i] for i in chosen]


def test_what_a_caller_slips_into_the_bytes_does_not_reach_the_scoring_process():
    slipped = WorkerRequest(put=[encode_clip(make_clip("c9"))], drop=["c0"], one_by_one=True, number=99)
    own = pb.ScoreRequest(reward="r", rollouts=ROLLOUTS[:1]).SerializeToString()
    rest = pb.ScoreRequest(rollouts=ROLLOUTS[1:]).SerializeToString()
    for data in (own + slipped.SerializeToString() + rest, slipped.SerializeToString() + own + rest):
        call = parse_call(data)
        assert len(call.places) == 3
        handed = WorkerRequest.FromString(call.fields(range(3)))
        assert handed == WorkerRequest(rollouts=ROLLOUTS)


@settings(max_examples=1000, deadline=None)
@given(st.data())
def test_damaged_calls_are_split_as_they_are_parsed_or_refused(data):
    damaged = bytearray(PACKED)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "insert"])):
            case "flip":
                damaged[place] ^= 1 << data.draw(st.integers(0, 7))
            case "cut":
                del damaged[place : place + data.draw(st.integers(1, 40))]
            case "insert":
                damaged[place:place] = data.draw(st.binary(min_size=1, max_size=6))
        if not damaged:
            break
    try:
        call = parse_call(bytes(damaged))
    except WireError:
        return
    assert call.message == parse(bytes(damaged), pb.ScoreRequest)
    bodies = [pb.Rollout.FromString(bytes(call.body(i))) for i in range(len(call.places))]
    # NaN in a damaged array equals nothing, so bytes are compared.
    assert [b.SerializeToString(deterministic=True) for b in bodies] == [
        r.SerializeToString(deterministic=True) for r in call.message.rollouts
    ]


def test_a_call_that_would_swell_is_refused_before_it_is_parsed():
    data = b"\x12\x00" * (16 * 2**20)
    tracemalloc.start()
    with pytest.raises(WireError, match=f"more than {MOST_ENTRIES} entries"):
        parse_call(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 * 2**20
