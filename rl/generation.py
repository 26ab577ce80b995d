"""Groups from the workers, handed on as each finishes.

Role: spreads dispatches over the rollout workers and streams finished groups to a callback, so that scoring
overlaps generation. Invariants: the split depends on dispatch order alone (a resumed job repeats it); every
dispatched group is handed on exactly once; a dead worker is replaced and its unfinished groups are dispatched
again with the same seeds, at most `RETRIES` times.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError

from policy.completion import Completion
from rl.rollout_worker import Dispatch

RETRIES = 2
OnGroup = Callable[[Dispatch, list[Completion]], Coroutine[Any, Any, None]]
Replace = Callable[[int], Any]


class GenerationError(RuntimeError):
    """Workers kept dying, or did not finish in time."""


class Generator:
    """Drives a fixed set of workers. replace(index) makes a ready worker with current weights."""

    def __init__(self, workers: Sequence[Any], replace: Replace, deadline_s: float) -> None:
        self.workers = list(workers)
        self._replace = replace
        self._deadline_s = deadline_s
        self._replaced = 0

    async def run(self, dispatches: Sequence[Dispatch], on_group: OnGroup) -> None:
        """Generate all groups. Raises GenerationError, or what `on_group` raised."""
        parts = [list(dispatches[index :: len(self.workers)]) for index in range(len(self.workers))]
        try:
            async with asyncio.timeout(self._deadline_s), asyncio.TaskGroup() as tasks:
                for index, part in enumerate(parts):
                    if part:
                        tasks.create_task(self._one(index, part, on_group, tasks))
        except TimeoutError as error:
            raise GenerationError(
                f"{len(dispatches)} groups were not generated and scored in {self._deadline_s} s; "
                "raise rollout.deadline_s or look for a stuck worker or reward in the run's logs"
            ) from error

    async def _one(
        self, index: int, part: list[Dispatch], on_group: OnGroup, tasks: asyncio.TaskGroup
    ) -> None:
        waiting = {dispatch.group_id: dispatch for dispatch in part}
        for attempt in range(RETRIES + 1):
            try:
                stream = (
                    self.workers[index]
                    .generate.options(num_returns="streaming")
                    .remote(list(waiting.values()))
                )
                async for reference in stream:
                    group_id, completions = await reference
                    tasks.create_task(on_group(waiting.pop(group_id), completions))
                if not waiting:
                    return
                raise GenerationError(f"worker {index} ended without {sorted(waiting)}")
            except (RayActorError, RayTaskError) as error:
                if attempt == RETRIES:
                    raise GenerationError(f"worker {index} failed {attempt + 1} times: {error}") from error
                self._replaced += 1
                ray.kill(self.workers[index])
                self.workers[index] = await asyncio.to_thread(self._replace, index)

    def metrics(self) -> dict[str, float]:
        """Workers replaced so far."""
        return {"rollout/workers_replaced": float(self._replaced)}
