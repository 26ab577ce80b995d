"""Why a try failed, what may follow, and whether the server is to blame: gRPC codes read once, here.

| code | status | again? | counts against the server |
|---|---|---|---|
| UNAVAILABLE, ABORTED, INTERNAL, CANCELLED | infrastructure | yes | yes |
| UNAVAILABLE for a certificate that does not verify | refused | elsewhere | no |
| RESOURCE_EXHAUSTED (busy) | infrastructure | yes | no: it answered |
| RESOURCE_EXHAUSTED (message too large) | data | no | no |
| DEADLINE_EXCEEDED | deadline | yes | if it had FAIR_S or more |
| NOT_FOUND, UNAUTHENTICATED, PERMISSION_DENIED, UNIMPLEMENTED, FAILED_PRECONDITION | refused | elsewhere | no |
| any other | reward bug | no | no |
"""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from rewards.rate_limit import asked_pause_s
from rewards.score import Status

CODE = grpc.StatusCode
PASSING = {CODE.UNAVAILABLE, CODE.ABORTED, CODE.INTERNAL, CODE.CANCELLED}
REFUSALS = {
    CODE.NOT_FOUND,
    CODE.UNAUTHENTICATED,
    CODE.PERMISSION_DENIED,
    CODE.UNIMPLEMENTED,
    CODE.FAILED_PRECONDITION,
}
FAIR_S = 0.5
"""Seconds below which a try that ran out of time says nothing about its server: a server keeps a tenth of the
deadline and 50 ms for itself (see rewards.service), which leaves nothing to score in."""


@dataclass(frozen=True)
class Failure:
    """passing: another try may help; blames: the server itself failed; pause_s: what the server asked for."""

    status: Status
    why: str
    passing: bool
    blames: bool = False
    pause_s: float = 0.0


def failure_of(error: grpc.aio.AioRpcError, granted_s: float, fair_s: float = FAIR_S) -> Failure:
    """Read a failed call that had `granted_s` seconds to be answered in; from `fair_s` on a timeout blames."""
    code, why = error.code(), tell(error)
    if code is CODE.DEADLINE_EXCEEDED:
        return Failure(Status.DEADLINE, f"{why} (after {granted_s:.2f} s)", True, granted_s >= fair_s)
    if code is CODE.RESOURCE_EXHAUSTED:
        if "larger than max" in (error.details() or ""):
            return Failure(Status.DATA, why, False)
        return Failure(Status.INFRASTRUCTURE, why, True, pause_s=asked_pause_s(error))
    if code is CODE.UNAVAILABLE and "CERTIFICATE_VERIFY_FAILED" in why:
        fix = "the server's certificate does not verify: has it expired, or did another authority sign it?"
        return Failure(Status.REFUSED, f"{fix} {why}", False)
    if code in PASSING:
        return Failure(Status.INFRASTRUCTURE, why, True, blames=True)
    if code in REFUSALS:
        return Failure(Status.REFUSED, why, False)
    return Failure(Status.REWARD_BUG, why, False)


def tell(error: grpc.aio.AioRpcError) -> str:
    """Code and details in one line."""
    return f"{error.code().name}: {error.details()}"
