"""What a rescoring changes: rewards scored anew, weights, and how they are combined.

Invariant: whatever is not asked for stays as the run's config.yaml says, gates and failure policies included;
a plan that could not score or combine anything is refused here, before a process starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from policy.config_file import ConfigError, load_config
from rl.advantages import Combine
from rl.config import AdvantageConfig, JobConfig
from rl.reward_config import RewardConfig
from rl.run_directory import RunDirectory
from rl.run_registry import RunRegistry


@dataclass(frozen=True)
class RescorePlan:
    """rewards: everything that is combined, in the run's order, new ones last; asked: names scored anew, the
    others keep the ledger's scores; weighted: names whose weight the caller set, the others take the weight in
    force at each group where the ledger records it; clip_stores: asked in order for a rollout's clip; top: worst
    disagreements kept of each kind; batch: rollouts that a process takes at once, about."""

    rewards: tuple[RewardConfig, ...]
    asked: tuple[str, ...]
    advantage: AdvantageConfig
    clip_stores: tuple[Path, ...]
    weighted: frozenset[str] = frozenset()
    top: int = 20
    batch: int = 1024

    @property
    def weights(self) -> dict[str, float]:
        """Weight by reward, as configured or as the caller set it."""
        return {reward.name: reward.weight for reward in self.rewards}

    def in_force(
        self, order: Sequence[str], logged: Mapping[str, float], recorded: Sequence[RewardConfig] = ()
    ) -> tuple[RewardConfig, ...]:
        """The rewards that a group is combined with. order: rewards as the job asked them; logged: weights that
        it combined them with, empty where the ledger has none; recorded: the rewards as the ledger says they were
        in force, gates, shadows and live changes included, empty where it does not."""
        if recorded:
            mine = {reward.name: reward for reward in self.rewards}
            told = [mine[r.name] if r.name in self.weighted else _offline(r) for r in recorded]
            served = {reward.name for reward in told}
            return (*told, *(reward for reward in self.rewards if reward.name not in served))
        if not logged:
            return self.rewards
        known = {reward.name: reward for reward in self.rewards}
        names = dict.fromkeys((*order, *known))
        return tuple(self._as_logged(known.get(name), name, logged.get(name, 0.0)) for name in names)

    def _as_logged(self, reward: RewardConfig | None, name: str, weight: float) -> RewardConfig:
        if reward is None:  # joined while the run lived
            return RewardConfig(name=name, source="ledger", weight=weight)
        if name in self.weighted:
            return reward
        # A weight that was taken away made a shadow of it, whose failures drop nothing.
        policy = reward.on_failure if weight or not reward.weight else "drop_rollout"
        return reward.model_copy(update={"weight": weight, "on_failure": policy})


@dataclass(frozen=True)
class Changes:
    """What the caller asks. rewards: "name=source", or "name" for the source that the run had; options: by
    reward, arguments of its class or factory; weights: by reward; combine: None keeps the run's."""

    rewards: Sequence[str] = ()
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    combine: Combine | None = None
    clip_stores: Sequence[Path] = ()


def make_plan(run_dir: Path | str, changes: Changes, top: int = 20) -> RescorePlan:
    """Apply changes to what a run did. Raises FileNotFoundError for a folder that is no run, ConfigError for
    a run without a readable config.yaml, LookupError for an unknown name, ValueError for weights of nothing.
    """
    run = RunDirectory.existing(run_dir)
    config = load_config(JobConfig, run.config)
    rewards = {reward.name: _offline(reward) for reward in config.rewards}
    asked = []
    for text in changes.rewards:
        name, given, source = text.partition("=")
        rewards[name] = _asked(rewards.get(name), name, source if given else None, list(rewards))
        asked.append(name)
    for name, options in changes.options.items():
        if name not in asked:
            raise LookupError(f"options are for rewards scored anew, add --reward {name}")
        rewards[name] = rewards[name].model_copy(update={"args": {**rewards[name].args, **options}})
    for name, weight in changes.weights.items():
        if name not in rewards:
            raise LookupError(f"weight of {name!r}: {_nearest(name, list(rewards))}")
        rewards[name] = rewards[name].model_copy(update={"weight": weight})
    if not any(reward.weight for reward in rewards.values()):
        raise ValueError("every weight is 0, so nothing is optimised; give one with --weights name=1")
    advantage = config.advantage
    if changes.combine is not None:
        advantage = advantage.model_copy(update={"combine": changes.combine})
    stores = (*changes.clip_stores, *clip_stores(run))
    if asked and not stores:
        raise LookupError(f"{run.path} names no clip store to score on; give one with --clips")
    weighted = frozenset(changes.weights)
    return RescorePlan(tuple(rewards.values()), tuple(asked), advantage, tuple(stores), weighted, top)


def clip_stores(run: RunDirectory) -> list[Path]:
    """Clip stores that a run registered; none when it registered nothing."""
    if not run.registry.is_file():
        return []
    return [Path(store) for store in RunRegistry(run.path, read_only=True).facts().get("clip_stores", [])]


def parse_weights(text: str | None) -> dict[str, float]:
    """{"a": 1.0} of "a=1,b=0.5". Raises ValueError naming the piece that does not fit."""
    weights: dict[str, float] = {}
    for piece in filter(None, (part.strip() for part in (text or "").split(","))):
        name, equals, number = piece.partition("=")
        try:
            weights[name.strip()] = float(number)
        except ValueError as error:
            raise ValueError(f"weight {piece!r} is not name=number") from error
        if not equals or not name.strip():
            raise ValueError(f"weight {piece!r} is not name=number")
    return weights


def parse_steps(text: str | None) -> tuple[int, int | None]:
    """(first, last) inclusive of "a:b", "a:", ":b" or "a"; (1, None) of nothing. Raises ValueError."""
    if text is None:
        return 1, None
    first, colon, last = text.partition(":")
    try:
        low = int(first) if first else 1
        high = (int(last) if last else None) if colon else low
    except ValueError as error:
        raise ValueError(f"steps {text!r} are not first:last, such as 10:20, 10: or :20") from error
    if high is not None and high < low:
        raise ValueError(f"steps {text!r} end before they begin")
    return low, high


def _offline(reward: RewardConfig) -> RewardConfig:
    # Nothing is left to stop once the run is over: a gap drops its rollout and is counted.
    stops = reward.on_failure == "fail_job"
    return reward.model_copy(update={"on_failure": "drop_rollout"}) if stops else reward


def _asked(known: RewardConfig | None, name: str, source: str | None, names: list[str]) -> RewardConfig:
    if not name or source == "":
        raise ConfigError(f"reward {name + '=' + (source or '')!r} is not name=source or name")
    if known is None:
        if source is None:
            raise LookupError(f"reward {name!r}: {_nearest(name, names)}, or give name=source")
        return RewardConfig(name=name, source=source, weight=0.0)
    if source is None or source == known.source:
        return known
    return known.model_copy(update={"source": source, "args": {}})


def _nearest(name: str, names: list[str]) -> str:
    near = get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"the run has {', '.join(sorted(names))}"
