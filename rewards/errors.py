"""The exception that carries a Status.

Invariant: it is small and survives pickling unchanged, so that it may cross a process pool or a Ray actor: a text
of bounded length, a status and a name; no channel, no request, no traceback.
"""

from __future__ import annotations

from rewards.score import Status

MOST_CHARS = 2_000


class RewardError(RuntimeError):
    """A reward could not score, and whose doing that is. The text is cut at MOST_CHARS.

    A reward may raise it from `score` to say more than "bug": a judge that is out of reach raises
    `RewardError("judge at :8000 does not answer", Status.INFRASTRUCTURE)` and is asked again."""

    def __init__(self, why: str, status: Status = Status.REWARD_BUG, reward: str = "") -> None:
        if status is Status.OK:
            raise ValueError("a RewardError says what failed: its status cannot be ok")
        super().__init__(why[:MOST_CHARS])
        self.status = status
        self.reward = reward

    @property
    def why(self) -> str:
        """The text alone."""
        return str(self)
