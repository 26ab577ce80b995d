"""A reward whose scoring costs nothing: what a server can do at best.

Role: served by `against_echo.py` beside the real ones. It answers as much as the trajectory reward does: the same
components and an explanation of the same kind.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rewards.score import ClipView, RolloutView, Score
from rewards.score_table import ScoreTable
from rewards.trajectory import PARTS


class NullReward:
    """0 for everything."""

    name, version = "null", "1"
    low, high = 0.0, 0.0

    def score(self, rollouts: Sequence[RolloutView], clips: ClipView) -> list[Score]:
        """One score a rollout."""
        return list(self.score_table(rollouts, clips))

    def score_table(self, rollouts: Sequence[RolloutView], clips: ClipView) -> ScoreTable:  # noqa: ARG002
        """As columns."""
        count = len(rollouts)
        told = ["ADE 0.00 m, FDE 0.00 m"] * count
        return ScoreTable(
            self.name, self.version, np.zeros(count), PARTS, np.zeros((count, len(PARTS))), told
        )
