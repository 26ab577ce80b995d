"""The judges behind the reasoning reward: traces inspected, every judge asked, verdicts combined and capped.

Defence against traces that address the judge, in three layers, each measured by `ar1 critic red-team`:
the trace is escaped data (critic_server.prompt); whatever does not look like driving reasoning is flagged
(critic_server.untrusted); and of a flagged trace no judge's grade counts above the deterministic rubric's, which
reads decisions and causes and nothing else. A flagged trace that drives right still earns what it says.
The flags are patterns, and a policy that learns against them finds what they miss; guard "always" caps every
trace, so that a judge can only lower the rubric's grade.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from critic_server import rubric
from critic_server.database import open_database
from critic_server.ensemble import COMBINE, combine
from critic_server.judge_config import JudgeConfig
from critic_server.scale import total
from critic_server.spending import read_prices
from critic_server.untrusted import inspect
from critic_server.verdict import Question, Verdict
from rewards.score import Status

GUARDS = {"flagged": "", "always": "-capped", "off": "-unguarded"}


@dataclass(frozen=True)
class PanelConfig:
    """judges: at least one; combine: "mean" or "median" of each part; quorum: judges that must have graded
    (None: more than half); guard: which traces the rubric caps, "flagged", "always" or "off"; batch_s: deadline
    of a whole batch; cache: the critic's database file (None: this process's memory); prices: YAML, see
    critic_server/prices.yaml; max_usd: stop for the life of the database."""

    judges: tuple[JudgeConfig, ...]
    combine: str = "mean"
    quorum: int | None = None
    guard: str = "flagged"
    batch_s: float = 240.0
    cache: str | None = None
    prices: str | None = None
    max_usd: float | None = None

    def __post_init__(self) -> None:
        if not self.judges:
            raise ValueError("a panel needs at least one judge: base_url and model")
        if self.guard not in GUARDS:
            raise ValueError(f"guard {self.guard!r} is unknown; one of {', '.join(GUARDS)}")
        if self.combine not in COMBINE:
            raise ValueError(f"combine {self.combine!r} is unknown; one of {', '.join(COMBINE)}")
        if not 1 <= self.needed <= len(self.judges):
            raise ValueError(f"quorum {self.quorum} must be 1 to {len(self.judges)}, the number of judges")
        if self.max_usd is not None and self.cache is None:
            raise ValueError("max_usd needs a cache file: without one every restart would begin at 0 USD")
        names = [judge.model for judge in self.judges]
        if len(set(names)) != len(names):
            raise ValueError(f"two judges are called {sorted(names)}; serve them under different model names")

    @property
    def needed(self) -> int:
        """How many judges must have graded."""
        return len(self.judges) // 2 + 1 if self.quorum is None else self.quorum

    @property
    def version(self) -> str:
        """Of the reward: judges, wording, and how they are combined and guarded."""
        ensemble = f"{self.combine}-of-{len(self.judges)}:" if len(self.judges) > 1 else ""
        return ensemble + "+".join(j.version for j in self.judges) + GUARDS[self.guard]


def panel_config(options: Mapping[str, Any]) -> PanelConfig:
    """From a reward's options: fields of PanelConfig, and either `judges`, a list of JudgeConfig fields, or
    the fields of the only judge beside them. TypeError for an unknown or missing field."""
    own = {f.name for f in fields(PanelConfig)} - {"judges"}
    panel = {name: value for name, value in options.items() if name in own}
    rest = {name: value for name, value in options.items() if name not in own and name != "judges"}
    if "judges" not in options:
        return PanelConfig((JudgeConfig(**rest),), **panel)
    return PanelConfig(tuple(JudgeConfig(**{**rest, **judge}) for judge in options["judges"]), **panel)


class Panel:
    """One or several judges as a grader; see the module."""

    def __init__(self, config: PanelConfig, strict: bool = True) -> None:
        """strict: of the rubric that caps flagged traces."""
        from critic_server.judge import Judge  # only who asks a judge needs an HTTP client

        self.config, self.strict, self.name = config, strict, config.version
        self.connection = open_database(config.cache)
        prices = read_prices(config.prices)
        self._judges = [
            Judge(judge, self.connection, prices.get(judge.model), config.max_usd) for judge in config.judges
        ]

    def grade(
        self, questions: Sequence[Question], *, sample: int = 0, swapped: bool = False
    ) -> list[Verdict]:
        """See `critic_server.verdict.Grader`."""
        return asyncio.run(self.ask(questions, sample, swapped))

    async def ask(
        self, questions: Sequence[Question], sample: int = 0, swapped: bool = False, fresh: bool = False
    ) -> list[Verdict]:
        """One verdict a question, in order, within `batch_s`. fresh: neither read the cache nor fill it."""
        end = time.monotonic() + self.config.batch_s
        inspected = [inspect(question.text) for question in questions]
        seen = [found.seen for found in inspected]
        answers = await asyncio.gather(
            *(judge.ask_all(questions, seen, end, sample, swapped, fresh) for judge in self._judges)
        )
        names = [judge.name for judge in self._judges]
        verdicts = []
        for question, found, members in zip(questions, inspected, zip(*answers, strict=True), strict=True):
            verdict = combine(names, members, self.config.combine, self.config.needed)
            verdict = replace(verdict, flags=found.flags)
            verdicts.append(self._capped(verdict, question, found.seen))
        return verdicts

    def _capped(self, verdict: Verdict, question: Question, seen: str) -> Verdict:
        guarded = self.config.guard == "always" or (self.config.guard == "flagged" and bool(verdict.flags))
        if not guarded or verdict.status is not Status.OK:
            return verdict
        assert verdict.behaviour is not None
        assert verdict.causes is not None
        most = rubric.grade(seen, question.label, self.strict)
        behaviour, causes = min(verdict.behaviour, most.behaviour), min(verdict.causes, most.causes)
        grade = min(total(behaviour, causes), float(most.grade))
        why = f"suspicious ({'; '.join(verdict.flags)}), " if verdict.flags else ""
        told = f"{why}at most the rubric's {most.grade}: {verdict.explanation}"
        return replace(verdict, behaviour=behaviour, causes=causes, total=grade, explanation=told)
