"""`ar1 reward` and `ar1 critic` from the shell: list, score by hand, from files and remotely, serve."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import grpc
import numpy as np
import pytest
from example_run import make_clip, make_step
from reward_certificates import Authority
from typer.testing import CliRunner

from rewards.credentials import Tls
from rewards.launch import LaunchConfig, SupervisedServer
from rewards.registry import RewardSource
from rewards.server import ServerConfig
from rewards.wire import reward_pb2 as pb
from rewards.wire import reward_pb2_grpc
from rl.commands import critic, reward
from rl.ledger import LedgerWriter, part_path
from rl.run_directory import RunDirectory
from rl.scoring_input import from_json
from scenes.cameras import default_rig
from scenes.store import ClipStore, ClipStoreWriter
from scenes.world import WorldConfig, generate

RIG = default_rig(("front_wide",))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Four free-road clips on disk."""
    path = tmp_path_factory.mktemp("clips") / "store"
    with ClipStoreWriter(path, RIG) as writer:
        for clip in generate(WorldConfig(weights={"cruise": 1.0}), 0, 4, RIG):
            writer.append(clip)
    return path


def run(*words, app=reward.app):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_list_names_ranges_and_needs():
    rows = {row["name"]: row for row in json.loads(run("list", "--json").stdout)}
    assert {"trajectory", "consistency", "reasoning"} <= set(rows)
    assert rows["consistency"]["needs"] == ["text", "trajectory", "map"]
    assert (rows["reasoning"]["low"], rows["reasoning"]["high"]) == (0.0, 1.0)
    assert "consistency  [0, 1]" in run("list").stdout


def test_a_rollout_by_hand(store):
    expert = json.loads(run("score", "consistency", "--store", store, "--clip", 0, "--json").stdout)
    assert expert[0]["value"] == 1.0
    words = ("score", "consistency", "--store", store, "--clip", 0, "--acceleration", "-3")
    braking = json.loads(run(*words, "--text", "Keep lane and maintain speed", "--json").stdout)[0]
    assert (braking["value"], braking["components"]["longitudinal"]) == (0.0, 0.0)
    assert "0.0000" in run(*words, "--text", "Keep lane and maintain speed").stdout
    options = ("--option", "collision=9", "-o", "ade=0.0")
    ride = json.loads(run("score", "trajectory", "--store", store, "--clip", 1, *options, "--json").stdout)[0]
    assert ride["value"] > -0.05


def test_rollouts_of_a_file(store, tmp_path):
    clips = ClipStore.open(store)
    entries = [
        {
            "clip_id": clips[0].clip_id,
            "text": "Keep lane and maintain speed",
            "actions": clips[0].actions.tolist(),
        },
        {"clip_id": clips[1].clip_id, "text": "", "valid": False, "reason": "cut off"},
    ]
    path = tmp_path / "rollouts.json"
    path.write_text(json.dumps(entries))
    rows = json.loads(run("score", "trajectory", "--store", store, "--rollouts", path, "--json").stdout)
    assert [row["value"] for row in rows] == [pytest.approx(0.0, abs=0.05), pytest.approx(-3.29)]
    assert "2 of 2 scored" in run("score", "trajectory", "--store", store, "--rollouts", path).stdout
    states = from_json(path, clips)[0].states
    np.testing.assert_allclose(states, clips[0].ego_future, atol=1e-9)


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ({}, "should be a list"),
        ([{"text": ""}], "entry 0"),
        ([{"clip_id": "0", "text": "", "acts": []}], "unknown fields"),
        ([{"clip_id": "0", "text": ""}], "needs actions"),
        ([{"clip_id": "nope", "text": "", "valid": False}], "nope"),
    ],
)
def test_a_file_that_is_wrong_says_where(store, tmp_path, entries, complaint):
    path = tmp_path / "rollouts.json"
    path.write_text(json.dumps(entries))
    with pytest.raises((ValueError, LookupError), match=complaint):
        from_json(path, ClipStore.open(store))


def test_rollouts_of_a_ledger_part(store, tmp_path):
    clips = [clip.without_cameras() for clip in ClipStore.open(store)]
    run_dir = RunDirectory.create(tmp_path / "run")
    groups = make_step(1, clips, groups=4)
    LedgerWriter(run_dir.path).append(1, groups)
    words = ("score", "trajectory", "--store", store, "--rollouts", part_path(run_dir, 1), "--json")
    rows = json.loads(run(*words).stdout)
    logged = {rollout.rollout_id: rollout for group in groups for rollout in group.rollouts}
    assert {row["rollout_id"] for row in rows} == set(logged)
    for row in rows:
        assert row["clip_id"] == logged[row["rollout_id"]].clip_id
        if not logged[row["rollout_id"]].completion.valid:
            assert row["value"] == pytest.approx(-3.29)


def test_a_store_without_the_rollouts_clips_is_said(store, tmp_path):
    run_dir = RunDirectory.create(tmp_path / "run")
    LedgerWriter(run_dir.path).append(1, make_step(1, [make_clip(0)], groups=1))
    result = run("score", "trajectory", "--store", store, "--rollouts", part_path(run_dir, 1))
    assert isinstance(result.exception, LookupError)
    assert make_clip(0).clip_id in str(result.exception)


@pytest.mark.parametrize(
    "words",
    [
        ("score", "trajectory", "--store", "x"),
        ("serve", "a", "b", "--option", "x=1"),
        ("serve", "a", "--option", "x"),
    ],
)
def test_a_wrong_command_line_says_what_to_give(words):
    result = run(*words)
    assert result.exit_code != 0


def test_the_judge_needs_its_endpoint():
    assert "--base-url" in run("serve", "--backend", "openai", app=critic.app).output


@pytest.mark.process
def test_serve_announces_its_address_and_scores_remotely(store, tmp_path):
    port_file = tmp_path / "port"
    code = "import sys; from rl.commands.critic import app; app(sys.argv[1:])"
    command = [sys.executable, "-c", code, "serve", "--port-file", str(port_file), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert told[0]["address"] == f"grpc://{port_file.read_text()}"
        assert told[1]["serving"] == f"grpc://{port_file.read_text()}/reasoning"
        words = ("score", told[1]["serving"], "--store", store, "--clip", 2, "--json")
        (row,) = json.loads(run(*words).stdout)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert (row["value"], row["reward"]) == (1.0, "reasoning")


@pytest.mark.process
def test_a_guarded_server_is_asked_with_its_authority_and_token(store, tmp_path):
    authority, token = Authority(tmp_path / "keys"), tmp_path / "token"
    token.write_text("open sesame, quietly")
    token.chmod(0o600)
    cert, key = authority.sign("server")
    config = ServerConfig((RewardSource("consistency"),), tls=Tls(cert, key), token_file=str(token))
    with SupervisedServer(LaunchConfig(config, tmp_path / "run")) as server:
        words = ("score", server.url("consistency"), "--store", store, "--clip", 0, "--json")
        told = run(*words, "--tls-ca", authority.ca, "--token-file", token)
        (row,) = json.loads(told.stdout)
        assert row["value"] == 1.0
    here = run("score", "consistency", "--store", store, "--clip", 0, "--token-file", token)
    assert here.exit_code == 2
    assert "only grpc:// targets" in here.output


@pytest.mark.process
def test_serve_takes_the_limits_and_the_token_of_the_command_line(tmp_path):
    token = tmp_path / "token"
    token.write_text("open sesame")
    token.chmod(0o644)
    code = "import sys; from rl.cli import main; sys.argv[0] = 'ar1'; main()"
    words = (
        "reward",
        "serve",
        "consistency",
        "--token-file",
        str(token),
        "--max-batch",
        "2",
        "--no-reflection",
    )
    limits = ("--max-calls-per-s", "100", "--max-rollouts-per-s", "100", "--max-message-mib", "1", "--json")
    command = [sys.executable, "-c", code, *words, *limits, "--max-concurrent", "4", "--token-grace", "5"]
    open_to_others = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (open_to_others.returncode, f"chmod 600 {token}" in open_to_others.stderr) == (2, True)
    token.chmod(0o600)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [json.loads(process.stdout.readline()) for _ in range(2)]
        address = told[0]["address"].removeprefix("grpc://")
        with grpc.insecure_channel(address) as channel:
            describe = reward_pb2_grpc.RewardServiceStub(channel).Describe
            with pytest.raises(grpc.RpcError) as refused:
                describe(pb.DescribeRequest(), timeout=10)
            known = (("authorization", "Bearer open sesame"),)
            offer = describe(pb.DescribeRequest(), timeout=10, metadata=known).rewards[0]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert offer.max_batch == 2


def test_a_secret_on_the_command_line_is_refused_without_being_quoted():
    result = run("serve", "reasoning", "--option", "api_key=sk-planted0123456789")
    assert isinstance(result.exception, ValueError)
    assert "api_key_file" in str(result.exception)
    assert "sk-planted" not in str(result.exception)


def test_importing_the_commands_is_light():
    heavy = "{'torch', 'vllm', 'ray', 'numba', 'duckdb', 'pyarrow', 'grpc', 'numpy', 'openai'}"
    code = f"import sys, rl.commands.reward, rl.commands.critic; print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
