"""Real servers under hostile calls: limits hold, are counted and say when to come back; nothing kills them."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from reward_scenes import rollout
from served import CLIPS, FAULTY, ask, launch, refused, told

from rewards.rate_limit import asked_pause_s
from rewards.registry import RewardSource
from rewards.score import Status
from rewards.wire import reward_pb2 as pb
from rewards.wire import reward_pb2_grpc
from rewards.wire.clips import encode_clip
from rewards.wire.codec import encode_rollout

pytestmark = pytest.mark.process
CODE = grpc.StatusCode
SCRIBBLER = r"""
import os
import stat

from rewards.score import Score

JUNK = {"length": b"\xff" * 64, "body": b"\x04\0\0\0" + b"\xff" * 60}


class Scribbler:
    name, version, low, high = "scribbler", "1", 0.0, 1.0

    def score(self, rollouts, clips):
        for junk in (JUNK[r.text] for r in rollouts if r.text in JUNK):
            for fd in (int(name) for name in os.listdir("/proc/self/fd")):
                if fd > 2 and os.path.exists(f"/proc/self/fd/{fd}") and is_pipe(os.fstat(fd).st_mode):
                    os.write(fd, junk)
        return [Score(self.name, 0.5) for _ in rollouts]


def is_pipe(mode):
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
"""
SERVICE = "/ar1.rewards.v1.RewardService/"


def batch(count=1, **fields):
    return pb.ScoreRequest(rollouts=[encode_rollout(rollout(i)) for i in range(count)], **fields)


def stub_of(channel):
    stub = reward_pb2_grpc.RewardServiceStub(channel)
    stub.PutClips(pb.PutClipsRequest(clips=[encode_clip(CLIPS["c0"])]), timeout=10)
    return stub


def refusal(call, request):
    with pytest.raises(grpc.RpcError) as error:
        call(request, timeout=10)
    return error.value


def test_calls_over_the_rate_are_told_when_to_come_back(tmp_path):
    with launch(tmp_path, max_calls_per_s=2.0) as server, grpc.insecure_channel(server.address) as channel:
        told(server, "serving")
        stub = reward_pb2_grpc.RewardServiceStub(channel)
        errors = []
        for _ in range(6):
            try:
                stub.Describe(pb.DescribeRequest(), timeout=10)
            except grpc.RpcError as error:
                errors.append(error)
        assert errors, "six calls in less than two seconds"
        last = errors[-1]
        assert last.code() is CODE.RESOURCE_EXHAUSTED
        assert "over 2 calls a second" in last.details()
        assert 0 < asked_pause_s(last) <= 0.5
        time.sleep(asked_pause_s(last) + 0.05)
        stub.Describe(pb.DescribeRequest(), timeout=10)
        health = health_pb2_grpc.HealthStub(channel)
        answers = [health.Check(health_pb2.HealthCheckRequest(), timeout=10).status for _ in range(20)]
        assert set(answers) == {health_pb2.HealthCheckResponse.SERVING}
        assert refused(server) == {"calls_per_s": len(errors)}


def test_rollouts_over_the_rate_are_refused_and_a_patient_client_gets_them_all(tmp_path):
    with launch(tmp_path, max_rollouts_per_s=100.0) as server:
        views = [rollout(i) for i in range(512)]
        scores = ask(server, lambda c: c.score(views, CLIPS, deadline_s=60.0))
        assert refused(server)["rollouts_per_s"] >= 1
    assert {s.value for s in scores} == {0.5}


def test_every_other_refusal_is_counted_by_its_reason(tmp_path):
    with launch(tmp_path, max_batch=4, max_message_bytes=2**20) as server:
        told(server, "serving")
        with grpc.insecure_channel(server.address) as channel:
            stub = stub_of(channel)
            assert stub.Describe(pb.DescribeRequest(), timeout=10).rewards[0].max_batch == 4
            stub.Score(batch(4), timeout=10)
            raw = channel.unary_unary(SERVICE + "Score")
            for call, request, code in (
                (stub.Score, batch(5), CODE.INVALID_ARGUMENT),
                (stub.Score, batch(reward="x" * 100_000), CODE.NOT_FOUND),
                (stub.ScoreGroup, batch(2), CODE.INVALID_ARGUMENT),
                (raw, b"\xff" * 100, CODE.INVALID_ARGUMENT),
                (raw, b"\x12\x00" * 200_000, CODE.INVALID_ARGUMENT),
                (raw, bytes(2**21), CODE.RESOURCE_EXHAUSTED),
            ):
                assert refusal(call, request).code() is code
            stub.Score(batch(), timeout=10)
        assert refused(server) == {"batch": 1, "unknown_reward": 1, "mode": 1, "malformed": 2}


def test_a_full_server_says_so_and_still_answers_probes(tmp_path):
    slow = RewardSource(f"{FAULTY}:Obedient", options={"slow_s": 2.0})
    with launch(tmp_path, slow, max_concurrent=1, timeout_s=10.0) as server:
        told(server, "serving")
        with grpc.insecure_channel(server.address) as channel:
            stub = stub_of(channel)
            first = stub.Score.future(batch(), timeout=20)
            # A caller that gives up does not make room: the batch is still being scored.
            end = time.monotonic() + 10
            while time.monotonic() < end:
                try:
                    stub.Describe(pb.DescribeRequest(), timeout=10)
                except grpc.RpcError as error:
                    busy = error
                    break
            assert (busy.code(), asked_pause_s(busy)) == (CODE.RESOURCE_EXHAUSTED, 0.1)
            health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
            assert health.status == health_pb2.HealthCheckResponse.SERVING
            assert first.result().results[0].status == pb.OK
        assert refused(server)["concurrency"] >= 1


def test_a_reward_that_writes_into_the_protocols_pipe_costs_its_process_and_no_sibling(tmp_path):
    file = tmp_path / "scribbler.py"
    file.write_text(SCRIBBLER)
    views = [rollout(0), rollout(1, "length"), rollout(2), rollout(3, "body"), rollout(4)]
    with launch(tmp_path, RewardSource(f"{file}:Scribbler"), timeout_s=10.0) as server:
        scores = ask(server, lambda c: c.score(views, CLIPS, deadline_s=40.0), reward="scribbler")
        assert server.starts == 1
    assert [s.value for s in scores] == [0.5, None, 0.5, None, 0.5]
    assert {s.status for s in scores if s.value is None} == {Status.REWARD_BUG}
    assert "a frame of" in scores[1].explanation


def damage(seed: random.Random, data: bytes) -> bytes:
    """Flip, cut, insert and repeat bytes."""
    body = bytearray(data)
    for _ in range(seed.randint(1, 5)):
        place = seed.randrange(len(body) + 1)
        match seed.randrange(4):
            case 0 if place < len(body):
                body[place] ^= 1 << seed.randrange(8)
            case 1:
                del body[place : place + seed.randint(1, 200)]
            case 2:
                body[place:place] = seed.randbytes(seed.randint(1, 20))
            case 3:
                body[place:place] = body[place : place + seed.randint(1, 100)]
    return bytes(body)


def memory_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


@pytest.mark.slow
def test_a_live_server_survives_damaged_messages_and_still_scores(tmp_path):
    seed = random.Random(20261125)
    good = {
        "Score": batch(2).SerializeToString(),
        "ScoreGroup": batch(2).SerializeToString(),
        "PutClips": pb.PutClipsRequest(clips=[encode_clip(CLIPS["c0"])]).SerializeToString(),
        "Describe": b"",
    }
    codes: dict[CODE, int] = {}
    with launch(tmp_path, metrics_port=0) as server:
        told(server, "serving")
        pid = server.pid
        assert pid is not None
        with grpc.insecure_channel(server.address) as channel:
            stub_of(channel)
            calls = {name: channel.unary_unary(SERVICE + name) for name in good}
            before = memory_mib(pid)
            for _ in range(600):
                name = seed.choice(sorted(good))
                data = (
                    seed.randbytes(seed.randint(0, 300)) if seed.random() < 0.2 else damage(seed, good[name])
                )
                code = CODE.OK
                try:
                    calls[name](data, timeout=20)
                except grpc.RpcError as error:
                    code = error.code()
                codes[code] = codes.get(code, 0) + 1
            swelling = b"\x12\x00" * (16 * 2**20)
            with ThreadPoolExecutor(4) as pool:
                refusals = list(pool.map(refusal, [calls["Score"]] * 4, [swelling] * 4))
            after = memory_mib(pid)
        (score,) = ask(server, lambda c: c.score([rollout(7)], CLIPS))
        assert (server.starts, server.pid) == (1, pid)
        log = server.log_path.read_text()
    assert score.value == 0.5
    assert set(codes) <= {CODE.OK, CODE.INVALID_ARGUMENT, CODE.NOT_FOUND}
    assert codes[CODE.OK] > 50
    assert codes[CODE.INVALID_ARGUMENT] > 50
    assert {error.code() for error in refusals} == {CODE.INVALID_ARGUMENT}
    assert "Traceback" not in log
    # Four messages of 32 MiB were in flight at once; parsed, each would have taken over 2 GiB.
    assert after - before < 400
