"""Plant secrets wherever a run can hold them, let everything fail, and search all that was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from reward_scenes import rollout
from served import CLIPS, ask, launch, told

from rewards.registry import RewardSource
from rewards.score import Status

pytestmark = pytest.mark.process
BY_VALUE = "correct horse battery staple"
BY_FORM = "sk-planted0123456789abcdef"
IN_URL = "hunter2hunter2"

LEAKY = f'''
import logging
import sys
from pathlib import Path

from rewards.secret_files import read_secret

log = logging.getLogger("leaky")


class Leaky:
    """Tells its secrets in every way that a reward has."""

    name, version, low, high = "leaky", "1", 0.0, 1.0

    def __init__(self, key_file):
        self.key = read_secret(Path(key_file))
        print("loaded with", self.key)
        log.warning("loaded with %s", self.key)

    def score(self, rollouts, clips):
        print("asking with", self.key, "{BY_FORM}")
        print("asking with", self.key, file=sys.stderr)
        log.error("asking https://ann:{IN_URL}@judge/v1 with %s", self.key)
        raise RuntimeError(f"401 from https://ann:{IN_URL}@judge/v1 for Bearer {{self.key}}, {BY_FORM}")


def unloadable(key_file):
    raise RuntimeError(f"cannot log in to https://ann:{IN_URL}@judge/v1 with {{read_secret(Path(key_file))}}")
'''


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A folder with the leaky reward, its key, and a token."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "leaky.py").write_text(LEAKY)
    for name, text in (("key", BY_VALUE), ("token", "token of the server itself")):
        (home / name).write_text(text)
        (home / name).chmod(0o600)
    return home


def everything(folder: Path) -> str:
    return "\n".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


def leaks(text: str) -> list[str]:
    return [s for s in (BY_VALUE, BY_FORM, IN_URL, "token of the server itself") if s in text]


def source(planted: Path, name: str) -> RewardSource:
    return RewardSource(f"{planted / 'leaky.py'}:{name}", options={"key_file": str(planted / "key")})


def test_a_reward_that_tells_its_secrets_in_every_way(planted, tmp_path):
    run, token = tmp_path / "run", str(planted / "token")
    with launch(run, source(planted, "Leaky"), token_file=token) as server:
        scores = ask(server, lambda c: c.score([rollout(0), rollout(1)], CLIPS), "leaky", token_file=token)
        commands = Path(f"/proc/{server.pid}/cmdline").read_text()
        config = server.config.server.to_json()
    assert {s.status for s in scores} == {Status.REWARD_BUG}
    assert all("401 from https://[redacted]@judge/v1" in s.explanation for s in scores)
    written = everything(run)
    assert "asking with [redacted] [redacted]" in written
    assert leaks(written + commands + config + "".join(s.explanation for s in scores)) == []


def test_a_reward_that_fails_to_load_with_a_secret_in_its_error(planted, tmp_path):
    server = launch(tmp_path / "run", source(planted, "unloadable"))
    server.start()
    told(server, "reward server: reward")
    server.stop()
    assert "cannot log in to https://[redacted]@judge/v1" in server.log_tail()
    assert leaks(everything(tmp_path / "run")) == []


def test_a_judge_behind_an_address_with_credentials_is_refused_before_it_starts():
    options = {"backend": "openai", "model": "m", "base_url": f"https://ann:{IN_URL}@judge/v1"}
    with pytest.raises(ValueError, match="base_url holds a secret") as refused:
        RewardSource("reasoning", options=options)
    assert leaks(str(refused.value)) == []


def test_a_judge_that_cannot_be_reached_leaves_its_key_out_of_the_explanation(planted, tmp_path):
    options = {
        "backend": "openai",
        "model": "m",
        "base_url": "http://127.0.0.1:9/v1",
        "api_key_file": str(planted / "key"),
        "deadline_s": 1.0,
    }
    with launch(tmp_path / "run", RewardSource("reasoning", options=options), timeout_s=20.0) as server:
        (score,) = ask(server, lambda c: c.score([rollout()], CLIPS, deadline_s=6.0), "reasoning")
    assert score.value is None
    assert score.status in (Status.INFRASTRUCTURE, Status.DEADLINE)
    assert leaks(everything(tmp_path / "run") + score.explanation + json.dumps(options)) == []
