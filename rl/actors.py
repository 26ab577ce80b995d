"""The learner as a Ray actor that the driver can name without importing torch or TRL.

Invariant: a shell that adds nothing but the import; without it every start of a job waits for the driver to load
what only the actor uses. (rl.rollout_worker needs none: it imports vLLM when its engine starts.)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rl.training_batch import TrainingBatch


class LearnerActor:
    """See rl.learner.Learner for every method."""

    def __init__(self, *arguments: Any) -> None:
        from rl.learner import Learner

        self._learner = Learner(*arguments)

    def train(self, batch: TrainingBatch) -> dict[str, float]:
        """All updates of one step."""
        return self._learner.train(batch)

    def weights(self) -> dict[str, np.ndarray]:
        """float32 tensors by Hugging Face name."""
        return self._learner.weights()

    def score(self, clip_ids: list[str], ids: list[np.ndarray]) -> list[np.ndarray]:
        """Raw log-probabilities of the probe."""
        return self._learner.score(clip_ids, ids)

    def save(self, folder: Path) -> None:
        """Write a resumable checkpoint."""
        self._learner.save(folder)

    def save_policy(self, folder: Path) -> None:
        """Write a policy folder with the current weights."""
        self._learner.save_policy(folder)
