"""Where a served reward is to be found: one or several servers that answer alike, and its name there."""

from __future__ import annotations

from dataclasses import dataclass

from rewards.registry import REMOTE


@dataclass(frozen=True)
class RewardAddress:
    """servers: "host:port" of each replica, in the order given; reward: the reward's name on all of them."""

    servers: tuple[str, ...]
    reward: str

    @classmethod
    def parse(cls, url: str) -> RewardAddress:
        """Read "grpc://host:port/name" or "grpc://host:port,host:port/name".

        Raises ValueError, naming the fix, for a missing name or port and for a server that is named twice."""
        rest = url.removeprefix(REMOTE)
        places, _, name = rest.partition("/")
        servers = tuple(place.strip() for place in places.split(","))
        if rest == url or not name or not all(_has_port(server) for server in servers):
            raise ValueError(
                f"{url!r} is no reward address; write grpc://host:port/name, "
                "or grpc://host:port,host:port/name for replicas"
            )
        if len(set(servers)) != len(servers):
            raise ValueError(f"{url!r} names a server twice; give each replica once")
        return cls(servers, name)


def _has_port(server: str) -> bool:
    host, _, port = server.rpartition(":")
    return bool(host) and port.isascii() and port.isdigit() and 0 < int(port) < 65_536
