"""Where the microseconds of a served Score call go.

`python benchmarks/served_path.py [--batch 256]` runs each part of a call by itself, on the very bytes of a call,
and prints µs a rollout (medians), for the rule rewards and for one that costs nothing. The last lines are the same
call through a live server: one in flight, so that the parts follow each other, and two, so that the scoring
process works while the server unpacks; and how long the server takes until it serves.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from against_echo import SOURCES, give_clips, requests, send, until_warm
from rule_rewards import GROUP, noisy_rollouts

from rewards.batch import Guard, answer_batch
from rewards.description import Description, Mode, describe
from rewards.launch import LaunchConfig, SupervisedServer
from rewards.registry import RewardSource, resolve
from rewards.score import RolloutView
from rewards.server import ServerConfig
from rewards.server_metrics import ServerMetrics
from rewards.service import RewardService, Served
from rewards.wire import reward_pb2 as pb
from rewards.wire.call import Call, parse_call
from rewards.wire.clips import encode_clip
from rewards.wire.frames import frame
from rewards.wire.results import Packed, packed_scores
from rewards.wire.rollouts import decode_rollouts
from rewards.wire.worker_pb2 import WorkerReply, WorkerRequest
from rewards.worker_pool import StoredClip, WorkerPool
from scenes.cameras import default_rig
from scenes.clip import Clip
from scenes.world import WorldConfig, generate

ROUNDS, CALLS = 15, 16
SERVER, SCORER = "server", "scoring process"


@dataclass
class Canned:
    """A pool that has the answers ready, and a call's context: what is left of a call is the server's own work."""

    results: list[Packed]
    restarts: int = 0
    hangs: int = 0

    async def score(
        self,
        call: Call,  # noqa: ARG002
        indices: Sequence[int],
        clips: Mapping[str, StoredClip],  # noqa: ARG002
        mode: Mode,  # noqa: ARG002
        budget_s: float,  # noqa: ARG002
    ) -> list[Packed]:
        """The answers."""
        return [self.results[index] for index in indices]

    def time_remaining(self) -> float:
        """Seconds."""
        return 60.0


def parts_of(
    source: RewardSource, views: Sequence[RolloutView], clips: Sequence[Clip], batch: int
) -> list[Any]:
    """(place, what, µs a rollout) of each part of a call."""
    reward, by_id, guard = resolve(source), {clip.clip_id: clip for clip in clips}, Guard()
    description = describe(reward)
    # Ids of their own for every round: what was scored is remembered.
    packed = requests(views, description.name, batch, ROUNDS + 1, "parts")
    calls = [parse_call(data) for data in packed]
    everything = range(batch)
    framed = frame(WorkerRequest(number=1), calls[0].fields(everything))[4:]
    messages = WorkerRequest.FromString(framed).rollouts
    some = cast("list[RolloutView]", decode_rollouts(messages))
    table = answer_batch(guard, reward, description, some, by_id)
    ids = [view.rollout_id for view in some]
    results = packed_scores(ids, table)

    def reply() -> bytes:
        statuses = bytes(status for status, _ in results)
        return frame(WorkerReply(results=[data for _, data in results], statuses=statuses, number=1))

    answered = reply()[4:]
    unpacked = WorkerReply.FromString(answered)
    return [
        (SERVER, "find and check the rollouts in the bytes", _each(lambda i: parse_call(packed[i]), batch)),
        (
            SERVER,
            "ids, clips, keys, cache, metrics, response",
            _book_keeping(description, calls, results, clips),
        ),
        (SERVER, "frame for the scoring process", _each(lambda i: _framed(calls[i]), batch)),
        (SCORER, "parse the frame", _each(lambda _: WorkerRequest.FromString(framed), batch)),
        (SCORER, "unpack rollouts, check every number", _each(lambda _: decode_rollouts(messages), batch)),
        (
            SCORER,
            "score",
            _each(lambda _: answer_batch(guard, reward, description, some, by_id), batch),
        ),
        (SCORER, "pack the results", _each(lambda _: packed_scores(ids, table), batch)),
        (SCORER, "frame of the reply", _each(lambda _: reply(), batch)),
        (
            SERVER,
            "parse the reply",
            _each(lambda _: (WorkerReply.FromString(answered), list(unpacked.results)), batch),
        ),
    ]


def _framed(call: Call) -> bytes:
    return frame(WorkerRequest(number=1), call.fields(range(len(call.places))))


def _each(work: Callable[[int], object], batch: int) -> float:
    """Median µs a rollout of calls of `work`, after one that warms it up."""
    took = []
    for number in range(ROUNDS + 1):
        began = time.perf_counter()
        work(number)
        took.append(time.perf_counter() - began)
    return 1e6 * statistics.median(took[1:]) / batch


def _book_keeping(
    description: Description, calls: Sequence[Call], results: list[Packed], clips: Sequence[Clip]
) -> float:
    async def run() -> float:
        service = RewardService(2**28, 100_000, 10.0, ServerMetrics())
        canned = Canned(results)
        service.served[description.name] = Served(description, cast(WorkerPool, canned))
        service.warm = True
        await service.PutClips(pb.PutClipsRequest(clips=[encode_clip(c) for c in clips]), cast(Any, canned))
        took = []
        for call in calls:
            began = time.perf_counter()
            await service.Score(call, cast(Any, canned))
            took.append(time.perf_counter() - began)
        return 1e6 * statistics.median(took[1:]) / len(results)

    return asyncio.run(run())


def live(
    source: RewardSource, name: str, views: Sequence[RolloutView], clips: Sequence[Clip], batch: int
) -> tuple[float, float, float]:
    """(seconds to serving, µs a rollout with one call in flight, with two)."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        with SupervisedServer(LaunchConfig(ServerConfig((source,)), Path(folder))) as server:
            address = server.url(name).removeprefix("grpc://").split("/")[0]
            asyncio.run(until_warm(address))
            serving = time.perf_counter() - began
            asyncio.run(give_clips(address, clips))
            asyncio.run(send(address, requests(views, name, batch, 4, "warm"), 2))
            took = [
                asyncio.run(send(address, requests(views, name, batch, CALLS, f"{n}"), n))[0] for n in (1, 2)
            ]
    return serving, *(1e6 * seconds / (CALLS * batch) for seconds in took)


def main(batch: Annotated[int, typer.Option(help="Rollouts a call.")] = 256) -> None:
    """Print the table of each reward."""
    rig = default_rig(("front_wide", "front_tele"))
    clips = [clip.without_cameras() for clip in generate(WorldConfig(), 0, 32, rig)]
    views = noisy_rollouts(clips, GROUP * len(clips))
    for name, source in SOURCES.items():
        parts = parts_of(source, views, clips, batch)
        print(f"\n{name}, {batch} rollouts a call: µs a rollout")
        for place, what, took in parts:
            print(f"  {place:16s} {what:44s} {took:7.2f}")
        for place in (SERVER, SCORER):
            print(f"  {place:16s} {'sum':44s} {sum(t for p, _, t in parts if p == place):7.2f}")
        serving, one, two = live(source, name, views, clips, batch)
        print(f"  {'live':16s} {'one call in flight, client and transport in':44s} {one:7.2f}")
        print(f"  {'live':16s} {'two calls in flight':44s} {two:7.2f}")
        print(f"  serving after {serving:.2f} s")


if __name__ == "__main__":
    typer.run(main)
