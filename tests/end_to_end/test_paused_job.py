"""A job whose reward fails systematically waits for it instead of training without it, or fails with the reason."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from small_job import AR1, Small
from test_job import start, wait_for

from rl.ledger import LedgerReader, part_path
from rl.ledger_proof import account
from rl.run_directory import RunDirectory
from rl.run_registry import Phase, RunRegistry

pytestmark = [pytest.mark.process, pytest.mark.slow]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def consistency_server(port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Somebody else's reward server: the job does not restart it."""
    ready = folder / f"{time.monotonic_ns()}.port"
    command = [AR1, "reward", "serve", "consistency", "--port", str(port), "--port-file", str(ready)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + 60
            while not ready.exists():
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.1)
            yield process
        finally:
            process.kill()


def rewards(port: int, pause_s: float) -> list[dict[str, object]]:
    pause = {"missing_share": 0.5, "groups": 4, "at_least": 2, "deadline_s": pause_s}
    remote = {"source": f"grpc://127.0.0.1:{port}/consistency", "deadline_s": 2.0, "pause": pause}
    return [{"name": "trajectory", "source": "trajectory"}, {"name": "consistency", **remote}]


def phase(run: Path) -> Phase | None:
    state = RunRegistry(run, read_only=True).state() if (run / "run.sqlite").exists() else None
    return None if state is None else state.phase


def test_the_job_pauses_until_the_reward_answers_and_scores_again_what_it_missed(
    small: Small, tmp_path: Path
) -> None:
    port = free_port()
    config = small.job("paused", steps=5, rewards=rewards(port, 240.0))
    run = small.run("paused")
    with consistency_server(port, tmp_path):
        process = start(config)
        wait_for(lambda: part_path(RunDirectory(run), 2).exists(), process, config)
    wait_for(lambda: phase(run) is Phase.PAUSED, process, config)
    told = RunRegistry(run, read_only=True).state()
    assert told is not None
    assert "consistency" in told.message
    assert "infrastructure" in told.message or "deadline" in told.message
    with consistency_server(port, tmp_path):
        assert process.wait(timeout=300) == 0, config.with_suffix(".log").read_text(errors="replace")[-4000:]
    assert phase(run) is Phase.FINISHED
    found = account(run)
    assert (found.groups, found.twice) == (20, ())
    # The paused step was scored again whole; a step before it may have lost a group within the bound.
    last = [group for step in (4, 5) for group in LedgerReader(run).groups(step)]
    assert all(score.value is not None for g in last for r in g.rollouts for score in r.scores)
    events = [event.text for event in RunRegistry(run, read_only=True).events()]
    assert any("paused" in text for text in events)
    assert any("answers again" in text for text in events)


def test_the_job_fails_with_the_reason_when_the_reward_stays_away(small: Small, tmp_path: Path) -> None:
    port = free_port()
    config = small.job("deserted", steps=30, rewards=rewards(port, 5.0))
    run = small.run("deserted")
    with consistency_server(port, tmp_path):
        process = start(config)
        wait_for(lambda: part_path(RunDirectory(run), 2).exists(), process, config)
    assert process.wait(timeout=300) != 0
    state = RunRegistry(run, read_only=True).state()
    assert state is not None
    assert state.phase is Phase.FAILED
    assert "'consistency' scored too little" in state.message
    assert account(run).groups >= 8, "what was trained before is kept"
