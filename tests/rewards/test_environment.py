"""A reward with packages of its own: it uses them, the job does not have them, and they are made once."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import sysconfig
import threading
import zipfile
from pathlib import Path

import pytest
from reward_scenes import rollout
from served import CLIPS, ask

from rewards import environment
from rewards.environment import COMPLETE, EnvironmentBuildError, prepare
from rewards.launch import LaunchConfig, SupervisedServer
from rewards.registry import RewardSource
from rewards.server import ServerConfig
from rewards.wire import reward_pb2_grpc
from rl.reward_config import RewardConfig
from rl.reward_fleet import RewardFleet

pytestmark = [pytest.mark.process, pytest.mark.slow]
JOB_PACKAGES = sysconfig.get_path("purelib")
# Only this reward's environment has gravel, and its wheel's version differs from anything the job has.
REWARD = """
import sys
import gravel
import wheel_of_versions
from rewards.score import Score


class Gravelly:
    name, version, low, high = "gravelly", "1", 0.0, 100.0

    def score(self, rollouts, clips):
        found = f"{wheel_of_versions.VERSION} {sys.prefix}"
        return [Score(self.name, gravel.coarseness(), explanation=found) for _ in rollouts]
"""


def wheel(folder: Path, name: str, files: dict[str, str], version: str = "1.0") -> Path:
    """A pure-Python wheel, written by hand so that no index and no build tool is asked."""
    info = f"{name}-{version}.dist-info"
    contents = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: by-hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text.encode())}\n"
    contents[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in contents.items():
            archive.writestr(inside, text)
    return path


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    """Wheels beside a requirements file that names them relatively. One of them lends the environment the job's
    own copies of numpy and grpcio, so that the test needs no network; gravel is in no other place."""
    home = tmp_path / "reward"
    home.mkdir()
    gravel = {"gravel/__init__.py": "def coarseness():\n    return 42.0\n"}
    lender = {"wheel_of_versions.py": "VERSION = '7'\n", "zz_lend.pth": JOB_PACKAGES + "\n"}
    names = [wheel(home, "gravel", gravel), wheel(home, "wheel_of_versions", lender, "7.0")]
    (home / "requirements.txt").write_text("".join(f"./{path.name}\n" for path in names))
    (home / "gravelly.py").write_text(REWARD)
    return home / "requirements.txt"


def make(requirements: Path, cache: Path, said: list[str]) -> environment.Environment:
    return prepare(requirements, cache, said.append, needs=())


def test_a_reward_runs_in_an_environment_made_from_its_requirements(tmp_path, requirements):
    said: list[str] = []
    own = make(requirements, tmp_path / "cache", said)
    assert [line.split()[0] for line in said] == ["making", "made"]
    source = RewardSource(f"{requirements.parent / 'gravelly.py'}:Gravelly")
    config = LaunchConfig(ServerConfig((source,), workers=2), tmp_path / "run", environment=own)
    with SupervisedServer(config) as server:
        scores = ask(server, lambda c: c.score([rollout(0), rollout(1)], CLIPS), "gravelly")
        workers = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        assert len(workers) == 2
    assert [s.value for s in scores] == [42.0, 42.0]
    assert scores[0].explanation == f"7 {own.variables['VIRTUAL_ENV']}"
    # The job has neither package, and with the job's interpreter the reward cannot be loaded.
    assert importlib.util.find_spec("gravel") is None
    with SupervisedServer(LaunchConfig(ServerConfig((source,)), tmp_path / "job", restarts=0)) as server:
        with pytest.raises(TimeoutError):
            ask(server, lambda c: c.wait_ready(3.0), "gravelly", ready=False)
        assert "No module named 'gravel'" in server.log_tail()


def test_an_environment_is_made_once_and_again_when_its_file_changes(tmp_path, requirements):
    said: list[str] = []
    cache = tmp_path / "cache"
    first = make(requirements, cache, said)
    threads = [threading.Thread(target=make, args=(requirements, cache, said)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert make(requirements, cache, said) == first
    assert len(said) == 2
    # A job that is killed while it makes one leaves a folder without the last file.
    Path(first.variables["VIRTUAL_ENV"], COMPLETE).unlink()
    assert make(requirements, cache, said) == first
    assert len(said) == 4
    requirements.write_text("# a comment\n" + requirements.read_text())
    assert make(requirements, cache, said).python != first.python


def test_a_bare_folder_says_what_to_install_and_shows_that_nothing_of_the_job_leaks_in(tmp_path):
    folder = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=120)
    with pytest.raises(
        EnvironmentBuildError, match=r"No module named '(grpc|numpy)'.*-m pip install 'grpcio"
    ):
        prepare(folder, tmp_path / "cache")


def test_what_cannot_be_installed_is_told_with_pips_last_words_and_no_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    file = tmp_path / "requirements.txt"
    file.write_text("--find-links https://ann:hunter2hunter2@127.0.0.1:9/\nno-such-package-anywhere==1\n")
    with pytest.raises(EnvironmentBuildError, match="no-such-package-anywhere") as failed:
        prepare(file, tmp_path / "cache", needs=(), say=lambda _: None)
    assert "hunter2" not in str(failed.value)
    with pytest.raises(EnvironmentBuildError, match="python -m venv"):
        prepare(tmp_path / "nowhere", tmp_path / "cache")


def test_a_jobs_fleet_starts_a_reward_in_its_environment(tmp_path, requirements, monkeypatch):
    import asyncio

    own = make(requirements, tmp_path / "cache", [])
    monkeypatch.chdir(tmp_path)
    source = f"{requirements.parent / 'gravelly.py'}:Gravelly"
    reward = RewardConfig(
        name="rough", source=source, environment=Path(own.variables["VIRTUAL_ENV"]), processes=2
    )

    async def job():
        fleet = RewardFleet([reward], tmp_path / "logs", "test")
        try:
            await fleet.start()
            return await fleet.score([rollout(0)], CLIPS["c0"])
        finally:
            await fleet.close()

    (score,) = asyncio.run(job())["rough"]
    assert (score.value, score.reward) == (42.0, "rough")


def test_the_needs_of_a_server_are_no_older_than_its_generated_modules():
    floors = dict(need.split(">=") for need in environment.SERVER_NEEDS)
    assert floors["grpcio"] == reward_pb2_grpc.GRPC_GENERATED_VERSION
    text = Path(environment.__file__).with_name("wire").joinpath("reward_pb2.py").read_text()
    assert f"Protobuf Python Version: {floors['protobuf']}" in text
    for name in floors:
        assert importlib.metadata.version(name)
    assert os.path.isdir(JOB_PACKAGES)
