"""Rewards that can be changed while the job runs.

Role: applies requests (`ar1 reward set|promote|swap|add|remove`) between two steps, to the servers and to the
plan that totals are combined by. Invariants: a change that cannot be carried out (a server that does not start,
an unknown name) is refused with its reason and leaves everything as it was; a step is combined by one plan; the
plan is part of the checkpoint, and a resumed job applies later changes again at the steps where they counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rewards.launch import LaunchError
from rl.reward_config import RewardConfig
from rl.reward_fleet import RewardFleet
from rl.reward_plan import ChangeKind, ChangeRefusedError, RewardChange, RewardPlan
from rl.reward_requests import RewardRequest, RewardRequests
from rl.run_registry import EventKind, RunRegistry

NEEDS_SERVER = (ChangeKind.SWAP, ChangeKind.ADD)


class LiveRewards:
    """The fleet and the plan of one job. Lifecycle: `start` → `advance(step)` before each step → `close`."""

    def __init__(self, rewards: Sequence[RewardConfig], run_dir: Path, job: str) -> None:
        self.plan = RewardPlan(tuple(rewards))
        self._run_dir, self._job = run_dir, job
        self._registry = RunRegistry(run_dir)
        self._requests = RewardRequests(run_dir)
        self.fleet = self._new_fleet()
        self.changes: tuple[RewardChange, ...] = ()

    def _new_fleet(self) -> RewardFleet:
        return RewardFleet(self.plan.rewards, self._run_dir / "logs", self._job)

    async def start(self) -> None:
        """Serve the plan's rewards and wait for all; see RewardFleet.start."""
        descriptions = await self.fleet.start()
        self._registry.set_fact("rewards", {name: d.version for name, d in descriptions.items()})

    async def advance(self, step: int) -> tuple[RewardConfig, ...]:
        """Apply what was asked since; returns the rewards in force at `step`."""
        changes = []
        for request in self._requests.due(step):
            if await self._apply(request, step):
                changes.append(request.change)
        self.changes = tuple(changes)
        self._registry.set_fact("reward_weights", self.plan.weights(step))
        self._registry.set_fact("shadows", [r.name for r in self.plan.rewards if r.shadow])
        return self.plan.at(step)

    async def _apply(self, request: RewardRequest, step: int) -> bool:
        change = request.change
        try:
            plan = self.plan.apply(change)
            if change.kind in NEEDS_SERVER:
                described = await self.fleet.put(plan[change.name], f"{change.name}-{plan.revision}")
                versions = self._registry.facts().get("rewards", {})
                self._registry.set_fact("rewards", {**versions, change.name: described.version})
            elif change.kind is ChangeKind.REMOVE:
                await self.fleet.drop(change.name)
        except (ChangeRefusedError, LaunchError, TimeoutError, LookupError, ValueError) as error:
            self._requests.refuse(request, str(error))
            self._registry.add_event(EventKind.WARNING, f"step {step}: refused {change}: {error}"[:2000])
            return False
        self.plan = plan
        self._requests.applied(request, step)
        self._registry.add_event(EventKind.INFO, f"step {step}: {change}")
        return True

    def record(self) -> dict[str, Any]:
        """What the ledger keeps beside a step: the rewards in force and what was changed for it."""
        return {**self.plan.state_dict(), "changes": [change.to_json() for change in self.changes]}

    def state_dict(self) -> dict[str, Any]:
        """The plan, for the checkpoint."""
        return self.plan.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the plan; call before `start`."""
        self.plan = RewardPlan.from_state_dict(state)
        self.fleet = self._new_fleet()

    async def close(self) -> None:
        """Stop every server and client that was started."""
        await self.fleet.close()
