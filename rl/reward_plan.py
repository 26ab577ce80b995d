"""The rewards in force, and how they change while a run lives.

Role: the configured rewards plus every change that was applied since, as one value that a checkpoint carries.
Invariants: a change gives a new plan or an error and never half of one; the same configuration and the same changes
at the same steps give the same weights; a shadow is scored and charted but moves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter, ValidationError

from rl.reward_config import RewardConfig

_REWARDS = TypeAdapter(tuple[RewardConfig, ...])


class ChangeKind(StrEnum):
    """What a change does: `set` a weight, `promote` a shadow, `swap` a reward's source, `add` one as a shadow,
    `remove` one."""

    SET = "set"
    PROMOTE = "promote"
    SWAP = "swap"
    ADD = "add"
    REMOVE = "remove"


class ChangeRefusedError(ValueError):
    """The change does not fit the rewards in force; the text says why and what would."""


@dataclass(frozen=True)
class RewardChange:
    """One change. value: the weight of `set` (a number), the source of `swap` and `add`; weight: what an added
    shadow weighs once it is promoted; args: of its class or factory."""

    kind: ChangeKind
    name: str
    value: float | str | None = None
    weight: float = 1.0
    args: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """For the request table and the ledger."""
        row: dict[str, Any] = {"kind": self.kind.value, "name": self.name, "value": self.value}
        if self.kind is ChangeKind.ADD:
            row |= {"weight": self.weight, "args": dict(self.args)}
        return row

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> RewardChange:
        """Inverse of `to_json`."""
        return cls(**{**row, "kind": ChangeKind(row["kind"])})

    def __str__(self) -> str:
        shown = "" if self.value is None else f"={self.value}"
        return f"{self.kind} {self.name}{shown}"


@dataclass(frozen=True)
class RewardPlan:
    """rewards: as configured, changes applied; revision: how many changes that were."""

    rewards: tuple[RewardConfig, ...]
    revision: int = 0

    def __getitem__(self, name: str) -> RewardConfig:
        for reward in self.rewards:
            if reward.name == name:
                return reward
        names = ", ".join(reward.name for reward in self.rewards)
        raise ChangeRefusedError(f"no reward is called {name!r}; the run has {names}")

    def at(self, step: int) -> tuple[RewardConfig, ...]:
        """The rewards as a step combines them: weight scaled by the schedule, 0 for a shadow, whose failures then
        drop nothing and stop nothing."""
        return tuple(_in_force(reward, step) for reward in self.rewards)

    def weights(self, step: int) -> dict[str, float]:
        """Reward name → weight in force at a step."""
        return {reward.name: reward.weight for reward in self.at(step)}

    def apply(self, change: RewardChange) -> RewardPlan:
        """The plan after a change. Raises ChangeRefusedError when it does not fit."""
        rewards = _APPLY[change.kind](self, change)
        if not any(reward.weight and not reward.shadow for reward in rewards):
            raise ChangeRefusedError(
                f"{change}: no reward with a weight would be left; nothing could be learned"
            )
        gates = {reward.gate.reward: reward.name for reward in rewards if reward.gate}
        if lost := set(gates) - {reward.name for reward in rewards}:
            name = lost.pop()
            raise ChangeRefusedError(f"{change}: {gates[name]} is gated by {name}, which would be gone")
        return RewardPlan(rewards, self.revision + 1)

    def state_dict(self) -> dict[str, Any]:
        """Everything a resumed job needs to combine as this one did."""
        return {"rewards": [r.model_dump(mode="json") for r in self.rewards], "revision": self.revision}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> RewardPlan:
        """Inverse of `state_dict`."""
        return cls(_REWARDS.validate_python(state["rewards"]), int(state["revision"]))

    def _with(self, name: str, **fields: Any) -> tuple[RewardConfig, ...]:
        chosen = self[name]
        changed = _REWARDS.validate_python(({**chosen.model_dump(), **fields},))[0]
        return tuple(changed if reward is chosen else reward for reward in self.rewards)


def _in_force(reward: RewardConfig, step: int) -> RewardConfig:
    if reward.shadow:
        return reward.model_copy(update={"weight": 0.0, "on_failure": "drop_rollout"})
    if not reward.schedule:
        return reward
    return reward.model_copy(update={"weight": reward.weight * scheduled(reward.schedule, step)})


def scheduled(points: tuple[tuple[int, float], ...], step: int) -> float:
    """Factor at a step: linear between (step, factor) points, constant outside them."""
    before, *rest = points
    if step <= before[0]:
        return before[1]
    for after in rest:
        if step <= after[0]:
            share = (step - before[0]) / (after[0] - before[0])
            return before[1] + share * (after[1] - before[1])
        before = after
    return before[1]


def _set(plan: RewardPlan, change: RewardChange) -> tuple[RewardConfig, ...]:
    if not isinstance(change.value, int | float):
        raise ChangeRefusedError(f"{change}: a weight is a number, as in {change.name}=0.5")
    try:
        return plan._with(change.name, weight=float(change.value))
    except ValidationError as error:
        raise ChangeRefusedError(f"{change}: {error.errors()[0]['msg']}") from error


def _promote(plan: RewardPlan, change: RewardChange) -> tuple[RewardConfig, ...]:
    reward = plan[change.name]
    if not reward.shadow:
        raise ChangeRefusedError(f"{reward.name} is no shadow: its weight is {reward.weight:g} already")
    if not reward.weight:
        raise ChangeRefusedError(
            f"{reward.name} has weight 0; give it one first: ar1 reward set RUN {reward.name}=1"
        )
    return plan._with(change.name, shadow=False)


def _swap(plan: RewardPlan, change: RewardChange) -> tuple[RewardConfig, ...]:
    plan[change.name]
    return plan._with(change.name, source=str(change.value))


def _add(plan: RewardPlan, change: RewardChange) -> tuple[RewardConfig, ...]:
    if change.name in {reward.name for reward in plan.rewards}:
        raise ChangeRefusedError(
            f"there is a reward {change.name!r}; use `ar1 reward swap` to replace its source"
        )
    added = RewardConfig(
        name=change.name, source=str(change.value), weight=change.weight, shadow=True, args=dict(change.args)
    )
    return (*plan.rewards, added)


def _remove(plan: RewardPlan, change: RewardChange) -> tuple[RewardConfig, ...]:
    gone = plan[change.name]
    return tuple(reward for reward in plan.rewards if reward is not gone)


_APPLY = {
    ChangeKind.SET: _set,
    ChangeKind.PROMOTE: _promote,
    ChangeKind.SWAP: _swap,
    ChangeKind.ADD: _add,
    ChangeKind.REMOVE: _remove,
}
