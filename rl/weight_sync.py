"""Weights from the learner into every engine, with a version and a numeric check.

Role: after each step pushes the learner's tensors to all workers and compares log-probabilities of a fixed probe.
Invariant: rollouts are only asked for after every worker serves the expected version and agrees with the learner
on the probe; a silent stale copy (a packed output head, say) is an error, not a drift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray


class WeightSyncError(RuntimeError):
    """A worker serves other weights than the learner holds."""


@dataclass(frozen=True)
class Probe:
    """Fixed completions whose log-probabilities both sides compute. ids: per clip [L]."""

    clip_ids: tuple[str, ...]
    ids: tuple[np.ndarray, ...]


def compare(learner: Sequence[np.ndarray], worker: Sequence[np.ndarray]) -> float:
    """Largest absolute difference in nats. Raises WeightSyncError when one side is not finite."""
    worst = 0.0
    for ours, theirs in zip(learner, worker, strict=True):
        difference = float(np.abs(np.asarray(ours) - np.asarray(theirs)).max())
        if not np.isfinite(difference):
            raise WeightSyncError(
                "a probe log-probability is not finite: the learner's weights have diverged"
            )
        worst = max(worst, difference)
    return worst


def push_weights(workers: Sequence[Any], weights: Any, version: int, deadline_s: float) -> None:
    """Serve `version` everywhere; weights is a Ray reference to the learner's tensors.

    Raises WeightSyncError if a worker ends up with another version, and Ray's GetTimeoutError past the deadline.
    """
    served = ray.get([w.update_weights.remote(weights, version) for w in workers], timeout=deadline_s)
    if set(served) != {version}:
        raise WeightSyncError(f"workers serve versions {served} after a push of {version}")


def verify(
    workers: Sequence[Any], probe: Probe, expected: Sequence[np.ndarray], bound: float, deadline_s: float
) -> float:
    """Largest probe difference over all workers, nats. Raises WeightSyncError beyond the bound."""
    answers = ray.get(
        [w.score.remote(list(probe.clip_ids), list(probe.ids)) for w in workers], timeout=deadline_s
    )
    worst = max(compare(expected, answer) for answer in answers)
    if worst > bound:
        raise WeightSyncError(
            f"after a weight sync learner and engine differ by {worst:.2e} nats on the probe, bound {bound:.0e}: "
            "the engine serves stale or partly loaded weights"
        )
    return worst
