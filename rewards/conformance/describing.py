"""Describe and health: a client can find out what is served before it spends anything on it."""

from __future__ import annotations

import math

import grpc

from rewards.conformance.probe import CODE, tell
from rewards.conformance.registry import reward_check, server_check
from rewards.conformance.result import BreachError, require
from rewards.conformance.subject import ServerUnderTest, Subject
from rewards.wire import reward_pb2 as pb

PROTOCOL = 1
SERVICE = pb.DESCRIPTOR.services_by_name["RewardService"].full_name
SERVING = 1


@server_check("describe/server")
async def server_described(server: ServerUnderTest) -> str:
    """Describe tells protocol 1, an instance that stays the same, and rewards whose names differ."""
    again = await server.probe.describe()
    require(server.served.protocol == PROTOCOL, f"protocol is {server.served.protocol}, {PROTOCOL} is due")
    require(server.served.instance != "", "instance is empty; it has to change at every start of the server")
    require(again.instance == server.served.instance, "two Describe calls gave different instances")
    require(again.rewards == server.served.rewards, "two Describe calls described different rewards")
    names = [reward.name for reward in server.served.rewards]
    require(len(names) > 0, "no reward is described")
    require(len(set(names)) == len(names), f"names are not unique: {names}")
    return f"protocol {PROTOCOL}, rewards {', '.join(names)}"


@server_check("health/serving")
async def health_serving(server: ServerUnderTest) -> str:
    """grpc.health.v1.Health says SERVING overall and for the service, without a token."""
    for name in ("", SERVICE):
        try:
            status = await server.probe.health(name)
        except grpc.aio.AioRpcError as error:
            raise BreachError(f"health of {name!r}: {tell(error)}") from error
        require(
            status == SERVING, f"health of {name!r} is {status}; 1 (SERVING) is due once rewards are loaded"
        )
    return f'SERVING for "" and {SERVICE}'


@server_check("health/unknown-service")
async def health_unknown(server: ServerUnderTest) -> str:
    """Health of a service that is not there ends with NOT_FOUND, as the standard says."""
    try:
        status = await server.probe.health("no.such.Service")
    except grpc.aio.AioRpcError as error:
        require(error.code() is CODE.NOT_FOUND, f"ended with {tell(error)}; NOT_FOUND is due")
        return "NOT_FOUND"
    raise BreachError(f"an unknown service has health {status}; NOT_FOUND is due")


@reward_check("describe/reward")
async def reward_described(subject: Subject) -> str:
    """Name, version, a range that is not empty, a max_batch of at least 1, a known mode and known needs."""
    told = subject.description
    require(told.name != "" and told.version != "", "name or version is empty")
    require(_is_range(told.low, told.high), f"range [{told.low}, {told.high}] is empty or NaN")
    require(told.max_batch >= 1, "max_batch is 0: no call could ever be made")
    require(told.mode in (pb.PER_ROLLOUT, pb.PER_GROUP), f"mode {told.mode} is not known")
    known = set(pb.Need.values()) - {pb.NEED_UNSPECIFIED}
    require(set(told.needs) <= known, f"needs {list(told.needs)} hold one that is not known")
    needs = ", ".join(pb.Need.Name(need).lower() for need in told.needs)
    return f"version {told.version}, [{told.low:g}, {told.high:g}], max_batch {told.max_batch}, needs {needs}"


@reward_check("describe/components")
async def components_described(subject: Subject) -> str:
    """Components have unique names and ranges that are not empty."""
    parts = subject.description.components
    names = [part.name for part in parts]
    require(all(names), "a component has no name")
    require(len(set(names)) == len(names), f"component names are not unique: {names}")
    for part in parts:
        require(_is_range(part.low, part.high), f"component {part.name!r}: range [{part.low}, {part.high}]")
    return ", ".join(names) or "none described"


def _is_range(low: float, high: float) -> bool:
    return not math.isnan(low) and not math.isnan(high) and low <= high
