"""Who may listen where, and who may call: TLS, mutual TLS, bearer tokens.

Invariant: plain text is spoken on loopback only, by servers and by clients.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc


@dataclass(frozen=True)
class Tls:
    """Files in PEM. Server: cert and key, and `ca` to demand client certificates (mutual TLS). Client: `ca`
    that signed the server (None: the system's), and cert and key where the server demands them."""

    cert: str | None = None
    key: str | None = None
    ca: str | None = None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host; names other than localhost count as reachable."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def server_credentials(host: str, tls: Tls | None) -> grpc.ServerCredentials | None:
    """Credentials to bind with; None means plain text. Raises ValueError where that would be unsafe."""
    if tls is None:
        if not is_loopback(host):
            raise ValueError(
                f"refusing to listen on {host!r} in plain text: "
                "give --tls-cert and --tls-key, or listen on 127.0.0.1"
            )
        return None
    if tls.cert is None or tls.key is None:
        raise ValueError("TLS needs both a certificate and its key")
    pair = (Path(tls.key).read_bytes(), Path(tls.cert).read_bytes())
    ca = Path(tls.ca).read_bytes() if tls.ca else None
    return grpc.ssl_server_credentials([pair], root_certificates=ca, require_client_auth=ca is not None)


def channel_credentials(host: str, tls: Tls | None) -> grpc.ChannelCredentials | None:
    """Credentials to connect with; None means plain text. Raises ValueError where that would be unsafe."""
    if tls is None:
        if not is_loopback(host):
            raise ValueError(f"refusing to talk to {host!r} in plain text: configure tls for this reward")
        return None
    read = [Path(name).read_bytes() if name else None for name in (tls.ca, tls.key, tls.cert)]
    return grpc.ssl_channel_credentials(*read)


class BearerToken(grpc.aio.ServerInterceptor):
    """Refuses calls without the token, except health checks, which probes make without secrets."""

    def __init__(self, token: str) -> None:
        if not token:
            raise ValueError("the token file is empty")
        self._expected = f"Bearer {token}".encode()
        self._refusal = grpc.unary_unary_rpc_method_handler(_refuse)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """See grpc.aio.ServerInterceptor."""
        given = dict(handler_call_details.invocation_metadata).get("authorization", "")
        given = given if isinstance(given, bytes) else given.encode()
        is_health = handler_call_details.method.startswith("/grpc.health.v1.Health/")
        if is_health or hmac.compare_digest(given, self._expected):
            return await continuation(handler_call_details)
        return self._refusal


async def _refuse(request: Any, context: grpc.aio.ServicerContext) -> None:
    del request
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "missing or wrong bearer token")
