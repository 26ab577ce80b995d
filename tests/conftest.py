"""Shared by the folders' tests: reward servers that fail on command."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

import rl  # noqa: F401  # before gRPC, whose fork handlers it turns off

# How long an example takes says something of the machine, nothing of the code.
settings.register_profile("any_machine", deadline=None)
settings.load_profile("any_machine")
UNRELIABLE = Path(__file__).parent / "rewards" / "unreliable_server.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Folders whose files take minutes come first, so that no process of pytest ends with one of them alone."""
    items.sort(key=lambda item: Path(item.path).parent.name not in ("end_to_end", "sft"))


@dataclass(frozen=True)
class Process:
    """An unreliable server: its address, process and the ids it scored."""

    address: str
    process: subprocess.Popen[bytes]
    tally: Path

    def scored(self) -> list[str]:
        """Rollout ids in the order they were scored, repeats included."""
        return self.tally.read_text().split() if self.tally.exists() else []


@pytest.fixture
def unreliable(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start unreliable servers; they are killed with the test."""
    with ExitStack() as stack:

        def start(**faults: object) -> Process:
            folder = tmp_path / f"server-{time.monotonic_ns()}"
            folder.mkdir()
            port_file, tally = folder / "port", folder / "tally"
            told = json.dumps({"port_file": str(port_file), "tally": str(tally), **faults})
            process = stack.enter_context(subprocess.Popen([sys.executable, str(UNRELIABLE), told]))
            stack.callback(process.kill)
            end = time.monotonic() + 30.0
            while not port_file.exists():
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.02)
            return Process(f"127.0.0.1:{port_file.read_text()}", process, tally)

        yield start
