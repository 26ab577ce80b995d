"""A run whose scores and advantages are real: rule rewards over example clips, combined as a job combines them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from example_run import make_group

from policy.config_file import dump_config
from rewards.registry import RewardSource, resolve
from rewards.score import Score, Status
from rl.config import AdvantageConfig, JobConfig
from rl.group_scoring import finish_group, view
from rl.ledger import LedgerWriter
from rl.reward_config import GateConfig, RewardConfig
from rl.rollout import Fate, Group
from rl.run_directory import RunDirectory
from rl.run_registry import RunRegistry
from scenes.clip import Clip

REWARDS = (
    RewardConfig(name="trajectory", source="trajectory", weight=1.0, args={"jerk": 0.1}),
    RewardConfig(
        name="consistency",
        source="consistency",
        weight=0.7,
        gate=GateConfig(reward="trajectory", at_least=-1.2),
    ),
    RewardConfig(name="reasoning", source="reasoning", weight=0.3, on_failure="neutral"),
)
CONFIG = JobConfig(name="scored", rewards=REWARDS)


def scored_groups(
    step: int, clips: Sequence[Clip], groups: int, size: int, advantage: AdvantageConfig
) -> list[Group]:
    """The groups of a step as a job ends them. The reasoning of every fifth rollout is missing, and in every
    fourth group the trajectory of one."""
    rewards = {r.name: resolve(RewardSource(r.source, r.name, r.args)) for r in REWARDS}
    found = []
    for number in range(groups):
        clip = clips[(step * groups + number) % len(clips)]
        bare = [
            replace(r, scores=(), total=None, advantage=None, shares={}, fate=Fate.TRAINED, fate_reason=None)
            for r in make_group(step, number, clip, size, progress=0.2 + 0.1 * (step % 6)).rollouts
        ]
        views = [view(rollout) for rollout in bare]
        scores = {name: reward.score(views, {clip.clip_id: clip}) for name, reward in rewards.items()}
        for lost in range(number % 5, size, 5):
            scores["reasoning"][lost] = Score("reasoning", None, Status.DEADLINE, explanation="no answer")
        if number % 4 == 3:
            scores["trajectory"][1] = Score("trajectory", None, Status.REWARD_BUG, explanation="boom")
        found.append(finish_group(step, step - 1, bare, scores, REWARDS, advantage))
    return found


def write_scored_run(
    path: Path,
    clips: Sequence[Clip],
    store: Path | None,
    steps: int = 3,
    groups: int = 6,
    size: int = 8,
    config: JobConfig = CONFIG,
) -> RunDirectory:
    """A run folder with config, registry and ledger."""
    run = RunDirectory.create(path)
    run.config.write_text(dump_config(config))
    RunRegistry(run.path).set_fact("clip_stores", [] if store is None else [str(store)])
    writer = LedgerWriter(run.path)
    for step in range(1, steps + 1):
        writer.append(step, scored_groups(step, clips, groups, size, config.advantage))
    return run
