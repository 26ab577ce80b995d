"""Figures of a policy on clips it never learned from.

Role: rolls a policy out at several decodings, scores it with the job's own reward servers, and keeps one number
per clip and metric, so that arms can be compared pairwise. Invariants: a missing score makes its clip missing
for that metric, never 0; arms are compared on the clips both have; temperature is part of a metric's name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from policy.completion import Completion, drive
from policy.engine import Sampling
from policy.spec import PolicySpec
from rewards.score import Score
from rl.config import JobConfig
from rl.generation import Generator
from rl.group_scoring import make_rollouts, view
from rl.reward_fleet import RewardFleet
from rl.rollout import Rollout
from rl.rollout_worker import Dispatch
from scenes.clip import Clip
from scenes.store import ClipStore

NAN = float("nan")


@dataclass(frozen=True)
class Decoding:
    """suffix: appended to metric names ("" for the run's temperature, "@greedy", "@t0.4")."""

    suffix: str
    sampling: Sampling
    samples: int


def decodings(config: JobConfig) -> list[Decoding]:
    """The run's temperature, the lower one, and greedy."""
    evaluation = config.evaluation
    low = evaluation.low_temperature
    return [
        Decoding("", Sampling(config.rollout.temperature), evaluation.samples),
        Decoding(f"@t{low:g}", Sampling(low), evaluation.low_samples),
        Decoding("@greedy", Sampling(0.0), 1),
    ]


def clip_figures(
    rollouts: Sequence[Rollout],
    scores: Mapping[str, Sequence[Score]],
    clip: Clip,
    weights: Mapping[str, float],
) -> dict[str, float]:
    """Metric → number of one clip, a mean over its rollouts (min_ade: a minimum); NaN where a score is missing."""

    def mean(values: Sequence[float | None]) -> float:
        return NAN if any(v is None for v in values) else float(np.mean([v for v in values if v is not None]))

    def component(reward: str, name: str) -> list[float | None]:
        # A valid completion that lacks the component was not measured; an invalid one has none by nature.
        found = [score.components.get(name) for score in scores.get(reward, ())]
        return [value for value, rollout in zip(found, rollouts, strict=True) if rollout.completion.valid]

    figures = {"validity": float(np.mean([rollout.completion.valid for rollout in rollouts]))}
    scored = [name for name in weights if name in scores]
    totals = [
        None
        if any(scores[name][i].value is None for name in scored)
        else sum(weights[name] * float(scores[name][i].value or 0.0) for name in scored)
        for i in range(len(rollouts))
    ]
    figures["reward"] = mean(totals)
    for name in scored:
        figures[name] = mean([score.value for score in scores[name]])
    if "trajectory" in scores and (ades := component("trajectory", "ade")):
        figures["ade"], figures["collision"] = mean(ades), mean(component("trajectory", "collision"))
        figures["min_ade"] = NAN if any(a is None for a in ades) else min(a for a in ades if a is not None)
    if "reasoning" in scores and clip.label is not None:
        for axis, decision in (("longitudinal", clip.label.longitudinal), ("lateral", clip.label.lateral)):
            right = component("reasoning", axis)
            if decision is not None and any(value is not None for value in right):
                figures[f"decision/{decision}"] = mean(right)
    return figures


class Evaluator:
    """Rolls out one store with running workers and reward servers."""

    def __init__(self, config: JobConfig, policy: Path, generator: Generator, fleet: RewardFleet) -> None:
        self._config = config
        self._codec = PolicySpec.load(policy).future_codec()
        self._generator, self._fleet = generator, fleet

    async def run(
        self,
        store_path: Path,
        decoding: Decoding,
        rewards: Sequence[str],
        on_clip: Callable[[], None] = lambda: None,
    ) -> dict[str, dict[str, float]]:
        """clip id → metric → number. rewards: names to score with. Seeds depend on the clip's place alone."""
        store = ClipStore.open(store_path)
        weights = {r.name: r.weight for r in self._config.rewards if r.name in rewards}
        for worker in self._generator.workers:
            await worker.use_store.remote(store_path.resolve())
        dispatches = [
            Dispatch(f"eval-{index:05d}", clip_id, decoding.samples, 1_000 * index, decoding.sampling)
            for index, clip_id in enumerate(store.ids)
        ]
        figures: dict[str, dict[str, float]] = {}
        limit = asyncio.Semaphore(64)

        async def on_group(dispatch: Dispatch, completions: list[Completion]) -> None:
            clip = store[store.index(dispatch.clip_id)].without_cameras()
            speed = float(clip.ego_history[-1, 3])
            trajectories = [drive(completion, self._codec, speed) for completion in completions]
            rollouts = make_rollouts(
                dispatch.group_id, dispatch.clip_id, dispatch.seed, completions, trajectories
            )
            async with limit:
                scores = await self._fleet.score([view(rollout) for rollout in rollouts], clip)
            figures[dispatch.clip_id] = clip_figures(
                rollouts, {name: scores[name] for name in rewards}, clip, weights
            )
            on_clip()

        await self._generator.run(dispatches, on_group)
        return {clip_id: figures[clip_id] for clip_id in store.ids}
