"""The calls of the contract over a channel, with answers parsed in bounded memory.

Role: what the generated stub is, for a caller that does not trust the server: gRPC's own deserialisation
turns bytes that are no message into None, and parses a message that swells. Invariant: a call returns a message
of its kind or raises WireError or AioRpcError.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from rewards.wire import reward_pb2 as pb
from rewards.wire.bounds import parse

M = TypeVar("M", bound=Message)
Metadata = Sequence[tuple[str, str]]
_SERVICE = pb.DESCRIPTOR.services_by_name["RewardService"]


class BoundedStub:
    """A reward server's methods, by the names that the contract gives them."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._calls: dict[str, Any] = {
            m.name: channel.unary_unary(
                f"/{_SERVICE.full_name}/{m.name}", request_serializer=_pack, response_deserializer=None
            )
            for m in _SERVICE.methods
        }

    async def Describe(  # noqa: N802
        self, request: pb.DescribeRequest, timeout: float, metadata: Metadata = ()
    ) -> pb.DescribeResponse:
        """See reward.proto."""
        return await self._call("Describe", request, pb.DescribeResponse, timeout, metadata)

    async def PutClips(  # noqa: N802
        self, request: pb.PutClipsRequest, timeout: float, metadata: Metadata = ()
    ) -> pb.PutClipsResponse:
        """See reward.proto."""
        return await self._call("PutClips", request, pb.PutClipsResponse, timeout, metadata)

    async def Score(  # noqa: N802
        self, request: pb.ScoreRequest, timeout: float, metadata: Metadata = ()
    ) -> pb.ScoreResponse:
        """See reward.proto."""
        return await self._call("Score", request, pb.ScoreResponse, timeout, metadata)

    async def ScoreGroup(  # noqa: N802
        self, request: pb.ScoreRequest, timeout: float, metadata: Metadata = ()
    ) -> pb.ScoreResponse:
        """See reward.proto."""
        return await self._call("ScoreGroup", request, pb.ScoreResponse, timeout, metadata)

    async def _call(
        self, name: str, request: Message, kind: type[M], timeout: float, metadata: Metadata
    ) -> M:
        return parse(await self._calls[name](request, timeout=timeout, metadata=metadata), kind)


def _pack(message: Message) -> bytes:
    return message.SerializeToString()
