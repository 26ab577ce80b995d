"""Who is let in: bearer token, TLS, client certificates.

A server that demands less has less to show: those checks are skipped with the reason.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import grpc

from rewards.conformance.certificates import write_stranger
from rewards.conformance.probe import CODE, Probe, tell
from rewards.conformance.registry import server_check
from rewards.conformance.result import BreachError, NotApplicableError, require
from rewards.conformance.subject import ServerUnderTest
from rewards.credentials import Tls
from rewards.wire import reward_pb2 as pb


@server_check("access/token-missing")
async def token_missing(server: ServerUnderTest) -> str:
    """Without the token every method is UNAUTHENTICATED."""
    return await _unauthenticated(server, None)


@server_check("access/token-wrong")
async def token_wrong(server: ServerUnderTest) -> str:
    """With another token, or part of the right one, every method is UNAUTHENTICATED."""
    right = server.target.token or ""
    for wrong in (right + "x", right[:-1] or "x", right.swapcase() if right.swapcase() != right else "x"):
        told = await _unauthenticated(server, wrong)
    return told


async def _unauthenticated(server: ServerUnderTest, token: str | None) -> str:
    if server.target.token is None:
        raise NotApplicableError("the server takes calls without a token (plain loopback, or TLS alone)")
    request = pb.ScoreRequest(reward=server.served.rewards[0].name)
    async with Probe(server.target, token=token) as probe:
        limit = server.target.timeout_s
        calls = {
            "Describe": probe.describe(),
            "PutClips": probe.put(),
            "Score": probe.start(request, False, limit),
            "ScoreGroup": probe.start(request, True, limit),
        }
        answers = await asyncio.gather(*(_code(call) for call in calls.values()))
    for name, code in zip(calls, answers, strict=True):
        require(code is CODE.UNAUTHENTICATED, f"{name} ended with {code.name}; UNAUTHENTICATED is due")
    return f"UNAUTHENTICATED from {', '.join(calls)}"


async def _code(call: object) -> grpc.StatusCode:
    try:
        await call  # type: ignore[misc]
    except grpc.aio.AioRpcError as error:
        return error.code()
    return CODE.OK


@server_check("access/plain-text")
async def plain_text(server: ServerUnderTest) -> str:
    """A TLS port takes no plain text."""
    if server.target.tls is None:
        raise NotApplicableError("the server speaks plain text: allowed on loopback only")
    return await _refused(server, Probe(server.target, token=server.target.token, plain=True), "plain text")


@server_check("access/no-certificate")
async def no_certificate(server: ServerUnderTest) -> str:
    """Under mutual TLS, a client without a certificate is refused."""
    ca = _mutual(server).ca
    return await _refused(
        server, Probe(server.target, token=server.target.token, tls=Tls(ca=ca)), "no certificate"
    )


@server_check("access/foreign-certificate")
async def foreign_certificate(server: ServerUnderTest) -> str:
    """Under mutual TLS, a certificate of another authority is refused."""
    ca = _mutual(server).ca
    with tempfile.TemporaryDirectory(prefix="ar1-check-") as folder:
        cert, key = write_stranger(Path(folder))
        stranger = Tls(str(cert), str(key), ca)
        return await _refused(
            server, Probe(server.target, token=server.target.token, tls=stranger), "a foreign certificate"
        )


@server_check("access/expired-certificate")
async def expired_certificate(server: ServerUnderTest) -> str:
    """Under mutual TLS, an expired certificate of the right authority is refused."""
    ca = _mutual(server).ca
    if server.target.expired is None:
        raise NotApplicableError(
            "give one that the server's authority signed: --expired-cert and --expired-key"
        )
    expired = Tls(server.target.expired.cert, server.target.expired.key, ca)
    return await _refused(
        server, Probe(server.target, token=server.target.token, tls=expired), "an expired certificate"
    )


def _mutual(server: ServerUnderTest) -> Tls:
    tls = server.target.tls
    if tls is None:
        raise NotApplicableError("the server speaks plain text: allowed on loopback only")
    if tls.cert is None or tls.key is None:
        raise NotApplicableError("the server was reached without a client certificate: no mutual TLS")
    return tls


async def _refused(server: ServerUnderTest, probe: Probe, what: str) -> str:
    """The connection must fail: a call ends as UNAVAILABLE, and the server goes on serving others."""
    async with probe:
        try:
            await probe.describe()
        except grpc.aio.AioRpcError as error:
            due = (CODE.UNAVAILABLE, CODE.UNAUTHENTICATED, CODE.PERMISSION_DENIED)
            require(error.code() in due, f"{what} ended with {tell(error)}; a refusal is due")
            await server.probe.describe()
            return f"{what}: {error.code().name}"
    raise BreachError(f"a client with {what} was served")
