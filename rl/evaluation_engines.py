"""Engines of an evaluation: started once, then given each policy's weights.

Role: an engine takes longer to start than to change its weights, and the arms of a comparison are usually one
architecture. Invariants: an engine serves exactly the policy that was asked for last; a policy of another shape,
vocabulary or prompt gets engines of its own.
"""

from __future__ import annotations

import filecmp
from pathlib import Path
from typing import Any

import ray
from safetensors.numpy import load_file

from policy.expert_spec import EXPERT_FILE, EXPERT_FOLDER, EXPERT_WEIGHTS
from policy.spec import SPEC_FILE
from rl.cluster import connect, start_worker
from rl.config import JobConfig
from rl.generation import Generator
from rl.weight_sync import push_weights

SHAPE_FILES = ("config.json", SPEC_FILE)
WEIGHTS_FILE = "model.safetensors"
NO_DEADLINE_S = 3600.0


class EvaluationEngines:
    """Rollout workers of one evaluation. store: any clip store they may open first."""

    def __init__(self, config: JobConfig, store: Path) -> None:
        self._config, self._store = config, store
        self._started: Path | None = None
        self._served: Path | None = None
        self._version = 0
        self._generator: Generator | None = None

    def serve(self, policy: Path) -> Generator:
        """A generator whose workers serve this policy. Raises Ray's GetTimeoutError past the start deadline."""
        if self._generator is None or self._started is None or not self._fits(self._started, policy):
            self.close()
            self._start(policy)
        elif policy != self._served:
            self._version += 1
            self._push(self._generator.workers, policy)
        self._served = policy
        assert self._generator is not None
        return self._generator

    def _fits(self, started: Path, policy: Path) -> bool:
        # Only the backbone's weights are pushed, so engines that an expert drives are of one expert.
        flow = self._config.rollout.flow
        return same_shape(started, policy) and (flow is None or same_expert(started, policy))

    def _start(self, policy: Path) -> None:
        connect(self._config)
        workers = [
            start_worker(self._config, self._store, policy) for _ in range(self._config.rollout.actors)
        ]
        ray.get([worker.ready.remote() for worker in workers], timeout=self._config.rollout.start_deadline_s)
        self._started, self._version = policy, 0
        self._generator = Generator(workers, self._replacement, NO_DEADLINE_S)

    def _replacement(self, index: int) -> Any:
        del index
        assert self._served is not None
        worker = start_worker(self._config, self._store, self._served)
        ray.get(worker.ready.remote(), timeout=self._config.rollout.start_deadline_s)
        return worker

    def _push(self, workers: list[Any], policy: Path) -> None:
        weights = ray.put(load_file(policy / WEIGHTS_FILE))
        push_weights(workers, weights, self._version, self._config.rollout.start_deadline_s)

    def close(self) -> None:
        """End the workers."""
        for worker in self._generator.workers if self._generator else ():
            ray.kill(worker)
        self._generator = None


def same_shape(one: Path, other: Path) -> bool:
    """Whether two policy folders differ in weights only, and the weights are in one float32 file."""
    if not (other / WEIGHTS_FILE).is_file():
        return False
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in SHAPE_FILES)


def same_expert(one: Path, other: Path) -> bool:
    """Whether two policy folders hold the same flow expert. Raises FileNotFoundError where there is none."""
    return all(
        filecmp.cmp(one / EXPERT_FOLDER / name, other / EXPERT_FOLDER / name, shallow=False)
        for name in (EXPERT_FILE, EXPERT_WEIGHTS)
    )
