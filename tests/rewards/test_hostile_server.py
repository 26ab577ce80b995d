"""A job's client against a server that answers anything: missing scores with the cause, never an exception."""

from __future__ import annotations

import asyncio
import resource
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reward_scenes import make_clip, rollout

from rewards.client import ClientConfig, RewardClient
from rewards.score import Score, Status
from rewards.wire import reward_pb2 as pb
from rewards.wire.codec import TOLD_CHARS

pytestmark = pytest.mark.process
OFFER = pb.Description(name="r", version="1", low=0.0, high=1.0, max_batch=64, mode=pb.PER_ROLLOUT)
HONEST = {
    "Describe": pb.DescribeResponse(protocol=1, instance="i", rewards=[OFFER]).SerializeToString(),
    "PutClips": pb.PutClipsResponse(results=[pb.ItemStatus(status=pb.OK)], instance="i").SerializeToString(),
    "Score": pb.ScoreResponse(
        version="1", instance="i", results=[pb.Result(rollout_id="g0/0", status=pb.OK, value=0.5)]
    ).SerializeToString(),
}


class Anything(grpc.GenericRpcHandler):
    """Answers every method with the bytes it is told to."""

    def __init__(self) -> None:
        self.answers = dict(HONEST)

    def service(self, handler_call_details):
        name = handler_call_details.method.rpartition("/")[2]
        return grpc.unary_unary_rpc_method_handler(lambda _request, _context: self.answers[name])


@pytest.fixture(scope="module")
def hostile():
    handler = Anything()
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(4), handlers=[handler], options=options)
    handler.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield handler
    server.stop(0)


def ask(handler, **answers: bytes) -> Score:
    handler.answers = {**HONEST, **answers}

    async def main() -> Score:
        client = RewardClient(ClientConfig(f"grpc://127.0.0.1:{handler.port}/r", deadline_s=20.0, attempts=2))
        try:
            (score,) = await client.score([rollout(0)], {"c0": make_clip()})
            return score
        finally:
            await client.close()

    return asyncio.run(main())


def test_an_honest_answer_is_taken(hostile) -> None:
    assert ask(hostile).value == 0.5


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(HONEST)), st.binary(max_size=60), st.integers(0, 100), st.integers(0, 100))
def test_damaged_answers_are_missing_scores(hostile, name: str, junk: bytes, start: int, cut: int) -> None:
    good = HONEST[name]
    score = ask(hostile, **{name: good[:start] + junk + good[start + cut :]})
    assert (score.value is None) == (score.status is not Status.OK)


@pytest.mark.parametrize(
    ("name", "answer", "complaint"),
    [
        ("Score", b"\xff" * 40, "no such message|does not end"),
        ("Score", b"\x22\x00" * (16 * 2**20), "more than 100000 entries"),
        ("Describe", b"\x1a\x00" * (16 * 2**20), "more than 100000 entries"),
        ("PutClips", b"\x0a\x00" * (16 * 2**20), "more than 100000 entries"),
        ("Describe", b"\xff" * 40, "no such message|does not end"),
    ],
)
def test_nonsense_and_swelling_answers_are_told_as_the_servers_fault(
    hostile, name, answer, complaint
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    score = ask(hostile, **{name: answer})
    assert score.status is Status.REWARD_BUG
    assert any(part in score.explanation for part in complaint.split("|"))
    # 32 MiB would be over 2 GiB parsed.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 * 1024


def test_what_would_fill_a_ledger_is_cut_or_refused(hostile) -> None:
    def answer(**fields) -> bytes:
        result = pb.Result(rollout_id="g0/0", status=pb.DATA, **fields)
        return pb.ScoreResponse(version="1", instance="i", results=[result]).SerializeToString()

    assert len(ask(hostile, Score=answer(explanation="x" * 2**20)).explanation) == TOLD_CHARS
    many = ask(hostile, Score=answer(components={str(i): 0.0 for i in range(1000)}))
    assert (many.status, "1000 components" in many.explanation) == (Status.REWARD_BUG, True)
    secret = ask(hostile, Score=answer(explanation="401 for Bearer abcdef0123456789"))
    assert secret.explanation == "401 for Bearer [redacted]"
