"""Call a reward on a batch and hold it to its contract.

Invariant: one finished score a rollout, in order, whatever the reward does short of hanging or killing the
process: an exception, a wrong count or a value outside the stated range becomes REWARD_BUG, unless the exception
is a RewardError, which says what it is.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from rewards.description import Description, Mode
from rewards.errors import RewardError
from rewards.score import ClipView, Reward, RolloutView, Score, Status
from rewards.score_table import ScoreTable

R = TypeVar("R")


class Guard:
    """Runs code of others on one thread of its own and returns what it raised instead of raising it.

    A future is the one place where Python hands over any exception as a value, so no clause here has to
    name every exception that a reward may invent."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reward")

    def call(self, function: Callable[[], R]) -> tuple[R | None, BaseException | None]:
        """(result, None) or (None, what was raised)."""
        future = self._thread.submit(function)
        error = future.exception()
        return (None, error) if error is not None else (future.result(), None)


def answer_batch(
    guard: Guard,
    reward: Reward,
    description: Description,
    rollouts: Sequence[RolloutView],
    clips: ClipView,
) -> Sequence[Score]:
    """As `score_batch`, but a table where the reward fills one, with a method `score_table` beside `score`."""
    tabled = getattr(reward, "score_table", None)
    if tabled is not None:
        began = time.perf_counter()
        table, _ = guard.call(lambda: _checked_table(tabled, description, rollouts, clips))
        if table is not None:
            return replace(table, latency_s=(time.perf_counter() - began) / len(rollouts))
    return score_batch(guard, reward, description, rollouts, clips)


def score_batch(
    guard: Guard,
    reward: Reward,
    description: Description,
    rollouts: Sequence[RolloutView],
    clips: ClipView,
) -> list[Score]:
    """Score a batch. When it fails as a whole, each rollout is tried alone so that only the culprits are
    missing; a PER_GROUP reward's batch is one group and fails as one."""
    began = time.perf_counter()
    scores, error = guard.call(lambda: _checked(reward, description, rollouts, clips))
    share = (time.perf_counter() - began) / len(rollouts)
    if scores is not None:
        return [replace(score, latency_s=share) for score in scores]
    if len(rollouts) > 1 and description.mode is Mode.PER_ROLLOUT:
        return [score_batch(guard, reward, description, [r], clips)[0] for r in rollouts]
    why = blame(error)
    status = error.status if isinstance(error, RewardError) else Status.REWARD_BUG
    return [
        Score(reward.name, None, status, explanation=why, version=reward.version, latency_s=share)
        for _ in rollouts
    ]


def _checked(
    reward: Reward, description: Description, rollouts: Sequence[RolloutView], clips: ClipView
) -> list[Score]:
    scores = reward.score(rollouts, clips)
    if len(scores) != len(rollouts):
        raise ValueError(f"{len(scores)} scores for {len(rollouts)} rollouts")
    return [_within(score, description) for score in scores]


def _checked_table(
    tabled: Callable[[Sequence[RolloutView], ClipView], ScoreTable],
    description: Description,
    rollouts: Sequence[RolloutView],
    clips: ClipView,
) -> ScoreTable:
    """ValueError, whose text nobody sees: the rollouts are then scored and checked one by one."""
    table = tabled(rollouts, clips)
    values = table.values
    outside = (values < description.low - 1e-9) | (values > description.high + 1e-9)
    if len(table) != len(rollouts) or outside.any():
        raise ValueError(
            f"{len(table)} scores for {len(rollouts)} rollouts, {outside.sum()} outside the range"
        )
    return table


def _within(score: Score, description: Description) -> Score:
    if score.value is None or description.low - 1e-9 <= score.value <= description.high + 1e-9:
        return score
    why = f"value {score.value} is outside the stated range [{description.low}, {description.high}]"
    return replace(score, value=None, status=Status.REWARD_BUG, explanation=why)


def blame(error: BaseException | None) -> str:
    """One line for a ledger: type, message and the innermost line of an exception."""
    if error is None:
        return "unknown error"
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}: {error}{where}"
