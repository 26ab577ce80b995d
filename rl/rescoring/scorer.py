"""Rewards of a plan inside one process: local ones called directly, remote ones over gRPC.

Role: `score` asks every reward of the plan that is scored anew for a batch that may span many groups.
Invariant: one Score a rollout and reward, in order; what fails is missing with its cause, never 0.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import groupby

from rewards.batch import Guard, score_batch
from rewards.client import RewardClient
from rewards.description import Mode, Need, describe
from rewards.registry import RewardSource, is_remote, resolve
from rewards.score import ClipView, Reward, RolloutView, Score
from rl.dashboard.clip_library import ClipLibrary
from rl.rescoring.plan import RescorePlan
from rl.reward_config import RewardConfig
from rl.reward_fleet import client_config
from scenes.clip import Clip

READY_S = 30.0
CLIPS_KEPT = 256

Ask = Callable[[Sequence[RolloutView], ClipView], list[Score]]


class Scorer:
    """Holds rewards, connections and the newest clips of one process; `close` it.

    Raises LookupError for a source that leads nowhere, TimeoutError for a server that does not answer within
    30 s."""

    def __init__(self, plan: RescorePlan) -> None:
        self._library = ClipLibrary(plan.clip_stores)
        self._clip = lru_cache(maxsize=CLIPS_KEPT)(self._load)
        self._images = False
        self._guard = Guard()
        self._runner = asyncio.Runner()
        self._clients: list[RewardClient] = []
        self.versions: dict[str, str] = {}
        rewards = [reward for reward in plan.rewards if reward.name in plan.asked]
        self._asks = {r.name: (self._remote(r) if is_remote(r.source) else self._local(r)) for r in rewards}

    def score(self, views: Sequence[RolloutView]) -> dict[str, list[Score]]:
        """Scores by reward. Raises LookupError when no clip store holds a rollout's clip."""
        if not self._asks:
            return {}
        clips = {clip_id: self._clip(clip_id) for clip_id in dict.fromkeys(v.clip_id for v in views)}
        return {
            name: [
                score if score.reward == name else replace(score, reward=name) for score in ask(views, clips)
            ]
            for name, ask in self._asks.items()
        }

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients:
            self._runner.run(client.close())
        self._runner.close()

    def _load(self, clip_id: str) -> Clip:
        clip = self._library.clip(clip_id)
        return clip if self._images else clip.without_cameras()

    def _local(self, config: RewardConfig) -> Ask:
        reward = _resolved(config)
        description = describe(reward)
        self.versions[config.name] = description.version
        self._images |= Need.IMAGES in description.needs

        def ask(views: Sequence[RolloutView], clips: ClipView) -> list[Score]:
            batches = _batches(views, description.mode, description.max_batch)
            return [
                s for batch in batches for s in score_batch(self._guard, reward, description, batch, clips)
            ]

        return ask

    def _remote(self, config: RewardConfig) -> Ask:
        async def connect() -> RewardClient:
            return RewardClient(client_config(config, config.source, "rescore"), config.name)

        client = self._runner.run(connect())
        self._clients.append(client)
        description = self._runner.run(client.wait_ready(READY_S))
        self.versions[config.name] = description.version
        self._images |= Need.IMAGES in description.needs

        async def score(batches: list[Sequence[RolloutView]], clips: ClipView) -> list[Score]:
            parts = await asyncio.gather(*(client.score(batch, clips) for batch in batches))
            return [score for part in parts for score in part]

        def ask(views: Sequence[RolloutView], clips: ClipView) -> list[Score]:
            batches = _batches(views, description.mode, description.max_batch)
            return self._runner.run(score(batches, clips))

        return ask


def _resolved(config: RewardConfig) -> Reward:
    try:
        return resolve(RewardSource(config.source, config.name, config.args))
    except (ImportError, AttributeError, TypeError) as error:
        raise LookupError(f"reward {config.name}: {config.source} cannot be used: {error}") from error


def _batches(views: Sequence[RolloutView], mode: Mode, most: int) -> list[Sequence[RolloutView]]:
    """A group a batch where siblings matter, else as many rollouts as the reward takes."""
    if mode is Mode.PER_GROUP:
        return [list(members) for _, members in groupby(views, key=lambda view: view.group_id)]
    return [views[first : first + most] for first in range(0, len(views), most)]
