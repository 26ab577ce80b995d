"""Configuration of a job's rewards: what is served, how it is asked, and what it counts.

Invariant: import-light, and checked before a process starts; what a live change gives is checked alike.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from policy.config_file import ConfigModel
from rewards.address import RewardAddress
from rewards.redaction import redact
from rewards.registry import is_remote
from rewards.secret_files import refuse_secrets


class GateConfig(ConfigModel):
    """A reward counts only where another passes: below `at_least` of `reward`, the gated one counts as `otherwise`
    (its lowest value, as a rule), so that it cannot be earned at the other's expense. A missing score of `reward`
    makes the gated one missing too."""

    reward: str
    at_least: float
    otherwise: float = 0.0


class BreakerSection(ConfigModel):
    """Arguments of rewards.breaker.BreakerConfig, for each server of a reward: it is left alone after `failures` in
    a row or more than `share` of the last `window` tries, and probed after cool_down_s, doubling to most_s."""

    failures: PositiveInt = 5
    share: float = Field(0.6, gt=0, le=1)
    window: PositiveInt = 20
    cool_down_s: float = Field(1.0, gt=0)
    most_s: float = Field(30.0, gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> BreakerSection:
        if self.cool_down_s > self.most_s:
            raise ValueError(f"breaker.cool_down_s {self.cool_down_s} is above breaker.most_s {self.most_s}")
        return self


class PauseSection(ConfigModel):
    """When a reward fails systematically: more than missing_share of its scores missing over the last `groups`
    groups (at least `at_least` of them). The job then pauses until the reward answers, for at most deadline_s, and
    fails with the reason. A reward that leaves many rollouts unscored by design takes missing_share 1, which never
    pauses."""

    missing_share: float = Field(0.5, gt=0, le=1)
    groups: int = Field(8, ge=1, le=64)
    at_least: PositiveInt = 2
    deadline_s: float = Field(600.0, gt=0)

    @model_validator(mode="after")
    def _reachable(self) -> PauseSection:
        if self.at_least > self.groups:
            raise ValueError(
                f"pause.at_least {self.at_least} is above pause.groups {self.groups}: it never pauses"
            )
        return self


class TlsConfig(ConfigModel):
    """Files in PEM to reach a remote reward server with: ca that signed it (None: the system's); cert and key
    where it demands client certificates."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


class RewardConfig(ConfigModel):
    """One reward. source: a built-in name, an entry point, "package.module:attribute", or
    "grpc://host:port/name" for a server that runs already ("grpc://h1:p1,h2:p2/name" for replicas of it);
    on_failure: what a missing score does to its rollout or group; gate: see GateConfig; shadow: scored and charted,
    but moves nothing until it is promoted; schedule: (step, factor) points that scale the weight, linear between
    them and constant outside; deadline_s: for one group's scores with all retries; attempt_s: for one try (None:
    what is left, half of it while another replica could follow); hedge: a second request to another replica where
    the first is slower than 95 % of recent ones ("same_server": to the same one where there is no other); breaker,
    pause: see there.

    Of a local server: restarts; processes that score; environment: folder of a virtual environment, or a
    requirements file to make one from, for dependencies that the job does not have. Of a remote one: tls;
    token_file or token_env, which name the place of its bearer token."""

    name: str
    source: str
    weight: float = 1.0
    on_failure: Literal["drop_rollout", "drop_group", "neutral", "fail_job"] = "drop_rollout"
    deadline_s: float = Field(30.0, gt=0)
    attempt_s: float | None = Field(None, gt=0)
    hedge: bool | Literal["same_server"] = False
    breaker: BreakerSection = BreakerSection()
    pause: PauseSection = PauseSection()
    restarts: NonNegativeInt = 20
    processes: PositiveInt = 1
    environment: Path | None = None
    tls: TlsConfig | None = None
    token_file: Path | None = None
    token_env: str | None = None
    gate: GateConfig | None = None
    shadow: bool = False
    schedule: tuple[tuple[int, float], ...] = ()
    args: dict[str, Any] = Field(default_factory=dict)

    @field_validator("schedule")
    @classmethod
    def _ascending(cls, points: tuple[tuple[int, float], ...]) -> tuple[tuple[int, float], ...]:
        steps = [step for step, _ in points]
        if any(b <= a for a, b in pairwise(steps)):
            raise ValueError(f"schedule: steps {steps} must ascend")
        return points

    @field_validator("source")
    @classmethod
    def _addressed(cls, source: str) -> str:
        if is_remote(source):
            RewardAddress.parse(source)
        return source

    @model_validator(mode="after")
    def _placed(self) -> RewardConfig:
        if redact(self.source) != self.source:
            raise ValueError(f"source of reward {self.name} holds a secret; name its file with token_file")
        refuse_secrets(self.args, f"reward {self.name}, args")
        remote: dict[str, object] = {name: getattr(self, name) for name in ("tls", "token_file", "token_env")}
        local: dict[str, object] = {name: getattr(self, name) for name in ("environment", "args")}
        local["processes"] = self.processes > 1
        if is_remote(self.source):
            wrong, fix = local, "configure them where that server is started"
        else:
            wrong, fix = remote, "the job's own servers listen on loopback for it alone; leave them out"
        given = [name for name, value in wrong.items() if value]
        if given:
            raise ValueError(f"reward {self.name} ({self.source}) takes no {', '.join(given)}: {fix}")
        if self.token_file and self.token_env:
            raise ValueError(f"reward {self.name}: give token_file or token_env, not both")
        return self
