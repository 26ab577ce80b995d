"""Throughput of a reward server against an empty grpc.aio echo of the same bytes, both through one bare client.

`python benchmarks/against_echo.py [--batch 256] [--calls 32]` serialises the requests beforehand, sends them as
bytes to each server in turn with the same number of calls in flight, and prints rollouts a second of both and the
ratio, for the rule rewards and for one whose scoring costs nothing (`null_reward.py`). Every request has rollout
ids of its own, because the reward server remembers what it has scored. `served_path.py` tells where the time goes.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import grpc
import typer
from rule_rewards import GROUP, noisy_rollouts

from rewards.launch import LaunchConfig, SupervisedServer
from rewards.registry import RewardSource
from rewards.score import RolloutView
from rewards.server import ServerConfig
from rewards.wire import reward_pb2 as pb
from rewards.wire.clips import encode_clip
from rewards.wire.codec import MESSAGE_BYTES, encode_rollout
from scenes.cameras import default_rig
from scenes.clip import Clip
from scenes.world import WorldConfig, generate

SERVICE = "/ar1.rewards.v1.RewardService"
DEADLINE_S = 60.0
ROUNDS = 3
NULL = RewardSource(f"{Path(__file__).with_name('null_reward.py')}:NullReward")
SOURCES = {"trajectory": RewardSource("trajectory"), "consistency": RewardSource("consistency"), "null": NULL}
LIMITS = [("grpc.max_receive_message_length", MESSAGE_BYTES), ("grpc.max_send_message_length", MESSAGE_BYTES)]


def requests(views: Sequence[RolloutView], name: str, batch: int, calls: int, mark: str) -> list[bytes]:
    """`calls` serialised requests of `batch` rollouts, ids marked with `mark`."""
    packed = []
    for call in range(calls):
        some = [views[(call * batch + i) % len(views)] for i in range(batch)]
        rollouts = [encode_rollout(replace(v, rollout_id=f"{mark}/{call}/{i}")) for i, v in enumerate(some)]
        packed.append(pb.ScoreRequest(reward=name, rollouts=rollouts).SerializeToString())
    return packed


async def send(address: str, packed: Sequence[bytes], in_flight: int) -> tuple[float, bytes]:
    """Seconds for all requests and the last answer."""
    async with grpc.aio.insecure_channel(address, options=LIMITS) as channel:
        method = channel.unary_unary(f"{SERVICE}/Score")
        gate = asyncio.Semaphore(in_flight)

        async def one(request: bytes) -> bytes:
            async with gate:
                return await method(request, timeout=DEADLINE_S, wait_for_ready=True)

        await channel.channel_ready()
        began = time.perf_counter()
        answers = await asyncio.gather(*(one(request) for request in packed))
        return time.perf_counter() - began, answers[-1]


async def give_clips(address: str, clips: Sequence[Clip]) -> None:
    """Hand the clips over, once."""
    async with grpc.aio.insecure_channel(address, options=LIMITS) as channel:
        method = channel.unary_unary(f"{SERVICE}/PutClips")
        for clip in clips:
            request = pb.PutClipsRequest(clips=[encode_clip(clip)]).SerializeToString()
            await method(request, timeout=DEADLINE_S, wait_for_ready=True)


def echo(folder: Path, answer: bytes) -> tuple[subprocess.Popen[bytes], str]:
    """Start the echo; its process and address."""
    (folder / "answer").write_bytes(answer)
    script = Path(__file__).with_name("echo_server.py")
    process = subprocess.Popen([sys.executable, str(script), str(folder / "port"), str(folder / "answer")])
    end = time.monotonic() + DEADLINE_S
    while not (folder / "port").exists():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError("the echo server did not start")
        time.sleep(0.05)
    return process, (folder / "port").read_text()


def measure(
    name: str, views: Sequence[RolloutView], clips: Sequence[Clip], batch: int, calls: int, workers: int
) -> None:
    """Print one line for one reward."""
    config = ServerConfig((SOURCES[name],), workers=workers)
    ours, theirs = [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        SupervisedServer(LaunchConfig(config, Path(folder))) as server,
    ):
        address = server.url(name).removeprefix("grpc://").split("/")[0]
        asyncio.run(until_warm(address))
        asyncio.run(give_clips(address, clips))
        _, answer = asyncio.run(send(address, requests(views, name, batch, 2, "warm"), 2))
        process, other = echo(Path(folder), answer)
        try:
            asyncio.run(send(other, requests(views, name, batch, 2, "warm"), 2))
            for number in range(ROUNDS):
                packed = requests(views, name, batch, calls, f"round-{number}")
                took, answer = asyncio.run(send(address, packed, in_flight=workers + 1))
                ours.append(batch * calls / took)
                _all_scored(answer, batch)
                took, _ = asyncio.run(send(other, packed, in_flight=workers + 1))
                theirs.append(batch * calls / took)
        finally:
            process.terminate()
            process.wait(DEADLINE_S)
    mine, empty = statistics.median(ours), statistics.median(theirs)
    print(
        f"{name:12s} {batch} a call, {len(packed[0]) / 1e3:.0f} kB in, {len(answer) / 1e3:.0f} kB out: "
        f"{mine:.0f} rollouts/s ({min(ours):.0f} to {max(ours):.0f}), "
        f"echo {empty:.0f} ({min(theirs):.0f} to {max(theirs):.0f}), ratio {mine / empty:.2f}"
    )


def _all_scored(answer: bytes, batch: int) -> None:
    results = pb.ScoreResponse.FromString(answer).results
    if len(results) != batch or any(result.status != pb.OK for result in results):
        raise RuntimeError(f"not every rollout has a score: {results[:1]}")


async def until_warm(address: str) -> None:
    """Return when the rewards are loaded."""
    async with grpc.aio.insecure_channel(address) as channel:
        method = channel.unary_unary(f"{SERVICE}/Describe")
        end = time.monotonic() + DEADLINE_S
        while True:
            try:
                await method(b"", timeout=5.0, wait_for_ready=True)
                return
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE or time.monotonic() > end:
                    raise
            await asyncio.sleep(0.05)


def main(
    batch: Annotated[int, typer.Option(help="Rollouts a call.")] = 256,
    calls: Annotated[int, typer.Option(help="Calls a measurement.")] = 32,
    workers: Annotated[int, typer.Option(help="Scoring processes of the reward server.")] = 1,
) -> None:
    """Print one line a reward."""
    rig = default_rig(("front_wide", "front_tele"))
    clips = [clip.without_cameras() for clip in generate(WorldConfig(), 0, 32, rig)]
    views = noisy_rollouts(clips, GROUP * len(clips))
    for name in SOURCES:
        measure(name, views, clips, batch, calls, workers)


if __name__ == "__main__":
    typer.run(main)
