"""A server in another language, written from docs/reward-contract.md, keeps the contract and serves a job."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from reward_scenes import actions, invalid, make_clip, rollout
from typer.testing import CliRunner

from rewards.client import ClientConfig, RewardClient
from rewards.score import Status
from rl.commands.reward import app

pytestmark = [
    pytest.mark.process,
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("node") is None or shutil.which("npm") is None,
        reason="needs Node.js 20 and npm to run the foreign server",
    ),
]
FOREIGN = Path(__file__).with_name("foreign")
PROTO = Path(__file__).parents[2] / "rewards" / "wire" / "reward.proto"
UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "ENETUNREACH")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A copy of the foreign server with its packages."""
    folder = tmp_path_factory.mktemp("foreign")
    for name in ("package.json", "package-lock.json", "server.js"):
        shutil.copy(FOREIGN / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180)
    if done.returncode and any(code in done.stderr for code in UNREACHABLE):
        pytest.skip(f"npm cannot reach its registry: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr
    return folder


@contextmanager
def serving(folder, *options):
    """Start it; yields (host:port, process)."""
    command = ["node", str(folder / "server.js"), str(PROTO), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        silence = threading.Timer(30.0, process.kill)
        silence.start()
        assert process.stdout is not None
        line = process.stdout.readline()
        silence.cancel()
        assert line.startswith("address "), "the foreign server did not start"
        try:
            yield line.split()[1], process
        finally:
            process.kill()


def test_the_foreign_server_keeps_the_contract(installed, tmp_path):
    secret = tmp_path / "token"
    secret.touch(mode=0o600)
    secret.write_text("swordfish")
    with serving(installed, "--token-file", str(secret)) as (address, process):
        words = ["check", address, "--token-file", str(secret), "--json"]
        told = CliRunner().invoke(app, words)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(10) == 0
    rows = json.loads(told.stdout)["results"]
    assert [row for row in rows if row["outcome"] == "failed"] == []
    assert told.exit_code == 0
    passed = {row["check"] for row in rows if row["outcome"] == "passed"}
    assert {"access/token-wrong", "score/order", "score/batch-4096", "limits/oversize"} <= passed
    assert {row["reward"] for row in rows} == {"", "smoothness"}


def test_a_job_scores_with_the_foreign_server(installed):
    jerky = actions()
    jerky[::2, 0] = 1.0
    views = [rollout(0), rollout(1, drive=jerky), invalid(2), rollout(3, clip_id="not given")]
    views[0].actions[:, 0] = np.linspace(0.0, 3.15, 64)

    async def job(address):
        client = RewardClient(ClientConfig(f"grpc://{address}/smoothness"))
        try:
            description = await client.wait_ready(10.0)
            return description, await client.score(views, {"c0": make_clip("c0")})
        finally:
            await client.close()

    with serving(installed) as (address, _):
        description, scores = asyncio.run(job(address))
    assert (description.low, description.high, description.max_batch) == (-1.0, 0.0, 256)
    # 0.05 m/s2 more each 0.1 s is a jerk of 0.5 m/s3, of 10 m/s3 that count as the worst.
    assert scores[0].value == pytest.approx(-0.05)
    assert scores[0].components["mean_jerk"] == pytest.approx(0.5)
    assert scores[1].value == pytest.approx(-1.0)
    assert (scores[2].value, scores[2].explanation) == (-1.0, "invalid: 127 trajectory tokens")
    assert (scores[3].value, scores[3].status) == (None, Status.DATA)
