"""The reasoning reward: how well the reasoning text agrees with the clip's Chain-of-Causation label.

value = grade / 5, in [0, 1]. Back ends: "rubric" (deterministic, default) and "openai" (a language model
behind an OpenAI-compatible endpoint). An invalid completion gets 0 with its reason: it is the policy's fault;
a clip without a label, or a judge that cannot be asked, gives a missing score.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from critic_server import prompt
from critic_server.rubric import HIGHEST, grade
from rewards.description import Component, Need
from rewards.score import ClipView, RolloutView, Score, Status
from scenes.clip import ChainOfCausation, Clip

if TYPE_CHECKING:
    from critic_server.judge import Verdict

BACKENDS = ("rubric", "openai")


class ReasoningReward:
    """Agreement of the reasoning text with the label: behaviour first, then causes (rubric 0 to 5, over 5)."""

    name = "reasoning"
    low, high = 0.0, 1.0
    components: tuple[Component, ...]

    def __init__(
        self, backend: str = "rubric", strict: bool = True, images: bool = False, **judge: Any
    ) -> None:
        """strict: see critic_server.rubric; images: show the judge the cameras; judge: fields of
        critic_server.judge.JudgeConfig (backend "openai" only)."""
        if backend not in BACKENDS:
            raise ValueError(f"backend {backend!r} is unknown; one of {', '.join(BACKENDS)}")
        if backend == "rubric" and (judge or images):
            raise ValueError(f"the rubric takes no judge options: {sorted(judge) or 'images'}")
        self.backend, self.strict, self.images = backend, strict, images
        self.needs = (Need.TEXT, Need.LABEL, *((Need.IMAGES,) if images else ()))
        scale = Component("grade", 0.0, float(HIGHEST), "the rubric's grade")
        if backend == "openai":
            from critic_server.judge import JudgeConfig  # the rubric's process needs no HTTP client

            self.config = JudgeConfig(**judge)
            self.version = f"judge-{prompt.VERSION}-{self.config.model}"
            self.components = (scale, Component("tokens", 0.0, float("inf"), "tokens billed"))
        else:
            self.version = f"rubric-1{'' if strict else '-lenient'}"
            self.components = (
                scale,
                Component("longitudinal", 0.0, 1.0, "1: speed decision is the expert's"),
                Component("lateral", 0.0, 1.0, "1: path decision and its side are the expert's"),
                Component("factor_precision", 0.0, 1.0, "share of the named causes that are in the label"),
                Component("factor_recall", 0.0, 1.0, "share of the label's causes that are named"),
            )

    def score(self, rollouts: Sequence[RolloutView], clips: ClipView) -> list[Score]:
        """One score a rollout; see the module."""
        scores: dict[int, Score] = {}
        asked: list[tuple[int, str, ChainOfCausation, Clip]] = []
        for index, rollout in enumerate(rollouts):
            clip = clips[rollout.clip_id]
            if not rollout.valid:
                scores[index] = self._plain(0.0, f"invalid completion: {rollout.reason or 'no reason given'}")
            elif clip.label is None:
                why = f"clip {clip.clip_id} has no Chain-of-Causation label"
                scores[index] = Score(self.name, None, Status.DATA, explanation=why, version=self.version)
            else:
                asked.append((index, rollout.text, clip.label, clip))
        if self.backend == "rubric":
            scores.update((index, self._by_rubric(text, label)) for index, text, label, _ in asked)
        elif asked:
            scores.update(zip([a[0] for a in asked], self._by_judge(asked), strict=True))
        return [scores[i] for i in range(len(rollouts))]

    def _plain(self, value: float, why: str) -> Score:
        return Score(self.name, value, explanation=why, version=self.version)

    def _by_rubric(self, text: str, label: ChainOfCausation) -> Score:
        found = grade(text, label, self.strict)
        parts = {
            "grade": float(found.grade),
            "longitudinal": float(found.longitudinal),
            "lateral": float(found.lateral),
            "factor_precision": found.precision,
            "factor_recall": found.recall,
        }
        value = found.grade / HIGHEST
        return Score(self.name, value, components=parts, explanation=found.explanation, version=self.version)

    def _by_judge(self, asked: list[tuple[int, str, ChainOfCausation, Clip]]) -> list[Score]:
        from critic_server.judge import judge_all

        chats = [prompt.messages(text, label, clip, self.images) for _, text, label, clip in asked]
        return [self._from_verdict(v) for v in asyncio.run(judge_all(self.config, chats))]

    def _from_verdict(self, verdict: Verdict) -> Score:
        value = None if verdict.grade is None else verdict.grade / HIGHEST
        parts = {"tokens": float(verdict.tokens)}
        if verdict.grade is not None:
            parts["grade"] = float(verdict.grade)
        return Score(
            self.name,
            value,
            verdict.status,
            components=parts,
            explanation=verdict.explanation,
            version=self.version,
            attempts=verdict.attempts,
        )
