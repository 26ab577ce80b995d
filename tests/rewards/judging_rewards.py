"""A reward that tells by the exception what failed."""

from __future__ import annotations

from pathlib import Path

from rewards.errors import RewardError
from rewards.score import Status


def judged(rollouts, clips):
    """1 for a text, unless it is unreadable or asks for a judge that answers only the second time ("once:FILE")."""
    assert clips
    for text in (r.text for r in rollouts):
        if text == "unreadable":
            raise RewardError("no judge can read this", Status.DATA)
        if text.startswith("once:") and len(rollouts) == 1 and not Path(text.removeprefix("once:")).exists():
            Path(text.removeprefix("once:")).touch()
            raise RewardError("the judge is out of reach", Status.INFRASTRUCTURE)
    return [1.0] * len(rollouts)
