"""A reward server process: bind, warm, serve, stop.

Life: NOT_SERVING while the rewards load, SERVING until SIGTERM or SIGINT, then NOT_SERVING while calls in
flight end within the grace. Imports no torch, vllm, ray or numba; what a reward imports stays in its scoring
processes. Run as `python -m rewards.server '<ServerConfig as JSON>'`, or as `ar1 reward serve`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import threading
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from rewards.admission import Admission
from rewards.credentials import Tls, is_loopback, server_certificates
from rewards.rate_limit import TokenBucket
from rewards.redaction import log_to_stderr, redact
from rewards.registry import RewardSource
from rewards.server_metrics import ServerMetrics
from rewards.service import RewardService, Served
from rewards.token_gate import TokenGate
from rewards.wire import reward_pb2 as pb
from rewards.wire import reward_pb2_grpc
from rewards.wire.codec import MESSAGE_BYTES
from rewards.worker_pool import LoadError, WorkerPool

log = logging.getLogger("ar1.rewards")
SERVICE = pb.DESCRIPTOR.services_by_name["RewardService"].full_name
SERVING = health_pb2.HealthCheckResponse.SERVING
# Health probes and calls about to be refused come on top of the calls that are let in.
SPARE_CALLS = 64
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass(frozen=True)
class ServerConfig:
    """rewards: what to serve; workers: scoring processes a reward; timeout_s: the longest that scoring a
    batch (or, after a hang, one rollout) may take; port and metrics_port: 0 lets the system choose, a
    metrics_port of None serves no metrics; port_file: where "host:port" is written once bound; grace_s: for
    calls in flight at a stop; json_lines: announce as JSON; lifeline: stop when stdin closes, that is when
    the parent dies.

    max_concurrent, max_calls_per_s, max_rollouts_per_s: limits of the server, over all callers; max_batch: at
    most so many rollouts a call, below the reward's own limit; max_message_bytes: of a request; token_file: the
    bearer token callers need, read again when it changes, the one before good for token_grace_s more;
    connection_age_s: when a TLS connection is renewed, so that rotated certificates come into use; reflection:
    None answers it on loopback only."""

    rewards: tuple[RewardSource, ...]
    host: str = "127.0.0.1"
    port: int = 0
    port_file: str | None = None
    workers: int = 1
    timeout_s: float = 10.0
    grace_s: float = 2.0
    max_concurrent: int = 256
    clip_bytes: int = 256 * 2**20
    results: int = 100_000
    tls: Tls | None = None
    token_file: str | None = None
    token_grace_s: float = 60.0
    connection_age_s: float = 3600.0
    max_calls_per_s: float | None = None
    max_rollouts_per_s: float | None = None
    max_batch: int | None = None
    max_message_bytes: int = MESSAGE_BYTES
    reflection: bool | None = None
    metrics_port: int | None = None
    json_lines: bool = False
    lifeline: bool = False

    def to_json(self) -> str:
        """For the command line of a server process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ServerConfig:
        """Inverse of `to_json`."""
        fields = json.loads(text)
        fields["rewards"] = tuple(RewardSource(**source) for source in fields["rewards"])
        fields["tls"] = None if fields["tls"] is None else Tls(**fields["tls"])
        return cls(**fields)


async def serve(config: ServerConfig) -> None:
    """Serve until told to stop. Raises ValueError for an unsafe or impossible configuration, LoadError or
    TimeoutError when a reward does not load, OSError when the port is taken."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if config.lifeline:
        threading.Thread(target=_watch_parent, args=(config.grace_s,), daemon=True).start()
    metrics = ServerMetrics()
    rollouts = _bucket(config.max_rollouts_per_s)
    service = RewardService(config.clip_bytes, config.results, config.timeout_s, metrics, rollouts)
    health = health_aio.HealthServicer()
    server, address = _bind(config, service, health, metrics)
    await _announce(health, NOT_SERVING)
    await server.start()
    pools = [WorkerPool(source, config.workers, config.timeout_s) for source in config.rewards]
    try:
        metrics_port = None if config.metrics_port is None else metrics.serve(config.metrics_port)
        if config.port_file:
            write_atomically(Path(config.port_file), address)
        told = {"address": f"grpc://{address}"}
        if metrics_port is not None:
            told["metrics"] = f"http://127.0.0.1:{metrics_port}/metrics"
        _say(config, told)
        if await _warm(pools, service, stop, config.max_batch):
            await _announce(health, SERVING)
            _say(config, {"serving": ", ".join(f"grpc://{address}/{name}" for name in service.served)})
            await stop.wait()
    finally:
        await _announce(health, NOT_SERVING)
        await server.stop(config.grace_s)
        await asyncio.gather(*(pool.stop() for pool in pools))


def _bind(
    config: ServerConfig, service: RewardService, health: health_aio.HealthServicer, metrics: ServerMetrics
) -> tuple[grpc.aio.Server, str]:
    certificates = server_certificates(config.host, config.tls)
    tokens = TokenGate(Path(config.token_file), config.token_grace_s) if config.token_file else None
    for what, rotating in (("token", tokens), ("certificate", certificates)):
        if rotating is not None:
            metrics.watch_rotation(what, rotating.metrics)
    calls = _bucket(config.max_calls_per_s)
    ages = (
        [] if certificates is None else [("grpc.max_connection_age_ms", int(1000 * config.connection_age_s))]
    )
    server = grpc.aio.server(
        interceptors=[Admission(tokens, calls, service.busy, config.max_concurrent, metrics)],
        maximum_concurrent_rpcs=config.max_concurrent + SPARE_CALLS,
        options=[
            *ages,
            ("grpc.max_receive_message_length", config.max_message_bytes),
            ("grpc.max_send_message_length", MESSAGE_BYTES),
            ("grpc.so_reuseport", 0),
            # Below the client's interval, or its pings end the connection with "too many pings".
            ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
            ("grpc.keepalive_permit_without_calls", 1),
        ],
    )
    reward_pb2_grpc.add_RewardServiceServicer_to_server(service, server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    if is_loopback(config.host) if config.reflection is None else config.reflection:
        names = (SERVICE, "grpc.health.v1.Health", reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
    wanted = f"{config.host}:{config.port}"
    try:
        port = (
            server.add_insecure_port(wanted)
            if certificates is None
            else server.add_secure_port(wanted, certificates.credentials())
        )
    except RuntimeError as error:
        raise OSError(f"cannot listen on {wanted}: is the port taken? ({error})") from error
    return server, f"{config.host}:{port}"


def _bucket(rate: float | None) -> TokenBucket | None:
    return None if rate is None else TokenBucket(rate)


def _say(config: ServerConfig, told: dict[str, str]) -> None:
    lines = [json.dumps(told)] if config.json_lines else [f"{what} {where}" for what, where in told.items()]
    print("\n".join(lines), flush=True)


async def _announce(health: health_aio.HealthServicer, status: int) -> None:
    for name in ("", SERVICE):
        await health.set(name, status)


async def _warm(
    pools: list[WorkerPool], service: RewardService, stop: asyncio.Event, max_batch: int | None
) -> bool:
    """Load every reward; False when the stop came first."""
    loading = asyncio.gather(*(pool.start() for pool in pools))
    stopping: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
    either: set[asyncio.Future[Any]] = {loading, stopping}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if not loading.done():
        loading.cancel()
        return False
    stopping.cancel()
    for description, pool in zip(loading.result(), pools, strict=True):
        if description.name in service.served:
            raise ValueError(f"two rewards are called {description.name!r}; give one of them another name")
        most = min(description.max_batch, max_batch or description.max_batch)
        service.served[description.name] = Served(replace(description, max_batch=most), pool)
    service.warm = True
    return True


def _watch_parent(grace_s: float) -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(grace_s + 3.0)
    os._exit(1)


def write_atomically(path: Path, text: str) -> None:
    """A reader sees the whole text or no file."""
    partial = path.with_name(path.name + ".part")
    partial.write_text(text)
    partial.replace(path)


def run(config: ServerConfig) -> int:
    """Serve in this process; returns its exit status (0 stopped, 2 could not serve)."""
    log_to_stderr()
    try:
        asyncio.run(serve(config))
    except (LoadError, TimeoutError, ValueError, OSError) as error:
        print(f"reward server: {redact(str(error))}", file=sys.stderr, flush=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(run(ServerConfig.from_json(sys.argv[1])))
