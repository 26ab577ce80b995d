"""A reward server that fails on command: a process of its own, written from reward.proto alone.

python unreliable_server.py '{"port_file": …, "fail_every": 2}' — see Faults. Every rollout is worth its number of
words; what was scored is appended to `tally`, one rollout id a line, so that a test can count who was asked what.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio

from rewards.wire import reward_pb2 as pb
from rewards.wire import reward_pb2_grpc


@dataclass(frozen=True)
class Faults:
    """fail_every: each n-th Score call is UNAVAILABLE; busy_every: … RESOURCE_EXHAUSTED with a push-back of
    pushback_ms; slow_every: … takes slow_s; nan: rollouts of this text are worth NaN; failed_items: INFRASTRUCTURE
    for each item of the first so many calls; 0 is never. cert, key: files in PEM; without them plain text."""

    port_file: str
    tally: str = ""
    version: str = "1"
    fail_every: int = 0
    busy_every: int = 0
    pushback_ms: int = 0
    slow_every: int = 0
    slow_s: float = 0.0
    nan: str = ""
    failed_items: int = 0
    cert: str = ""
    key: str = ""


class Unreliable(reward_pb2_grpc.RewardServiceServicer):
    """Answers by the contract, except for its faults."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.calls = 0

    async def Describe(self, request, context):  # noqa: N802, ARG002
        """See reward.proto."""
        words = pb.Description(
            name="words", version=self.faults.version, low=0, high=1e3, max_batch=256, mode=pb.PER_ROLLOUT
        )
        return pb.DescribeResponse(protocol=1, instance=self.faults.port_file, rewards=[words])

    async def PutClips(self, request, context):  # noqa: N802, ARG002
        """See reward.proto."""
        held = [pb.ItemStatus(status=pb.OK) for _ in request.clips]
        return pb.PutClipsResponse(results=held, instance=self.faults.port_file)

    async def Score(self, request, context):  # noqa: N802
        """See reward.proto."""
        self.calls += 1
        if self._due(self.faults.fail_every):
            await context.abort(grpc.StatusCode.UNAVAILABLE, "every so often I fail")
        if self._due(self.faults.busy_every):
            context.set_trailing_metadata((("grpc-retry-pushback-ms", str(self.faults.pushback_ms)),))
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many calls a second")
        if self._due(self.faults.slow_every):
            await asyncio.sleep(self.faults.slow_s)
        if self.calls <= self.faults.failed_items:
            results = [
                pb.Result(rollout_id=r.rollout_id, status=pb.INFRASTRUCTURE, explanation="no judge")
                for r in request.rollouts
            ]
        else:
            results = [self._one(rollout) for rollout in request.rollouts]
        if self.faults.tally:
            with Path(self.faults.tally).open("a") as file:
                file.writelines(f"{rollout.rollout_id}\n" for rollout in request.rollouts)
        return pb.ScoreResponse(
            reward="words", version=self.faults.version, instance=self.faults.port_file, results=results
        )

    def _due(self, every: int) -> bool:
        return every > 0 and self.calls % every == 0

    def _one(self, rollout: pb.Rollout) -> pb.Result:
        value = float("nan") if rollout.text == self.faults.nan else float(len(rollout.text.split()))
        return pb.Result(rollout_id=rollout.rollout_id, status=pb.OK, value=value)


async def main(faults: Faults) -> None:
    """Serve until killed."""
    server = grpc.aio.server()
    health = health_aio.HealthServicer()
    await health.set("", health_pb2.HealthCheckResponse.SERVING)
    reward_pb2_grpc.add_RewardServiceServicer_to_server(Unreliable(faults), server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    if faults.cert:
        pair = (Path(faults.key).read_bytes(), Path(faults.cert).read_bytes())
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    partial = Path(faults.port_file + ".part")
    partial.write_text(str(port))
    partial.replace(faults.port_file)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(Faults(**json.loads(sys.argv[1]))))
