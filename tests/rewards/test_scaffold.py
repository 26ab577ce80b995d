"""`ar1 reward new`: what it writes installs, passes its own tests, and serves under the contract."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rewards.conformance import Outcome, Target, check_server
from rewards.launch import LaunchConfig, SupervisedServer
from rewards.registry import RewardSource
from rewards.scaffold import scaffold
from rewards.server import ServerConfig
from rl.commands.reward import app

ROOT = Path(__file__).parents[2]


def run(*command, cwd, path):
    """Run with our code and `path` importable; returns standard output."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(path), str(ROOT)])}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_names_everything_after_the_reward(tmp_path):
    told = CliRunner().invoke(app, ["new", "smooth_turns", "--into", str(tmp_path / "there"), "--json"])
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    folder = tmp_path / "there" / "smooth_turns"
    assert Path(found["folder"]) == folder
    assert found["files"] == ["README.md", "pyproject.toml", "smooth_turns.py", "tests/test_smooth_turns.py"]
    text = "".join(path.read_text() for path in folder.rglob("*") if path.is_file())
    assert "class SmoothTurns" in text
    assert 'name = "smooth-turns"' in text
    assert not any(left in text for left in ("my_reward", "MyReward", "my-reward"))
    assert [path.name for path in folder.parent.iterdir()] == ["smooth_turns"]


def test_it_overwrites_nothing(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "note").write_text("keep me")
    with pytest.raises(FileExistsError, match="choose another name"):
        scaffold("mine", tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "note"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Smooth", "lower-case"),
        ("smooth-turns", "lower-case"),
        ("2fast", "lower-case"),
        ("", "lower-case"),
        ("../up", "lower-case"),
        ("class", "lower-case"),
        ("trajectory", "is called 'trajectory' already"),
        ("json", "module"),
    ],
)
def test_a_name_that_cannot_be_is_refused(tmp_path, name, why):
    with pytest.raises(ValueError, match=why):
        scaffold(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.process
@pytest.mark.slow
def test_it_passes_its_own_tests_installs_and_serves_under_its_entry_point(tmp_path, monkeypatch):
    folder = scaffold("smooth_turns", tmp_path)
    assert "2 passed" in run(
        sys.executable, "-m", "pytest", "-p", "no:cacheprovider", cwd=folder, path=folder
    )

    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--no-build-isolation", "-q"]
    run(*pip, "--target", str(site), str(folder), cwd=tmp_path, path=ROOT)
    code = "from rewards.registry import known; print(known()['smooth_turns'])"
    assert run(sys.executable, "-c", code, cwd=tmp_path, path=site).strip() == "smooth_turns:SmoothTurns"

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(ROOT)]))
    config = ServerConfig((RewardSource("smooth_turns", options={"floor_m": 5.0}),))
    with SupervisedServer(LaunchConfig(config, tmp_path / "run")) as server:
        results = check_server(Target(server.address, reward="smooth_turns"))
    assert [(r.check, r.detail) for r in results if r.outcome is Outcome.FAILED] == []
    assert "score/order" in {r.check for r in results if r.outcome is Outcome.PASSED}
