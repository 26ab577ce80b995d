"""Functions as rewards, unchanged: `f(rollouts, clips)` and TRL's `f(prompts, completions, **columns)`.

Invariant: None from a function is a missing score, never 0; a wrong count or a number that is not finite is
the function's bug and says so.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

from rewards.score import ClipView, RolloutView, Score, Status

PlainFunction = Callable[[Sequence[RolloutView], ClipView], Sequence[Score | float | None]]


class FunctionReward:
    """A plain function over a batch, as a Reward. Attributes `low`, `high`, `version` of the function, or the
    arguments here, state range and version; the version defaults to a digest of the source code."""

    def __init__(
        self,
        function: Callable[..., Any],
        name: str | None = None,
        low: float | None = None,
        high: float | None = None,
    ) -> None:
        self.function = function
        self.name = str(name or getattr(function, "__name__", "function"))
        self.version = str(getattr(function, "version", None) or source_version(function))
        self.low = float(getattr(function, "low", -math.inf) if low is None else low)
        self.high = float(getattr(function, "high", math.inf) if high is None else high)
        self.doc = inspect.getdoc(function) or ""

    def score(self, rollouts: Sequence[RolloutView], clips: ClipView) -> list[Score]:
        """One score a rollout; see `Reward`."""
        return self.scores(self.function(rollouts, clips), len(rollouts))

    def scores(self, answers: Sequence[Score | float | None], count: int) -> list[Score]:
        """Turn the function's answers into scores; ValueError when there are not `count` of them."""
        if len(answers) != count:
            raise ValueError(f"{self.name} answered {len(answers)} values for {count} rollouts")
        return [self._as_score(answer) for answer in answers]

    def _as_score(self, answer: Score | float | None) -> Score:
        if isinstance(answer, Score):
            return answer
        if answer is None:
            why = "the function returned None: it does not apply to this rollout"
            return Score(self.name, None, Status.DATA, explanation=why, version=self.version)
        value = float(answer)
        if not math.isfinite(value):
            return Score(self.name, None, Status.REWARD_BUG, explanation=f"the function returned {value}")
        return Score(self.name, value, version=self.version)


class TrlFunctionReward(FunctionReward):
    """A TRL reward function, called by keyword with the columns its signature accepts.

    prompts: the clip ids (the prompt proper is images and history tokens, which rewards do not get);
    completions: the reasoning texts; columns: see `columns`. Async functions are awaited."""

    def score(self, rollouts: Sequence[RolloutView], clips: ClipView) -> list[Score]:
        """One score a rollout; see `Reward`."""
        available = columns(rollouts, clips)
        parameters = inspect.signature(self.function).parameters
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            available = {name: column for name, column in available.items() if name in parameters}
        answers = self.function(**available)
        if inspect.isawaitable(answers):
            answers = asyncio.run(_await(answers))
        return self.scores(answers, len(rollouts))


async def _await(awaitable: Any) -> Any:
    return await awaitable


def columns(rollouts: Sequence[RolloutView], clips: ClipView) -> dict[str, list[Any]]:
    """What a TRL function may take: one list a column, one entry a rollout."""
    scenes = [clips[r.clip_id] for r in rollouts]
    labels = [clip.label for clip in scenes]
    return {
        "prompts": [r.clip_id for r in rollouts],
        "completions": [r.text for r in rollouts],
        "rollout_id": [r.rollout_id for r in rollouts],
        "group_id": [r.group_id for r in rollouts],
        "clip_id": [r.clip_id for r in rollouts],
        "valid": [r.valid for r in rollouts],
        "actions": [r.actions for r in rollouts],
        "states": [r.states for r in rollouts],
        "clip": scenes,
        "ego_future": [clip.ego_future for clip in scenes],
        "reference": [None if label is None else label.text for label in labels],
        "longitudinal": [None if label is None else label.longitudinal for label in labels],
        "lateral": [None if label is None else label.lateral for label in labels],
    }


def source_version(function: Callable[..., Any]) -> str:
    """ "src-" and 12 hex digits that change with the function's source; TypeError/OSError without source."""
    return "src-" + hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:12]


def style(function: Callable[..., Any]) -> type[FunctionReward] | None:
    """How a callable wants to be called as a reward; None when its parameters say that it is a factory."""
    names = list(inspect.signature(function).parameters)
    if "completions" in names:
        return TrlFunctionReward
    return FunctionReward if names[:2] == ["rollouts", "clips"] else None
