"""Rewards that misbehave on demand: what the text says is what they do. Served by the process tests."""

from __future__ import annotations

import os
import time
from pathlib import Path

from rewards.score import Score


class Obedient:
    """0.5 for any text but: hang, die, raise, nan, wide, forget (a missing answer), count:FILE (counts calls)."""

    name = "obedient"
    version = "1"
    low, high = 0.0, 1.0

    def __init__(self, slow_s: float = 0.0, version: str = "1") -> None:
        self.slow_s, self.version = slow_s, version

    def score(self, rollouts, clips):
        time.sleep(self.slow_s)
        return [self._one(r.text, clips[r.clip_id]) for r in rollouts]

    def _one(self, text, clip):
        print("a reward may print", clip.clip_id)
        if text == "hang":
            time.sleep(600)
        if text == "die":
            os._exit(7)
        if text == "raise":
            raise KeyError("no such thing")
        if text.startswith("count:"):
            with Path(text.removeprefix("count:")).open("a") as file:
                file.write("x")
        if text == "short":
            return Score(self.name, float("nan"))
        return Score(self.name, 7.0 if text == "wide" else 0.5, version=self.version)


class Siblings:
    """A PER_GROUP reward: each rollout's share of the group's words."""

    name = "siblings"
    version = "1"
    low, high = 0.0, 1.0
    mode = "per_group"

    def score(self, rollouts, clips):
        assert clips
        total = sum(len(r.text.split()) for r in rollouts)
        return [Score(self.name, len(r.text.split()) / total) for r in rollouts]


class Looker:
    """Needs images: the mean pixel of the clip's cameras."""

    name = "looker"
    version = "1"
    low, high = 0.0, 255.0
    needs = ("images",)

    def score(self, rollouts, clips):
        return [Score(self.name, float(clips[r.clip_id].cameras.frames.mean())) for r in rollouts]


def plain(rollouts, clips):
    """A plain function: the number of words, None for an empty text."""
    assert clips
    return [len(r.text.split()) or None for r in rollouts]


def trl_style(completions, clip_id, **columns):
    """A TRL function, as its authors would write it."""
    assert len(columns["prompts"]) == len(completions)
    return [
        float(len(text)) if clip.startswith("c") else None
        for text, clip in zip(completions, clip_id, strict=True)
    ]


async def trl_async(prompts, completions):
    """TRL also takes coroutines, and functions without **columns."""
    return [float(len(p)) for p, _ in zip(prompts, completions, strict=True)]


def broken_factory():
    """A factory that cannot build its reward."""
    raise RuntimeError("the model file is missing")


def factory(scale=2.0):
    """A factory with an option."""
    reward = Obedient()
    reward.high = scale
    return reward


NOT_A_REWARD = 3
