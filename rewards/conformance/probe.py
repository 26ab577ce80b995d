"""A connection to the server under test, without any convenience: no retry, no cache, no correction.

Invariant: every call is made once, has a deadline, and raises grpc.aio.AioRpcError when the server (or the
deadline) ends it otherwise than with an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from rewards.credentials import Tls, channel_credentials
from rewards.wire import reward_pb2 as pb
from rewards.wire import reward_pb2_grpc

CODE = grpc.StatusCode
CHANNEL = [
    ("grpc.max_receive_message_length", 64 * 2**20),
    # No limit of our own: the server's is under test.
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_retries", 0),
    # Channels with other credentials must not share a connection that was let in.
    ("grpc.use_local_subchannel_pool", 1),
]


@dataclass(frozen=True)
class Target:
    """address: host:port; reward: the only one to check (None: all that are served); timeout_s: deadline of
    one call; slow_text: a reasoning text that the reward takes longer than `timeout_s` over, for the check of
    slow items; expired: a client certificate and key that the server's CA signed and that has expired."""

    address: str
    reward: str | None = None
    timeout_s: float = 10.0
    tls: Tls | None = None
    token: str | None = None
    slow_text: str | None = None
    expired: Tls | None = None


class Probe:
    """One channel to the target. `async with Probe(target) as probe: await probe.describe()`

    token and tls replace the target's own, for the checks of who is let in; plain: speak plain text."""

    def __init__(
        self, target: Target, *, token: str | None = None, tls: Tls | None = None, plain: bool = False
    ) -> None:
        self.timeout_s = target.timeout_s
        host = target.address.rpartition(":")[0]
        if not host or not target.address.rpartition(":")[2].isdigit():
            raise ValueError(
                f"{target.address!r} is no address; write host:port, for example 127.0.0.1:50051"
            )
        credentials = None if plain else channel_credentials(host, tls or target.tls)
        self._channel = (
            grpc.aio.insecure_channel(target.address, CHANNEL)
            if credentials is None
            else grpc.aio.secure_channel(target.address, credentials, CHANNEL)
        )
        self._stub = reward_pb2_grpc.RewardServiceStub(self._channel)
        self._health = health_pb2_grpc.HealthStub(self._channel)
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()

    async def __aenter__(self) -> Probe:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()

    async def describe(self) -> pb.DescribeResponse:
        """Describe."""
        return await self._stub.Describe(
            pb.DescribeRequest(), timeout=self.timeout_s, metadata=self._metadata
        )

    async def put(self, *clips: pb.Clip) -> pb.PutClipsResponse:
        """PutClips."""
        request = pb.PutClipsRequest(clips=clips)
        return await self._stub.PutClips(request, timeout=self.timeout_s, metadata=self._metadata)

    def start(self, request: pb.ScoreRequest, group: bool, timeout_s: float) -> Any:
        """Begin Score or ScoreGroup; the call is awaited or cancelled by the caller."""
        method = self._stub.ScoreGroup if group else self._stub.Score
        return method(request, timeout=timeout_s, metadata=self._metadata)

    async def health(self, service: str) -> int:
        """The health of a service, a health_pb2 status. Sent without the token: load balancers and
        orchestrators hold none."""
        request = health_pb2.HealthCheckRequest(service=service)
        return (await self._health.Check(request, timeout=self.timeout_s)).status


def tell(error: grpc.aio.AioRpcError) -> str:
    """ "CODE: details" in at most 300 characters."""
    return f"{error.code().name}: {error.details()}"[:300]
