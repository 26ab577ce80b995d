"""Preflight: does what samples agree with what learns, and does every reward answer?

Role: the checks a job stands on, run before step 1 by `ar1 doctor`. Invariant: every finding is a measured
number against a stated bound; nothing is assumed from configuration.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch

from policy.completion import Completion
from policy.engine import Sampling
from policy.grammar import Phase
from policy.likelihood import masked_log_probs
from rl.cluster import connect, start_worker
from rl.config import JobConfig
from rl.learner_batch import BatchMaker
from rl.reward_fleet import RewardFleet
from rl.rollout_worker import Dispatch
from scenes.store import ClipStore

CLIPS, SAMPLES = 8, 4


@dataclass(frozen=True)
class Finding:
    """One check. value and bound: the number and what it must not exceed (None where it is yes or no)."""

    name: str
    ok: bool
    value: float | None
    bound: float | None
    detail: str


def logprob_findings(
    completions: Sequence[Completion], learner: Sequence[np.ndarray], bound: float
) -> list[Finding]:
    """Largest sampler-learner difference per section, over all positions of all completions."""
    worst: dict[str, float] = {"text": 0.0, "trajectory": 0.0, "forced": 0.0}
    names = {Phase.TEXT: "text", Phase.TRAJECTORY: "trajectory", Phase.FORCED: "forced"}
    for completion, (phases, logps) in zip(completions, learner, strict=True):
        for phase, name in names.items():
            chosen = phases == phase
            if chosen.any():
                gap = float(np.abs(logps[chosen] - completion.logprobs[chosen]).max())
                worst[name] = max(worst[name], gap)
    tokens = sum(len(completion.token_ids) for completion in completions)
    return [
        Finding(f"log-probabilities, {name}", gap <= bound, gap, bound, f"largest of {tokens} tokens, nats")
        for name, gap in worst.items()
    ]


async def examine(config: JobConfig, store_path: Path) -> list[Finding]:
    """All findings for a job's policy, engine and rewards."""
    connect(config)
    worker = start_worker(config, store_path)
    await asyncio.to_thread(ray.get, worker.ready.remote(), timeout=config.rollout.start_deadline_s)
    store = ClipStore.open(store_path)
    maker = BatchMaker(config.policy, store, config.seed)
    findings = [await asyncio.to_thread(_prompts_agree, worker, maker, store)]
    sampling = Sampling(config.rollout.temperature)
    dispatches = [Dispatch(f"doctor-{i}", store.ids[i], SAMPLES, 100 * i, sampling) for i in range(CLIPS)]
    groups: dict[str, list[Completion]] = {}
    async for reference in worker.generate.options(num_returns="streaming").remote(dispatches):
        group_id, completions = await reference
        groups[group_id] = completions
    flat = [completion for dispatch in dispatches for completion in groups[dispatch.group_id]]
    invalid = [completion.reason for completion in flat if not completion.valid]
    findings.append(
        Finding("grammar", not invalid, float(len(invalid)), 0.0, f"invalid of {len(flat)}: {invalid[:1]}")
    )
    clip_ids = [d.clip_id for d in dispatches for _ in range(SAMPLES)]
    learner = await asyncio.to_thread(learner_log_probs, config, maker, clip_ids, flat)
    findings += logprob_findings(flat, learner, config.learner.logp_bound)
    metrics = await worker.metrics.remote()
    hits = metrics.get("prefix_cache_hits", 0.0)
    findings.append(Finding("prefix cache", hits > 0, hits, None, "prompt tokens served from cache"))
    ray.kill(worker)
    return findings + await _rewards_answer(config)


def _prompts_agree(worker: Any, maker: BatchMaker, store: ClipStore) -> Finding:
    differing = 0
    for index in range(CLIPS):
        served = ray.get(worker.prompt_ids.remote(store.ids[index]), timeout=120)
        differing += served != maker.prompt(store.ids[index]).ids.tolist()
    return Finding("prompts token-identical", not differing, float(differing), 0.0, f"differing of {CLIPS}")


@torch.no_grad()
def learner_log_probs(
    config: JobConfig, maker: BatchMaker, clip_ids: list[str], completions: Sequence[Completion]
) -> list[Any]:
    """(phases, log-probabilities) [L] of each completion by the learner's own forward pass."""
    from policy.backbone import load_backbone

    model = load_backbone(config.policy).eval()
    inputs, mask = maker.model_inputs(clip_ids, [completion.token_ids for completion in completions])
    phases = np.full(tuple(mask.shape), Phase.FORCED, np.int8)
    for index, completion in enumerate(completions):
        phases[index, : len(completion.token_ids)] = maker.grammar.phases(completion.token_ids)
    temperature = config.rollout.temperature
    logps, _ = masked_log_probs(model, inputs, torch.from_numpy(phases), maker.grammar, temperature)
    lengths = [len(completion.token_ids) for completion in completions]
    return [(phases[i, :n], logps[i, :n].numpy()) for i, n in enumerate(lengths)]


async def _rewards_answer(config: JobConfig) -> list[Finding]:
    fleet = RewardFleet(config.rewards, config.folder / "logs", config.name)
    try:
        described = await fleet.start()
        return [
            Finding(
                f"reward {name}", True, None, None, f"answers; version {d.version}, {d.low:g} to {d.high:g}"
            )
            for name, d in described.items()
        ]
    except (TimeoutError, LookupError, RuntimeError) as error:
        return [Finding("rewards", False, None, None, str(error))]
    finally:
        await fleet.close()
