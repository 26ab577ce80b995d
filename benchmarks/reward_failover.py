"""What a slow, hung or killed replica costs a job's reward calls.

`python benchmarks/reward_failover.py [--calls 300] [--slow-every 25] [--slow-s 0.5]` serves one reward twice, asks
for one group of 8 rollouts after the other, and prints milliseconds a call as the job sees them: with both servers
well but now and then slow (hedging off and on), with one hung (SIGSTOP) and with one killed halfway.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from rewards.client import RewardClient
from rewards.client_config import ClientConfig
from rewards.hedging import HedgeConfig
from rewards.launch import LaunchConfig, SupervisedServer
from rewards.registry import RewardSource
from rewards.score import ClipView, RolloutView, Score
from rewards.server import ServerConfig
from scenes.cameras import default_rig
from scenes.world import WorldConfig, generate

GROUP = 8


class Steady:
    """Worth 1. A batch takes 5 ms, and slow_s with a chance of one in slow_every; each seed is slow at times of
    its own."""

    name, version, low, high = "steady", "1", 0.0, 1.0

    def __init__(self, slow_every: int, slow_s: float, seed: int) -> None:
        self._slow_every, self._slow_s, self._random = slow_every, slow_s, random.Random(seed)

    def score(self, rollouts: Sequence[RolloutView], clips: ClipView) -> list[Score]:
        """See Reward."""
        assert clips
        time.sleep(self._slow_s if self._random.random() * self._slow_every < 1.0 else 0.005)
        return [Score(self.name, 1.0)] * len(rollouts)


def group(number: int, clip_id: str) -> list[RolloutView]:
    """Rollouts that no server has seen."""
    return [RolloutView(f"{number}/{i}", str(number), clip_id, "keep lane", False, "-") for i in range(GROUP)]


async def ask(
    servers: Sequence[SupervisedServer], calls: int, hedge: HedgeConfig | None, halfway: Callable[[], None]
) -> tuple[np.ndarray, int, dict[str, float]]:
    """Milliseconds of each call, rollouts without a score, the client's counters."""
    clip = next(iter(generate(WorldConfig(), 0, 1, default_rig(("front_wide",))))).without_cameras()
    address = ",".join(server.address for server in servers)
    client = RewardClient(ClientConfig(f"grpc://{address}/steady", deadline_s=4.0, hedge=hedge))
    await client.wait_ready(60.0)
    took, missing = [], 0
    first = time.monotonic_ns()
    for number in range(calls):
        if number == calls // 2:
            halfway()
        began = time.perf_counter()
        scores = await client.score(group(first + number, clip.clip_id), {clip.clip_id: clip})
        took.append(1e3 * (time.perf_counter() - began))
        missing += sum(score.value is None for score in scores)
    metrics = client.metrics()
    await client.close()
    return np.array(took), missing, metrics


def main(
    calls: Annotated[int, typer.Option(help="Groups of 8 rollouts a row of the table.")] = 300,
    slow_every: Annotated[
        int, typer.Option(help="One batch in so many of a server is slow, on average.")
    ] = 25,
    slow_s: Annotated[float, typer.Option(help="How long that one takes, seconds.")] = 0.5,
) -> None:
    """Print the table."""
    nothing = lambda server: None  # noqa: E731, ARG005
    hang = lambda server: os.kill(server.pid or 0, signal.SIGSTOP)  # noqa: E731
    kill = lambda server: os.kill(server.pid or 0, signal.SIGKILL)  # noqa: E731
    never = 10**9
    rows = (
        ("now and then slow", slow_every, None, nothing),
        ("now and then slow, hedged", slow_every, HedgeConfig(), nothing),
        ("one hangs halfway", never, None, hang),
        ("one killed halfway", never, None, kill),
    )
    print(f"{'':26} {'p50':>6} {'p95':>7} {'p99':>7} {'max':>7} ms, missing, hedges, failovers, openings")
    for title, every, hedge, fault in rows:
        options = {"slow_every": every, "slow_s": slow_s}
        steady = f"{Path(__file__).resolve()}:Steady"
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            configs = [
                LaunchConfig(
                    ServerConfig((RewardSource(steady, options={**options, "seed": seed}),)),
                    Path(folder),
                    name=name,
                    restarts=0,
                    stop_s=0.5,
                )
                for seed, name in enumerate("ab")
            ]
            servers = [stack.enter_context(SupervisedServer(config)) for config in configs]
            took, missing, m = asyncio.run(ask(servers, calls, hedge, lambda s=servers, f=fault: f(s[0])))
        p50, p95, p99, most = (*np.percentile(took, [50, 95, 99]), took.max())
        counts = f"{missing}, {m['hedges/sent']:.0f}, {m['failovers']:.0f}, {m['breaker/openings']:.0f}"
        print(f"{title:26} {p50:6.1f} {p95:7.1f} {p99:7.1f} {most:7.1f}     {counts}", flush=True)


if __name__ == "__main__":
    typer.run(main)
