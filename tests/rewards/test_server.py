"""Real servers: what a job sees when rewards hang, die, restart, forget, or are asked nonsense."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from reward_scenes import actions, invalid, make_clip, rollout

from rewards.client import ClientConfig, RewardClient
from rewards.credentials import Tls
from rewards.description import Mode
from rewards.launch import LaunchConfig, LaunchError, SupervisedServer
from rewards.registry import RewardSource
from rewards.score import Status
from rewards.server import ServerConfig
from rewards.wire import reward_pb2 as pb
from rewards.wire import reward_pb2_grpc
from rewards.wire.clips import encode_clip
from rewards.wire.codec import encode_rollout
from scenes.clip import Cameras

pytestmark = pytest.mark.process
FAULTY = str(Path(__file__).with_name("faulty_rewards.py"))
CLIPS = {f"c{i}": make_clip(f"c{i}") for i in range(4)}
OBEDIENT = RewardSource(f"{FAULTY}:Obedient")


def launch(tmp_path, *sources, **options):
    config = ServerConfig(sources or (OBEDIENT,), **{"timeout_s": 1.0, **options})
    return SupervisedServer(LaunchConfig(config, tmp_path))


def ask(server, reward, job, deadline_s=10.0, ready=True, **options):
    """Run `job(client)` against a server."""

    async def main():
        client = RewardClient(ClientConfig(server.url(reward), deadline_s=deadline_s, **options))
        try:
            if ready:
                await client.wait_ready(15.0)
            return await job(client)
        finally:
            await client.close()

    return asyncio.run(main())


def raw(server, job):
    """Run `job(stub)` over a plain channel."""
    with grpc.insecure_channel(server.address) as channel:
        return job(reward_pb2_grpc.RewardServiceStub(channel))


def gone(pid, deadline_s=10.0):
    """Whether a process ends within the deadline."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if not Path(f"/proc/{pid}").exists() or Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            return True
        time.sleep(0.02)
    return False


def children(pid):
    """Process ids of the children of a process."""
    return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_bad_rollouts_cost_their_own_scores_and_no_others(tmp_path):
    nan = rollout(2)
    nan.states[5] = np.nan
    views = [
        rollout(0),
        rollout(1, "raise"),
        nan,
        rollout(3, "hang"),
        rollout(4, "die"),
        rollout(5, clip_id="c1"),
        rollout(6, clip_id="unknown"),
        rollout(7, "wide"),
        rollout(8, "short"),
        replace(rollout(9), actions=actions()[:9]),
        rollout(10, "\ud800 lone surrogate"),
        invalid(11),
    ]
    with launch(tmp_path) as server:
        scores = ask(server, "obedient", lambda client: client.score(views, CLIPS, deadline_s=30.0))
    found = {index: (score.status, score.value) for index, score in enumerate(scores)}
    assert {i: value for i, (status, value) in found.items() if status is Status.OK} == {
        0: 0.5,
        5: 0.5,
        11: 0.5,
    }
    assert found[1][0] is found[4][0] is found[7][0] is found[8][0] is Status.REWARD_BUG
    assert found[2][0] is found[6][0] is found[9][0] is found[10][0] is Status.DATA
    assert found[3][0] is Status.DEADLINE
    told = [score.explanation for score in scores]
    assert "KeyError: 'no such thing' at faulty_rewards.py" in told[1]
    assert "not finite" in told[2]
    assert "its process was ended" in told[3]
    assert "exited with 7" in told[4]
    assert "outside the stated range" in told[7]


def test_a_server_killed_in_mid_call_gives_missing_scores_with_the_cause_and_recovers(tmp_path):
    slow = RewardSource(f"{FAULTY}:Obedient", options={"slow_s": 30.0})

    async def job(client):
        call = asyncio.create_task(client.score([rollout(0), rollout(1)], CLIPS, deadline_s=2.0))
        await asyncio.sleep(0.8)
        os.kill(server.pid, signal.SIGKILL)
        return await call

    with launch(tmp_path, slow, timeout_s=60.0) as server:
        scores = ask(server, "obedient", job)
    assert [s.value for s in scores] == [None, None]
    assert {s.status for s in scores} <= {Status.INFRASTRUCTURE, Status.DEADLINE}
    assert all(s.explanation and s.attempts >= 1 for s in scores)

    async def after(client):
        os.kill(server.pid, signal.SIGKILL)
        return await client.score([rollout(0), rollout(1)], CLIPS), client.metrics()

    with launch(tmp_path / "second") as server:
        first = server.pid
        scores, metrics = ask(server, "obedient", after, deadline_s=20.0)
        assert server.pid not in (None, first)
        assert server.starts == 2
    assert [s.value for s in scores] == [0.5, 0.5]
    assert scores[0].attempts > 1
    assert metrics["retries"] > 0


def test_a_dead_server_is_missing_not_an_exception(tmp_path):
    server = launch(tmp_path)
    server.start()
    server.stop()
    (score,) = ask(server, "obedient", lambda c: c.score([rollout()], CLIPS, deadline_s=0.7), ready=False)
    assert (score.value, score.status) == (None, Status.INFRASTRUCTURE)
    assert "UNAVAILABLE" in score.explanation
    assert score.attempts > 1


def test_the_scoring_process_dies_with_its_server_and_the_server_with_its_parent(tmp_path):
    script = (
        "import sys, time; from pathlib import Path\n"
        "from rewards.launch import LaunchConfig, SupervisedServer\n"
        "from rewards.server import ServerConfig; from rewards.registry import RewardSource\n"
        "config = ServerConfig((RewardSource(sys.argv[1]),))\n"
        "server = SupervisedServer(LaunchConfig(config, Path(sys.argv[2])))\n"
        "server.start(); print(server.pid, flush=True); time.sleep(600)\n"
    )
    command = [sys.executable, "-c", script, OBEDIENT.target, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        end = time.monotonic() + 10.0
        while not children(pid) and time.monotonic() < end:
            time.sleep(0.02)
        (worker,) = children(pid)
        parent.kill()
    assert gone(pid)
    assert gone(worker)


def test_a_forgotten_clip_is_put_again(tmp_path):
    async def job(client):
        first = await client.score([rollout(0)], CLIPS)
        # Room for one clip: another one pushes the first out, behind the client's back.
        await client.score([rollout(1, clip_id="c1")], CLIPS)
        again = await client.score([rollout(2), rollout(3, clip_id="c1")], CLIPS)
        return [*first, *again], client.metrics()

    with launch(tmp_path, clip_bytes=1) as server:
        scores, metrics = ask(server, "obedient", job)
    assert [s.value for s in scores] == [0.5, 0.5, 0.5]
    assert metrics["put_clips"] == 3


def test_the_contract_over_a_plain_stub(tmp_path):
    def job(stub):
        unknown = stub.Score(pb.ScoreRequest(rollouts=[encode_rollout(rollout())]), timeout=5)
        assert unknown.results[0].status == pb.UNKNOWN_CLIP
        put = stub.PutClips(
            pb.PutClipsRequest(clips=[encode_clip(CLIPS["c0"]), pb.Clip(clip_id="bad")]), timeout=5
        )
        assert [r.status for r in put.results] == [pb.OK, pb.DATA]
        good = stub.Score(pb.ScoreRequest(rollouts=[encode_rollout(rollout())]), timeout=5)
        assert (good.results[0].value, good.reward, good.version) == (0.5, "obedient", "1")
        odd = encode_rollout(rollout())
        odd.actions.dtype = 99  # type: ignore[assignment]
        assert stub.Score(pb.ScoreRequest(rollouts=[odd]), timeout=5).results[0].status == pb.DATA
        for request, code in (
            (pb.ScoreRequest(reward="nobody", rollouts=[odd]), grpc.StatusCode.NOT_FOUND),
            (pb.ScoreRequest(), grpc.StatusCode.INVALID_ARGUMENT),
            (pb.ScoreRequest(rollouts=[odd] * 300), grpc.StatusCode.INVALID_ARGUMENT),
        ):
            with pytest.raises(grpc.RpcError) as refused:
                stub.Score(request, timeout=5)
            assert refused.value.code() is code
        with pytest.raises(grpc.RpcError) as refused:
            stub.ScoreGroup(pb.ScoreRequest(rollouts=[odd]), timeout=5)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    with launch(tmp_path) as server:
        ask(server, "obedient", lambda client: client.describe())
        raw(server, job)


def test_health_and_reflection_are_the_standard_ones(tmp_path):
    with launch(tmp_path) as server:
        ask(server, "obedient", lambda client: client.describe())
        with grpc.insecure_channel(server.address) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            names = ("", "ar1.rewards.v1.RewardService")
            answers = [
                health.Check(health_pb2.HealthCheckRequest(service=n), timeout=5).status for n in names
            ]
            assert answers == [health_pb2.HealthCheckResponse.SERVING] * 2
            listing = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
                iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=5
            )
            services = {s.name for s in next(listing).list_services_response.service}
    assert "ar1.rewards.v1.RewardService" in services


def test_asking_again_computes_once(tmp_path):
    tally = tmp_path / "tally"
    view = rollout(0, f"count:{tally}")

    async def job(client):
        first = await client.score([view], CLIPS)
        again = await client.score([view], CLIPS)
        other = await client.score([replace(view, text=view.text + "2")], CLIPS)
        return first[0], again[0], other[0]

    with launch(tmp_path) as server:
        first, again, other = ask(server, "obedient", job)
    assert tally.read_text() == "x"
    assert (first.cached, again.cached, other.cached) == (False, True, False)
    assert first.value == again.value


def test_a_put_of_another_clip_under_the_same_id_is_not_answered_from_the_cache(tmp_path):
    def clip(level):
        frames = np.full((1, 1, 2, 2, 3), level, np.uint8)
        return {"c0": replace(make_clip(), cameras=Cameras(("front_wide",), frames, np.zeros(1)))}

    with launch(tmp_path, RewardSource(f"{FAULTY}:Looker")) as server:
        (first,) = ask(server, "looker", lambda client: client.score([rollout()], clip(200)))
        (second,) = ask(server, "looker", lambda client: client.score([rollout()], clip(10)))
    assert (first.value, second.value, second.cached) == (200.0, 10.0, False)


def test_rewards_of_one_server_functions_of_both_styles_and_groups(tmp_path):
    sources = [RewardSource(f"{FAULTY}:{name}") for name in ("plain", "trl_style", "Siblings", "trl_async")]
    views = [rollout(0, "one two three"), rollout(1, "four"), rollout(2, "")]
    with launch(tmp_path, *sources) as server:
        words = ask(server, "plain", lambda client: client.score(views, CLIPS))
        lengths = ask(server, "trl_style", lambda client: client.score(views, CLIPS))
        prompts = ask(server, "trl_async", lambda client: client.score(views, CLIPS))
        shares = ask(server, "siblings", lambda client: client.score(views, CLIPS))
        said = ask(server, "siblings", lambda client: client.describe())
        broken = ask(
            server, "siblings", lambda client: client.score([*views, rollout(3, clip_id="?")], CLIPS)
        )
        missing = ask(
            server, "nobody", lambda client: client.score(views, CLIPS, deadline_s=0.5), ready=False
        )
    assert [s.value for s in words] == [3.0, 1.0, None]
    assert words[2].status is Status.DATA
    assert [s.value for s in lengths] == [13.0, 4.0, 0.0]
    assert [s.value for s in prompts] == [2.0, 2.0, 2.0]
    assert [s.value for s in shares] == [0.75, 0.25, 0.0]
    assert said.mode is Mode.PER_GROUP
    assert [s.value for s in broken[:3]] == [0.75, 0.25, 0.0]
    assert broken[3].status is Status.DATA
    assert {s.status for s in missing} == {Status.REFUSED}


def test_more_rollouts_than_one_call_takes_are_split(tmp_path):
    views = [rollout(i) for i in range(600)]
    with launch(tmp_path) as server:
        scores = ask(server, "obedient", lambda client: client.score(views, CLIPS))
        # A client that has not asked what the server takes yet finds out on its way.
        again = ask(server, "obedient", lambda client: client.score(views, CLIPS), ready=False)
    assert [s.value for s in scores] == [s.value for s in again] == [0.5] * 600
    assert {s.cached for s in again} == {True}


def test_a_reward_that_does_not_load_stops_the_server_with_the_reason(tmp_path):
    for name, reason in (
        ("broken_factory", "the model file is missing"),
        ("NOT_A_REWARD", "neither a reward nor a function"),
        ("nothing_here", "nothing_here"),
    ):
        server = launch(tmp_path / name, RewardSource(f"{FAULTY}:{name}"))
        server.start()
        assert gone(server.pid or 0)
        server.stop()
        assert reason in server.log_tail()


def test_the_supervisor_gives_up_after_its_restarts_and_says_so(tmp_path):
    config = ServerConfig((RewardSource(f"{FAULTY}:broken_factory"),))
    server = SupervisedServer(LaunchConfig(config, tmp_path, restarts=1))
    server.start()
    end = time.monotonic() + 20.0
    while server.failure is None and time.monotonic() < end:
        time.sleep(0.05)
    server.stop()
    assert server.failure is not None
    assert "gave up after 1 restarts" in server.failure


def test_a_port_in_use_is_a_launch_error_with_the_reason(tmp_path):
    with launch(tmp_path) as first:
        port = int(first.address.rpartition(":")[2])
        second = SupervisedServer(LaunchConfig(ServerConfig((OBEDIENT,), port=port), tmp_path / "second"))
        with pytest.raises(LaunchError, match="is the port taken"):
            second.start()


def test_sigterm_lets_calls_in_flight_end(tmp_path):
    slow = RewardSource(f"{FAULTY}:Obedient", options={"slow_s": 1.0})

    async def job(client):
        call = asyncio.create_task(client.score([rollout()], CLIPS))
        await asyncio.sleep(0.5)
        os.kill(server.pid, signal.SIGTERM)
        return await call

    with launch(tmp_path, slow, timeout_s=10.0, grace_s=5.0) as server:
        (score,) = ask(server, "obedient", job)
    assert (score.value, score.attempts) == (0.5, 1)


def test_the_token_is_demanded_of_calls_but_not_of_health_checks(tmp_path):
    secret = tmp_path / "token"
    secret.write_text("open sesame\n")
    secret.chmod(0o600)
    guess = tmp_path / "guess"
    guess.write_text("open barley\n")
    guess.chmod(0o600)
    with launch(tmp_path, token_file=str(secret)) as server:
        job = lambda c: c.score([rollout()], CLIPS)  # noqa: E731
        right = ask(server, "obedient", job, token_file=str(secret))
        wrong = ask(server, "obedient", job, token_file=str(guess), ready=False)
        with grpc.insecure_channel(server.address) as channel:
            health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
    assert right[0].value == 0.5
    assert (wrong[0].status, wrong[0].attempts) == (Status.REFUSED, 1)
    assert health.status == health_pb2.HealthCheckResponse.SERVING


def test_metrics_count_what_was_answered(tmp_path):
    with launch(tmp_path, metrics_port=0) as server:
        ask(server, "obedient", lambda c: c.score([rollout(0), rollout(1, "raise")], CLIPS))
        line = next(line for line in server.log_path.read_text().splitlines() if line.startswith("metrics"))
        page = urllib.request.urlopen(line.split()[1], timeout=5).read().decode()
    assert 'ar1_reward_items_total{reward="obedient",status="ok"} 1.0' in page
    assert 'ar1_reward_items_total{reward="obedient",status="reward_bug"} 1.0' in page
    assert "ar1_reward_clips_held 1.0" in page


def test_plain_text_beyond_loopback_is_refused(tmp_path):
    server = launch(tmp_path, host="0.0.0.0")
    with pytest.raises(LaunchError, match=r"refusing to listen on '0\.0\.0\.0' in plain text"):
        server.start()


def certificates(folder):
    """A CA, a server's and a client's certificate for 127.0.0.1, made by openssl."""

    def openssl(*words):
        subprocess.run(["openssl", *words], check=True, cwd=folder, capture_output=True)

    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    openssl(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-subj",
        "/CN=ca",
    )
    for name in ("server", "client"):
        openssl(
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.csr",
            "-subj",
            f"/CN={name}",
        )
        openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-out", f"{name}.pem", "-extfile", "ext"),
        )
    return {name: str(folder / name) for name in os.listdir(folder)}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command to make certificates")
def test_mutual_tls_lets_in_who_has_a_certificate(tmp_path):
    files = certificates(tmp_path)
    served = Tls(files["server.pem"], files["server.key"], files["ca.pem"])
    known = Tls(files["client.pem"], files["client.key"], files["ca.pem"])
    with launch(tmp_path / "run", tls=served) as server:
        right = ask(server, "obedient", lambda c: c.score([rollout()], CLIPS), tls=known)
        stranger = Tls(ca=files["ca.pem"])
        job = lambda c: c.score([rollout()], CLIPS, deadline_s=1.0)  # noqa: E731
        wrong = ask(server, "obedient", job, tls=stranger, ready=False)
        plain = ask(server, "obedient", job, ready=False)
    assert right[0].value == 0.5
    assert (wrong[0].value, plain[0].value) == (None, None)


def test_a_server_of_shipped_rewards_imports_nothing_heavy():
    code = (
        "import sys, rewards.server, rewards.worker, rewards.client, rewards.launch\n"
        "from rewards.registry import RewardSource, resolve\n"
        "for name in ('trajectory', 'consistency', 'reasoning'): resolve(RewardSource(name))\n"
        "import rl.commands.reward, rl.commands.critic\n"
        "heavy = {'torch', 'vllm', 'ray', 'numba', 'transformers', 'trl', 'openai', 'pandas', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
