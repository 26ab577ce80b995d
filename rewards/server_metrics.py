"""Prometheus metrics of one reward server, in a registry of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


class ServerMetrics:
    """Counted where it happens; label `reward` is the reward's name, `status` a final or wire status."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.items = Counter(
            "ar1_reward_items", "Rollouts answered", ["reward", "status"], registry=self.registry
        )
        self.cached = Counter(
            "ar1_reward_cache_hits", "Rollouts answered from the cache", ["reward"], registry=self.registry
        )
        self.batch_seconds = Histogram(
            "ar1_reward_batch_seconds",
            "Time to answer a batch",
            ["reward"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "ar1_reward_in_flight", "Batches being scored", ["reward"], registry=self.registry
        )
        self.worker_restarts = Gauge(
            "ar1_reward_worker_restarts", "Scoring processes replaced", ["reward"], registry=self.registry
        )
        self.worker_hangs = Gauge(
            "ar1_reward_worker_hangs",
            "Scoring processes ended for hanging",
            ["reward"],
            registry=self.registry,
        )
        self.refused = Counter(
            "ar1_reward_refused",
            "Calls refused before scoring, by reason",
            ["reason"],
            registry=self.registry,
        )
        self._rotations = Gauge(
            "ar1_reward_rotations",
            "Changed secrets and certificates taken over",
            ["what"],
            registry=self.registry,
        )
        self._failed_rotations = Gauge(
            "ar1_reward_rotation_failures",
            "Changed secrets and certificates that could not be taken over",
            ["what"],
            registry=self.registry,
        )
        self.clips = Gauge("ar1_reward_clips_held", "Clips in the context cache", registry=self.registry)

    def watch_rotation(self, what: str, counts: Callable[[], Mapping[str, float]]) -> None:
        """Report `rotations` and `failures` of a secret or certificate, read when the page is."""
        self._rotations.labels(what).set_function(lambda: counts()["rotations"])
        self._failed_rotations.labels(what).set_function(lambda: counts()["failures"])

    def serve(self, port: int) -> int:
        """Expose /metrics over HTTP on loopback; returns the port (chosen when 0)."""
        server, _ = start_http_server(port, addr="127.0.0.1", registry=self.registry)
        return server.server_port
