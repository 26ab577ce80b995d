"""All rewards of a job: local servers under supervision, remote ones by address, one client each.

Role: `score` asks every reward for one group at once. Invariant: it returns one Score per rollout and reward
within each reward's deadline, whatever the servers do; a dead server is restarted meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from rewards.breaker import BreakerConfig
from rewards.client import RewardClient
from rewards.client_config import ClientConfig
from rewards.credentials import Tls
from rewards.description import Description
from rewards.environment import prepare
from rewards.hedging import HedgeConfig
from rewards.launch import LaunchConfig, SupervisedServer
from rewards.registry import RewardSource, is_remote
from rewards.score import RolloutView, Score
from rewards.server import ServerConfig
from rl.reward_config import RewardConfig, TlsConfig
from scenes.clip import Clip

# Shared by all runs, because making one takes minutes.
ENVIRONMENTS = Path("runs/.environments")


class RewardFleet:
    """Servers and clients of a job's rewards. Use inside one event loop: `start`, `score` …, `close`."""

    def __init__(self, rewards: Sequence[RewardConfig], directory: Path, job: str) -> None:
        self._rewards = tuple(rewards)
        self._directory = directory
        self._job = job
        self.servers: dict[str, SupervisedServer] = {}
        self._clients: dict[str, RewardClient] = {}
        self._missed: dict[str, tuple[tuple[RolloutView, ...], Clip]] = {}

    async def start(self, deadline_s: float = 60.0) -> dict[str, Description]:
        """Start what is local, wait for all. Raises LaunchError, TimeoutError or LookupError naming the reward,
        EnvironmentBuildError when its environment cannot be made."""
        for reward in self._rewards:
            server = None
            if not is_remote(reward.source):
                self.servers[reward.name] = server = self._launch(reward, reward.name)
            self._clients[reward.name] = self._client(reward, server)
        ready = await asyncio.gather(*(client.wait_ready(deadline_s) for client in self._clients.values()))
        return dict(zip(self._clients, ready, strict=True))

    def _launch(self, reward: RewardConfig, log_name: str) -> SupervisedServer:
        source = RewardSource(reward.source, reward.name, reward.args)
        config = LaunchConfig(
            ServerConfig((source,), workers=reward.processes),
            self._directory,
            name=log_name,
            restarts=reward.restarts,
            environment=prepare(reward.environment, ENVIRONMENTS) if reward.environment else None,
        )
        server = SupervisedServer(config)
        server.start()
        return server

    def _client(self, reward: RewardConfig, server: SupervisedServer | None) -> RewardClient:
        url = reward.source if server is None else server.url(reward.name)
        return RewardClient(client_config(reward, url, self._job), name=reward.name)

    async def put(self, reward: RewardConfig, log_name: str, deadline_s: float = 60.0) -> Description:
        """Serve one more reward, or another source under a name that is served; the old server stops once the new
        one answers. Raises LaunchError, TimeoutError or LookupError, and then nothing has changed."""
        server = None
        if not is_remote(reward.source):
            server = await asyncio.to_thread(self._launch, reward, log_name)
        client = self._client(reward, server)
        try:
            description = await client.wait_ready(deadline_s)
        except BaseException:
            await client.close()
            if server is not None:
                await asyncio.to_thread(server.stop)
            raise
        await self.drop(reward.name)
        self._clients[reward.name] = client
        if server is not None:
            self.servers[reward.name] = server
        return description

    async def drop(self, name: str) -> None:
        """Stop asking a reward; its local server stops. A name that is not served is left alone."""
        self._missed.pop(name, None)
        if (client := self._clients.pop(name, None)) is not None:
            await client.close()
        if (server := self.servers.pop(name, None)) is not None:
            await asyncio.to_thread(server.stop)

    async def score(self, rollouts: Sequence[RolloutView], clip: Clip) -> dict[str, list[Score]]:
        """Scores of one group by reward name, in rollout order."""
        clips = {clip.clip_id: clip}
        names = list(self._clients)
        columns = await asyncio.gather(*(self._clients[name].score(rollouts, clips) for name in names))
        scores = dict(zip(names, columns, strict=True))
        for name, column in scores.items():
            if any(score.value is None for score in column):
                self._missed[name] = tuple(rollouts), clip
        return scores

    async def ask_again(self, name: str, deadline_s: float) -> list[Score]:
        """Score once more the last group that a reward did not score in full: tells whether it answers again where
        a health check could only tell that its server runs. Empty when it never missed a score."""
        if name not in self._missed:
            return []
        rollouts, clip = self._missed[name]
        return await self._clients[name].score(rollouts, {clip.clip_id: clip}, deadline_s)

    def log_tail(self, name: str, lines: int = 5) -> str:
        """The last lines of a local reward server's log, and whether its supervisor gave up; empty for a remote
        one."""
        server = self.servers.get(name)
        if server is None:
            return ""
        return "\n".join(part for part in (server.failure, server.log_tail(lines)) if part)

    def metrics(self) -> dict[str, float]:
        """server/<name>/… and client counters."""
        found: dict[str, float] = {}
        for name, server in self.servers.items():
            found |= {f"server/{name}/{key}": value for key, value in server.metrics().items()}
        for name, client in self._clients.items():
            found |= {f"server/{name}/{key}": value for key, value in client.metrics().items()}
        return found

    async def close(self) -> None:
        """Close clients, stop local servers."""
        for client in self._clients.values():
            await client.close()
        for server in self.servers.values():
            server.stop()


def client_config(reward: RewardConfig, url: str, job: str) -> ClientConfig:
    """How the job talks to one reward."""
    hedge = HedgeConfig(same_server=reward.hedge == "same_server") if reward.hedge else None
    breaker = BreakerConfig(**reward.breaker.model_dump())
    return ClientConfig(
        url,
        deadline_s=reward.deadline_s,
        attempt_s=reward.attempt_s,
        breaker=breaker,
        hedge=hedge,
        tls=_tls(reward.tls),
        token_file=str(reward.token_file) if reward.token_file else None,
        token_env=reward.token_env,
        job=job,
    )


def _tls(config: TlsConfig | None) -> Tls | None:
    if config is None:
        return None
    files = {name: str(path) if path else None for name, path in config}
    return Tls(**files)
