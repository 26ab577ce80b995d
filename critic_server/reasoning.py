"""The reasoning reward: how well the reasoning text agrees with the clip's Chain-of-Causation label.

value = total grade / 5, in [0, 1]. Back ends: "rubric" (deterministic, default) and "openai" (one language model
or several, each behind an OpenAI-compatible endpoint). An invalid completion gets 0 with its reason: it is the
policy's fault; a clip without a label, or a judge that cannot be asked, gives a missing score.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from critic_server.rubric import grade
from critic_server.scale import HIGHEST
from critic_server.verdict import Question, Verdict
from rewards.description import Component, Need
from rewards.score import ClipView, RolloutView, Score, Status
from scenes.clip import Clip

if TYPE_CHECKING:
    from critic_server.panel import Panel

BACKENDS = ("rubric", "openai")
FRONT = "front_wide"
GRADES = (
    Component("grade", 0.0, float(HIGHEST), "total grade"),
    Component("behaviour", 0.0, float(HIGHEST), "does the trace decide what the expert decides"),
    Component("causes", 0.0, float(HIGHEST), "does it name the expert's causes"),
)
OF_RUBRIC = (
    Component("longitudinal", 0.0, 1.0, "1: speed decision is the expert's"),
    Component("lateral", 0.0, 1.0, "1: path decision and its side are the expert's"),
    Component("factor_precision", 0.0, 1.0, "share of the named causes that are in the label"),
    Component("factor_recall", 0.0, 1.0, "share of the label's causes that are named"),
)
OF_JUDGES = (
    Component("tokens", 0.0, float("inf"), "tokens billed, in and out"),
    Component("usd", 0.0, float("inf"), "cost; absent where the price is unknown"),
    Component("cached", 0.0, 1.0, "1: answered without a request"),
    Component("disagreement", 0.0, float(HIGHEST), "largest minus smallest total of the judges"),
    Component("suspicious", 0.0, 1.0, "1: the trace is no plain reasoning; capped by the rubric"),
    Component("drift", 0.0, float(HIGHEST), "the judges' change on the canary set; absent until measured"),
)


class ReasoningReward:
    """Agreement of the reasoning text with the label: behaviour first, then causes (rubric 0 to 5, over 5)."""

    name = "reasoning"
    low, high = 0.0, 1.0
    components: tuple[Component, ...]

    def __init__(
        self,
        backend: str = "rubric",
        strict: bool = True,
        images: bool = False,
        canary_every: int = 0,
        **judges: Any,
    ) -> None:
        """strict: see critic_server.rubric; images: show the judges the last front image; canary_every:
        batches between two looks at the canary set (0: never); judges: fields of
        critic_server.panel.PanelConfig and critic_server.judge_config.JudgeConfig (backend "openai" only)."""
        if backend not in BACKENDS:
            raise ValueError(f"backend {backend!r} is unknown; one of {', '.join(BACKENDS)}")
        if backend == "rubric" and (judges or images or canary_every):
            raise ValueError(f"the rubric takes no judge options: {sorted(judges) or 'images, canary_every'}")
        self.backend, self.strict, self.images = backend, strict, images
        self.needs = (Need.TEXT, Need.LABEL, *((Need.IMAGES,) if images else ()))
        self._panel: Panel | None = None
        if backend == "openai":
            from critic_server.canary import Canary
            from critic_server.panel import Panel, panel_config  # the rubric's process needs no HTTP client

            self._panel = Panel(panel_config(judges), strict)
            self._canary = Canary(self._panel, canary_every)
            self.version = self._panel.config.version
            self.components = GRADES + OF_JUDGES
        else:
            self.version = f"rubric-2{'' if strict else '-lenient'}"
            self.components = GRADES + OF_RUBRIC

    def warm(self) -> None:
        """Called by a scoring process before its first batch: its log lines go to the server's log."""
        logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
        logging.getLogger("ar1.critic").setLevel(logging.INFO)

    def score(self, rollouts: Sequence[RolloutView], clips: ClipView) -> list[Score]:
        """One score a rollout; see the module."""
        scores: dict[int, Score] = {}
        asked: dict[int, Question] = {}
        for index, rollout in enumerate(rollouts):
            clip = clips[rollout.clip_id]
            lack = self._lack(clip)
            if not rollout.valid:
                scores[index] = self._plain(0.0, f"invalid completion: {rollout.reason or 'no reason given'}")
            elif clip.label is None or lack:
                scores[index] = Score(
                    self.name,
                    None,
                    Status.DATA,
                    explanation=f"clip {clip.clip_id} {lack}",
                    version=self.version,
                )
            else:
                asked[index] = Question(rollout.text, clip.label, self._pictures(clip))
        if self._panel is None:
            scores.update((index, self._by_rubric(question)) for index, question in asked.items())
        elif asked:
            verdicts = asyncio.run(self._ask(self._panel, list(asked.values())))
            scores.update(zip(asked, map(self._from_verdict, verdicts), strict=True))
        return [scores[i] for i in range(len(rollouts))]

    async def _ask(self, panel: Panel, questions: list[Question]) -> list[Verdict]:
        if not self._canary.due():
            return await panel.ask(questions)
        verdicts, _ = await asyncio.gather(panel.ask(questions), self._canary.measure())
        return verdicts

    def _lack(self, clip: Clip) -> str:
        """What the clip lacks, or nothing."""
        if clip.label is None:
            return "has no Chain-of-Causation label"
        if self.images and (clip.cameras is None or FRONT not in clip.cameras.names):
            return f"has no image of the camera {FRONT}, which this critic shows to its judges"
        return ""

    def _pictures(self, clip: Clip) -> tuple[bytes, ...]:
        if not self.images or clip.cameras is None:
            return ()
        from critic_server.prompt import png

        return (png(clip.cameras.frames[clip.cameras.names.index(FRONT)][-1]),)

    def _plain(self, value: float, why: str) -> Score:
        return Score(self.name, value, explanation=why, version=self.version)

    def _by_rubric(self, question: Question) -> Score:
        found = grade(question.text, question.label, self.strict)
        parts = {
            "grade": float(found.grade),
            "behaviour": found.behaviour,
            "causes": found.causes,
            "longitudinal": float(found.longitudinal),
            "lateral": float(found.lateral),
            "factor_precision": found.precision,
            "factor_recall": found.recall,
        }
        value = found.grade / HIGHEST
        return Score(self.name, value, components=parts, explanation=found.explanation, version=self.version)

    def _from_verdict(self, verdict: Verdict) -> Score:
        parts = {
            "tokens": float(verdict.prompt_tokens + verdict.completion_tokens),
            "cached": float(verdict.cached),
            "suspicious": float(bool(verdict.flags)),
        }
        if verdict.usd is not None:
            parts["usd"] = verdict.usd
        if self._canary.drift is not None:
            parts["drift"] = self._canary.drift
        if verdict.behaviour is not None and verdict.causes is not None and verdict.total is not None:
            parts |= {"grade": verdict.total, "behaviour": verdict.behaviour, "causes": verdict.causes}
            parts["disagreement"] = verdict.disagreement
        return Score(
            self.name,
            None if verdict.total is None else verdict.total / HIGHEST,
            verdict.status,
            components=parts,
            explanation=verdict.explanation,
            version=self.version,
            attempts=max(verdict.attempts, 1),
            cached=verdict.cached,
        )
