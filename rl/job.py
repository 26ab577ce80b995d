"""The GRPO job, synchronous mode: choose, generate and score, learn, sync, record; again.

Role: owns the run directory and the order of things. Lifecycle: `async with GrpoJob(...) as job: await job.run()`.
Invariants: weights are pushed and verified before rollouts are asked for, on start and on resume too; a step is in
the ledger only after it was learned from; every dispatched group is in exactly one ledger part; what a step
does depends on configuration, step number and checkpointed state alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import ray

from curation.boltzmann import BoltzmannCurator, CuratorConfig, Draw, disagreement
from policy.completion import Completion, drive
from policy.config_file import config_digest, dump_config
from policy.engine import Sampling
from policy.expert_spec import ExpertSpec
from policy.spec import PolicySpec
from rl.checkpoint import latest_checkpoint, read_state, write_checkpoint
from rl.cluster import connect, start_learner, start_worker
from rl.config import JobConfig
from rl.generation import Generator
from rl.group_scoring import finish_group, make_rollouts, unscored, view
from rl.ledger import LedgerWriter
from rl.live_rewards import LiveRewards
from rl.metrics_log import MetricsLog
from rl.probe import make_probe
from rl.reward_health import RewardHealth, until_answering
from rl.reward_plan import ChangeKind
from rl.rollout import Fate, Group, Rollout
from rl.rollout_worker import Dispatch
from rl.rollups import step_metrics
from rl.run_directory import RunDirectory
from rl.run_registry import EventKind, Phase, RunRegistry
from rl.scalars import ScalarSinks
from rl.training_batch import make_batch
from rl.weight_sync import push_weights, verify
from scenes.store import ClipStore

Progress = Callable[[int, int, dict[str, float]], None]


def _silent(step: int, total: int, metrics: dict[str, float]) -> None:
    del step, total, metrics


def digest(config: JobConfig) -> str:
    """Identity of a job for resuming: everything but its length, its name and where it runs."""
    free = {"steps": 1, "checkpoint_every": 1, "ray_address": None, "name": "", "runs": Path()}
    return config_digest(config.model_copy(update=free))


class GrpoJob:
    """One run. store: clip store of the pool; resume: continue from the newest checkpoint."""

    def __init__(
        self, config: JobConfig, store: Path, *, resume: bool = False, progress: Progress | None = None
    ):
        self.config = config
        self._store_path = store
        self._store = ClipStore.open(store)
        self._run = RunDirectory.create(config.folder)
        self._checkpoint = latest_checkpoint(self._run.checkpoints) if resume else None
        self._state = read_state(self._checkpoint, digest(config)) if self._checkpoint else None
        self._resume = resume
        self._progress = progress or _silent
        spec = PolicySpec.load(config.policy)
        self._codec = spec.future_codec()
        if config.rollout.flow is not None:  # now, not in an actor whose error would arrive wrapped
            ExpertSpec.load(config.policy).check(config.rollout.flow)
        self._curator = BoltzmannCurator(
            self._store.ids, CuratorConfig(**config.curator.model_dump()), config.seed
        )
        self._health = RewardHealth()
        self._ledger = LedgerWriter(self._run.path)
        self._metrics = MetricsLog(self._run.path)
        self._registry = RunRegistry(self._run.path)
        self._rewards = LiveRewards(config.rewards, self._run.path, config.name)
        self._sinks = ScalarSinks(self._run.path)
        self._step = 0
        self._seconds: dict[str, float] = {}

    async def __aenter__(self) -> GrpoJob:
        await self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._rewards.close()
        self._sinks.close()
        ray.shutdown()

    async def _start(self) -> None:
        config = self.config
        self._run.config.write_text(dump_config(config))
        self._registry.set_state(
            Phase.STARTING, 0, config.steps, "starting Ray, engines, rewards and learner"
        )
        connect(config)
        learner = self._checkpoint / "learner" if self._checkpoint else None
        self._learner = start_learner(config, self._store_path, self._run.path / "scratch", learner)
        workers = [start_worker(config, self._store_path) for _ in range(config.rollout.actors)]
        if self._state is not None:
            self._rewards.load_state_dict(self._state["rewards"])
        await self._rewards.start()
        self._registry.set_fact("clip_stores", [str(self._store_path.resolve())])
        deadline = config.rollout.start_deadline_s
        await asyncio.to_thread(ray.get, [w.ready.remote() for w in workers], timeout=deadline)
        self._generator = Generator(workers, self._new_worker, config.rollout.deadline_s)
        self._probe = make_probe(self._store, config.policy)
        if self._state is not None:
            self._restore(self._state)
        elif self._resume:  # killed before its first checkpoint: begin anew, and keep what was written aside
            self._ledger.discard_after(0)
            self._metrics.discard_after(0)
        await self._sync()

    def _restore(self, state: dict[str, Any]) -> None:
        self._step = int(state["step"])
        self._curator.load_state_dict(state["curator"])
        self._health.load_state_dict(state["reward_health"])
        self._ledger.load_state_dict(state["ledger"])
        self._metrics.discard_after(self._step)

    def _new_worker(self, index: int) -> Any:
        del index
        worker = start_worker(self.config, self._store_path)
        ray.get(worker.ready.remote(), timeout=self.config.rollout.start_deadline_s)
        if self._step:
            push_weights([worker], self._learner.weights.remote(), self._step, self.config.learner.deadline_s)
        return worker

    async def run(self) -> None:
        """All remaining steps, then a last checkpoint and the trained policy folder."""
        config = self.config
        while self._step < config.steps:
            metrics = await self._one_step(self._step + 1)
            self._progress(self._step, config.steps, metrics)
            if self._step % config.checkpoint_every == 0 or self._step == config.steps:
                await asyncio.to_thread(self._save)
        policy = self._run.path / "policy"
        await asyncio.to_thread(ray.get, self._learner.save_policy.remote(policy.resolve()), timeout=300)
        self._registry.set_state(Phase.FINISHED, self._step, config.steps, "finished")

    async def _one_step(self, step: int) -> dict[str, float]:
        began = time.perf_counter()
        self._registry.set_state(
            Phase.TRAINING, step - 1, self.config.steps, f"step {step}: generating and scoring"
        )
        self._in_force = await self._rewards.advance(step)
        for change in self._rewards.changes:
            if change.kind in (ChangeKind.SWAP, ChangeKind.REMOVE):
                self._health.forget(change.name)
        draw = self._curator.choose(self.config.rollout.clips_per_step)
        groups = await self._answered(step, await self._rollouts(step, draw.clip_ids))
        for group in groups:
            if group.disagreement is not None:
                self._curator.observe(group.clip_id, group.disagreement)
        generated = time.perf_counter()
        self._registry.set_state(Phase.TRAINING, step - 1, self.config.steps, f"step {step}: learning")
        batch = make_batch(step, groups)
        deadline = self.config.learner.deadline_s
        learned = await asyncio.to_thread(ray.get, self._learner.train.remote(batch), timeout=deadline)
        trained = time.perf_counter()
        self._step = step
        probe = await self._sync()
        synced = time.perf_counter()
        self._ledger.append(step, groups, self._rewards.record())
        rollups = step_metrics(groups)
        metrics = {
            **learned,
            **self._curator.metrics(),
            **_uniform_reward(groups, draw),
            **self._rewards.fleet.metrics(),
            **self._generator.metrics(),
            **self._health.metrics(),
            "sampling/probe_difference": probe,
            "perf/rollout_s": generated - began,
            "perf/train_s": trained - generated,
            "perf/weight_sync_s": synced - trained,
            "perf/step_s": time.perf_counter() - began,
            "perf/generated_tokens": float(
                sum(len(r.completion.token_ids) for g in groups for r in g.rollouts)
            ),
        }
        self._metrics.append(step, metrics)
        self._sinks.write(step, {**rollups, **metrics})
        return {**rollups, **metrics}

    async def _rollouts(self, step: int, clip_ids: Sequence[str]) -> list[Group]:
        rollout = self.config.rollout
        sampling = Sampling(rollout.temperature, rollout.top_p, rollout.top_k)
        dispatches = [
            Dispatch(f"s{step:05d}-g{n:03d}", clip_id, rollout.group_size, self._seed(step, n), sampling)
            for n, clip_id in enumerate(clip_ids)
        ]
        done: dict[str, Group] = {}

        async def on_group(dispatch: Dispatch, completions: list[Completion]) -> None:
            done[dispatch.group_id] = await self._score(step, dispatch, completions)

        await self._generator.run(dispatches, on_group)
        return [done[dispatch.group_id] for dispatch in dispatches]

    async def _answered(self, step: int, groups: list[Group]) -> list[Group]:
        """The step's groups, once no reward that moves the policy fails systematically: the job pauses for one that
        does, and scores what it missed again. Raises RewardFailingError when it stays away."""
        for group in groups:
            names = [score.reward for score in group.rollouts[0].scores]
            self._health.observe({n: [r.scores[k] for r in group.rollouts] for k, n in enumerate(names)})
        failing = self._health.failing([reward for reward in self._in_force if reward.weight])
        if not failing:
            return groups
        told = "; ".join(map(str, failing))
        self._registry.set_state(Phase.PAUSED, step - 1, self.config.steps, told[:500])

        def say(text: str) -> None:
            self._registry.add_event(EventKind.WARNING, f"step {step}: {text}"[:2000])

        await until_answering(self._rewards.fleet, failing, self._in_force, say)
        names = [reward.name for reward in failing]
        for name in names:
            self._health.forget(name)
        lost = [
            any(score.value is None and score.reward in names for r in group.rollouts for score in r.scores)
            for group in groups
        ]
        again = [
            self._finish(step, unscored(g.rollouts)) for g, missed in zip(groups, lost, strict=True) if missed
        ]
        scored = iter(await asyncio.gather(*again))
        return [next(scored) if missed else group for group, missed in zip(groups, lost, strict=True)]

    async def _score(self, step: int, dispatch: Dispatch, completions: list[Completion]) -> Group:
        clip = self._store[self._store.index(dispatch.clip_id)]
        speed = float(clip.ego_history[-1, 3])
        trajectories = [drive(completion, self._codec, speed) for completion in completions]
        return await self._finish(
            step,
            make_rollouts(dispatch.group_id, dispatch.clip_id, dispatch.seed, completions, trajectories),
        )

    async def _finish(self, step: int, rollouts: tuple[Rollout, ...]) -> Group:
        clip = self._store[self._store.index(rollouts[0].clip_id)].without_cameras()
        scores = await self._rewards.fleet.score([view(rollout) for rollout in rollouts], clip)
        version = int(rollouts[0].completion.versions[0])
        group = finish_group(step, version, rollouts, scores, self._in_force, self.config.advantage)
        return _with_disagreement(group, self.config)

    def _seed(self, step: int, group: int) -> int:
        return int(np.random.SeedSequence([self.config.seed, step, group]).generate_state(1)[0] % 2**31)

    async def _sync(self) -> float:
        learner, workers, bound = self._learner, self._generator.workers, self.config.learner.logp_bound
        deadline = self.config.learner.deadline_s
        if self._step:
            weights = learner.weights.remote()
            await asyncio.to_thread(push_weights, workers, weights, self._step, deadline)
        expected = await asyncio.to_thread(
            ray.get, learner.score.remote(list(self._probe.clip_ids), list(self._probe.ids)), timeout=deadline
        )
        return await asyncio.to_thread(verify, workers, self._probe, expected, bound, deadline)

    def _save(self) -> None:
        def save_learner(folder: Path) -> None:
            ray.get(self._learner.save.remote(folder.resolve()), timeout=self.config.learner.deadline_s)

        state = {
            "version": self._step,
            "config_sha256": digest(self.config),
            "curator": self._curator.state_dict(),
            "rewards": self._rewards.state_dict(),
            "reward_health": self._health.state_dict(),
            "ledger": self._ledger.state_dict(),
        }
        write_checkpoint(self._run.checkpoints, self._step, state, save_learner)


def _uniform_reward(groups: Sequence[Group], draw: Draw) -> dict[str, float]:
    """Mean total over the clips that nobody chose; empty when none of them was scored."""
    totals = [
        rollout.total
        for group, uniform in zip(groups, draw.uniform, strict=True)
        for rollout in group.rollouts
        if uniform and rollout.total is not None
    ]
    return {"curator/reward_uniform": float(np.mean(totals))} if totals else {}


def _with_disagreement(group: Group, config: JobConfig) -> Group:
    kept = [r for r in group.rollouts if r.fate is Fate.TRAINED and r.total is not None]
    if group.fate is not Fate.TRAINED or len(kept) < 2:
        return group
    rewards = np.array([rollout.total for rollout in kept], float)
    likelihoods = np.array([r.completion.logprobs[r.completion.learned].mean() for r in kept], float)
    value = disagreement(rewards, likelihoods, config.curator.beta, config.curator.likelihood_beta)
    return replace(group, disagreement=value)
