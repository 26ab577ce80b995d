"""What a call must pass before a reward server works on it.

Invariant: a refused call costs neither its message's parsing nor a scoring process; every refusal is counted
by its reason. Health checks pass always: probes carry no secrets and must see a server that is busy.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
from google.protobuf.message_factory import GetMessageClass

from rewards.rate_limit import TokenBucket, pushback
from rewards.server_metrics import ServerMetrics
from rewards.token_gate import TokenGate
from rewards.wire import reward_pb2 as pb
from rewards.wire.arrays import WireError
from rewards.wire.bounds import parse
from rewards.wire.call import parse_call

CODE = grpc.StatusCode
HEALTH = "/grpc.health.v1.Health/"
_SERVICE = pb.DESCRIPTOR.services_by_name["RewardService"]
REQUESTS = {f"/{_SERVICE.full_name}/{m.name}": GetMessageClass(m.input_type) for m in _SERVICE.methods}


@dataclass(frozen=True)
class Refusal:
    """Why a call is refused; reason is the label of the counter, wait_s when to come back (0: not said)."""

    reason: str
    code: grpc.StatusCode
    why: str
    wait_s: float = 0.0


async def refuse(context: grpc.aio.ServicerContext, metrics: ServerMetrics, refusal: Refusal) -> NoReturn:
    """Count the refusal and end the call with it."""
    metrics.refused.labels(refusal.reason).inc()
    await context.abort(refusal.code, refusal.why, pushback(refusal.wait_s))
    raise AssertionError("abort returned")


class Admission(grpc.aio.ServerInterceptor):
    """Bearer token, calls a second, calls at once, and messages that can be parsed in bounded memory.

    tokens: None where no token is demanded; calls: None where calls are not limited; busy: calls being worked
    on, of which there are at most `most_at_once`."""

    def __init__(
        self,
        tokens: TokenGate | None,
        calls: TokenBucket | None,
        busy: Callable[[], int],
        most_at_once: int,
        metrics: ServerMetrics,
    ) -> None:
        self._tokens, self._calls = tokens, calls
        self._busy, self._most = busy, most_at_once
        self._metrics = metrics
        self._parsing: dict[str, grpc.RpcMethodHandler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """See grpc.aio.ServerInterceptor."""
        method = handler_call_details.method
        if method.startswith(HEALTH):
            return await continuation(handler_call_details)
        refusal = self._refusal(handler_call_details)
        if refusal is not None:
            return self._refusing(refusal)
        if method not in self._parsing:
            handler = await continuation(handler_call_details)
            if method not in REQUESTS or handler is None:
                return handler
            self._parsing[method] = self._parse_first(handler, REQUESTS[method])
        return self._parsing[method]

    def _refusal(self, details: grpc.HandlerCallDetails) -> Refusal | None:
        given = dict(details.invocation_metadata).get("authorization", "")
        if self._tokens is not None and not self._tokens.accepts(given):
            return Refusal("token", CODE.UNAUTHENTICATED, "missing or wrong bearer token")
        if self._busy() >= self._most:
            why = f"{self._most} calls are being answered already"
            return Refusal("concurrency", CODE.RESOURCE_EXHAUSTED, why, 0.1)
        if self._calls is not None and (wait := self._calls.take(1)):
            why = f"over {self._calls.rate:g} calls a second"
            return Refusal("calls_per_s", CODE.RESOURCE_EXHAUSTED, why, wait)
        return None

    def _refusing(self, refusal: Refusal) -> grpc.RpcMethodHandler:
        async def answer(requests: Any, context: grpc.aio.ServicerContext) -> None:
            del requests
            await refuse(context, self._metrics, refusal)

        # As a stream, the refused message is not even read; the caller sees the same status.
        return grpc.stream_stream_rpc_method_handler(answer)

    def _parse_first(self, handler: grpc.RpcMethodHandler, kind: Any) -> grpc.RpcMethodHandler:
        async def answer(data: bytes, context: grpc.aio.ServicerContext) -> Any:
            try:
                request = parse_call(data) if kind is pb.ScoreRequest else parse(data, kind)
            except WireError as error:
                await refuse(context, self._metrics, Refusal("malformed", CODE.INVALID_ARGUMENT, str(error)))
            return await handler.unary_unary(request, context)

        def pack(response: Any) -> bytes:
            # Scores leave as they came from the scoring process.
            return response if isinstance(response, bytes) else handler.response_serializer(response)

        return grpc.unary_unary_rpc_method_handler(
            answer, request_deserializer=None, response_serializer=pack
        )
