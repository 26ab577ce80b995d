"""What rewards cost: in process, and through a reward server on loopback.

`python benchmarks/reward_servers.py [--rollouts 2048] [--workers 1]` prints rollouts a
second for each shipped reward in process, then through a server by batch size, and the seconds to serving.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from rewards.client import ClientConfig, RewardClient
from rewards.launch import LaunchConfig, SupervisedServer
from rewards.registry import RewardSource, resolve
from rewards.score import RolloutView
from rewards.server import ServerConfig
from scenes.cameras import default_rig
from scenes.clip import Clip
from scenes.world import WorldConfig, generate

REWARDS = ("trajectory", "consistency", "reasoning")
GROUP = 8


def rollouts_of(clips: list[Clip], count: int) -> list[RolloutView]:
    """`count` rollouts, GROUP a clip: the expert's drive with its label's text."""
    views = []
    for number in range(count):
        clip = clips[number // GROUP % len(clips)]
        text = clip.label.text if clip.label else ""
        group = f"g{number // GROUP}"
        views.append(
            RolloutView(
                f"{group}/{number % GROUP}",
                group,
                clip.clip_id,
                text,
                True,
                None,
                clip.actions,
                clip.ego_future,
            )
        )
    return views


async def through_server(url: str, views: list[RolloutView], clips: dict[str, Clip], batch: int) -> float:
    """Rollouts a second with 16 calls in flight."""
    client = RewardClient(ClientConfig(url, deadline_s=120.0))
    await client.wait_ready(60.0)
    # Other ids each time: the server remembers what it has scored.
    fresh = [replace(view, rollout_id=f"b{batch}/{view.rollout_id}") for view in views]
    began = time.perf_counter()
    parts = [fresh[i : i + batch] for i in range(0, len(fresh), batch)]
    answers = await asyncio.gather(*(client.score(part, clips) for part in parts))
    seconds = time.perf_counter() - began
    missing = [score for part in answers for score in part if score.value is None]
    await client.close()
    if missing:
        raise RuntimeError(f"{len(missing)} scores are missing: {missing[0]}")
    return len(views) / seconds


def main(
    rollouts: Annotated[int, typer.Option(help="Rollouts a measurement.")] = 2048,
    workers: Annotated[int, typer.Option(help="Scoring processes a reward.")] = 1,
) -> None:
    """Print the table."""
    clips = list(generate(WorldConfig(), 0, 32, default_rig(("front_wide", "front_tele"))))
    views, by_id = rollouts_of(clips, rollouts), {clip.clip_id: clip for clip in clips}
    for name in REWARDS:
        reward = resolve(RewardSource(name))
        reward.score(views[:GROUP], by_id)
        began = time.perf_counter()
        for first in range(0, len(views), GROUP):
            reward.score(views[first : first + GROUP], by_id)
        rate = len(views) / (time.perf_counter() - began)
        with tempfile.TemporaryDirectory() as folder:
            server = SupervisedServer(
                LaunchConfig(ServerConfig((RewardSource(name),), workers=workers), Path(folder))
            )
            began = time.perf_counter()
            with server:
                serving = asyncio.run(_until_ready(server.url(name))) - began
                served = {
                    batch: asyncio.run(through_server(server.url(name), views, by_id, batch))
                    for batch in (1, GROUP, 64, 256)
                }
        told = ", ".join(f"{batch} a call {value:.0f}" for batch, value in served.items())
        print(f"{name:12s} in process {rate:.0f} rollouts/s; served: {told}; serving after {serving:.2f} s")


async def _until_ready(url: str) -> float:
    client = RewardClient(ClientConfig(url))
    await client.wait_ready(60.0)
    await client.close()
    return time.perf_counter()


if __name__ == "__main__":
    typer.run(main)
