"""Start reward servers, ask them, and read what they tell: shared by the process tests of security."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from reward_scenes import make_clip

from rewards.client import ClientConfig, RewardClient
from rewards.launch import LaunchConfig, SupervisedServer
from rewards.registry import RewardSource
from rewards.server import ServerConfig

R = TypeVar("R")
FAULTY = str(Path(__file__).with_name("faulty_rewards.py"))
OBEDIENT = RewardSource(f"{FAULTY}:Obedient")
CLIPS = {f"c{i}": make_clip(f"c{i}") for i in range(4)}
GUIDE = Path(__file__).parents[2] / "docs" / "security.md"


def launch(folder: Path, *sources: RewardSource, **options: object) -> SupervisedServer:
    """A server with metrics, not started yet."""
    fields = {"timeout_s": 2.0, "metrics_port": 0, **options}
    return SupervisedServer(LaunchConfig(ServerConfig(sources or (OBEDIENT,), **fields), folder))  # type: ignore[arg-type]


def ask(
    server: SupervisedServer,
    job: Callable[[RewardClient], Awaitable[R]],
    reward: str = "obedient",
    ready: bool = True,
    **options: object,
) -> R:
    """Run `job(client)` against a server, at its port on loopback."""

    async def main() -> R:
        url = f"grpc://127.0.0.1:{server.address.rpartition(':')[2]}/{reward}"
        client = RewardClient(ClientConfig(url, **{"deadline_s": 10.0, **options}))  # type: ignore[arg-type]
        try:
            if ready:
                await client.wait_ready(20.0)
            return await job(client)
        finally:
            await client.close()

    return asyncio.run(main())


def told(server: SupervisedServer, word: str, deadline_s: float = 15.0) -> str:
    """The first line of a server's log that begins with a word."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        for line in server.log_tail(1000).splitlines():
            if line.startswith(word):
                return line
        time.sleep(0.05)
    raise TimeoutError(f"no {word!r} in:\n{server.log_tail()}")


def refused(server: SupervisedServer) -> dict[str, int]:
    """Counts of refusals by reason."""
    page = urllib.request.urlopen(told(server, "metrics").split()[1], timeout=5).read().decode()
    found = re.findall(r'^ar1_reward_refused_total\{reason="(\w+)"\} (\d+)', page, re.MULTILINE)
    return {reason: int(count) for reason, count in found}


def follow_guide(block: str, folder: Path, server: str = "IP:127.0.0.1") -> None:
    """Run a named shell block of docs/security.md in a folder, as it stands there."""
    text = GUIDE.read_text()
    found = re.search(rf"^```sh {block}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found, f"docs/security.md has no block {block!r}"
    command = ["sh", "-eu", "-c", found.group(1)]
    subprocess.run(command, cwd=folder, env={**os.environ, "SERVER": server}, check=True, capture_output=True)
