"""All rewards of a job: local servers under supervision, remote ones by address, one client each.

Role: `score` asks every reward for one group at once. Invariant: it returns one Score per rollout and reward
within each reward's deadline, whatever the servers do; a dead server is restarted meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from rewards.client import ClientConfig, RewardClient
from rewards.credentials import Tls
from rewards.description import Description
from rewards.environment import prepare
from rewards.launch import LaunchConfig, SupervisedServer
from rewards.registry import RewardSource, is_remote
from rewards.score import RolloutView, Score
from rewards.server import ServerConfig
from rl.config import RewardConfig, TlsConfig
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

    async def start(self, deadline_s: float = 60.0) -> dict[str, Description]:
        """Start what is local, wait for all. Raises LaunchError, TimeoutError or LookupError naming the reward,
        EnvironmentBuildError when its environment cannot be made."""
        for reward in self._rewards:
            url = reward.source if is_remote(reward.source) else self._launch(reward)
            config = ClientConfig(
                url,
                deadline_s=reward.deadline_s,
                tls=_tls(reward.tls),
                token_file=str(reward.token_file) if reward.token_file else None,
                token_env=reward.token_env,
                job=self._job,
            )
            self._clients[reward.name] = RewardClient(config, name=reward.name)
        ready = await asyncio.gather(*(client.wait_ready(deadline_s) for client in self._clients.values()))
        return dict(zip(self._clients, ready, strict=True))

    def _launch(self, reward: RewardConfig) -> str:
        source = RewardSource(reward.source, reward.name, reward.args)
        config = LaunchConfig(
            ServerConfig((source,), workers=reward.processes),
            self._directory,
            name=reward.name,
            restarts=reward.restarts,
            environment=prepare(reward.environment, ENVIRONMENTS) if reward.environment else None,
        )
        server = SupervisedServer(config)
        server.start()
        self.servers[reward.name] = server
        return server.url(reward.name)

    async def score(self, rollouts: Sequence[RolloutView], clip: Clip) -> dict[str, list[Score]]:
        """Scores of one group by reward name, in rollout order."""
        clips = {clip.clip_id: clip}
        names = list(self._clients)
        columns = await asyncio.gather(*(self._clients[name].score(rollouts, clips) for name in names))
        return dict(zip(names, columns, strict=True))

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


def _tls(config: TlsConfig | None) -> Tls | None:
    if config is None:
        return None
    files = {name: str(path) if path else None for name, path in config}
    return Tls(**files)
