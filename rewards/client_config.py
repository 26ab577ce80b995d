"""How a client behaves: addresses, deadlines, retries, breaker, hedging, credentials."""

from __future__ import annotations

from dataclasses import dataclass, field

from rewards.address import RewardAddress
from rewards.backoff import Backoff
from rewards.breaker import BreakerConfig
from rewards.credentials import Tls
from rewards.hedging import HedgeConfig


@dataclass(frozen=True)
class ClientConfig:
    """url: "grpc://host:port/name", or several servers before the name, "grpc://h1:p1,h2:p2/name"; deadline_s: for
    a whole batch with its retries; attempts: the most tries; attempt_s: deadline of one try (None: what is left, or
    half of it while another replica could follow); concurrency: calls in flight at once; hedge: None is off;
    token_file or token_env: where the bearer token is, never the token itself; a file is read again when it
    changes."""

    url: str
    deadline_s: float = 30.0
    attempts: int = 30
    attempt_s: float | None = None
    concurrency: int = 16
    backoff: Backoff = field(default_factory=Backoff)
    breaker: BreakerConfig = field(default_factory=BreakerConfig)
    hedge: HedgeConfig | None = None
    tls: Tls | None = None
    token_file: str | None = None
    token_env: str | None = None
    job: str = ""

    @property
    def address(self) -> RewardAddress:
        """Servers and name; ValueError when the URL is malformed."""
        return RewardAddress.parse(self.url)
