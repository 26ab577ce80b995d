"""How well an intent parser reads the labelled sentences: precision and recall per decision, share per tag.

Role: the arithmetic behind `ar1 reward parser-report`. A decision is counted once a sentence and axis: said
(by the parser), meant (by the label), right (both). "none" is counted as a decision of its own: a sentence
that states nothing must not be read as one that does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from rewards.intent import Intent
from rewards.intent_parser import IntentParser
from rewards.labelled_intents import TAGS, Decisions, LabelledText, Part

NONE, READ = "none", "read"
AXES = ("longitudinal", "lateral", "direction")


@dataclass(frozen=True)
class Rate:
    """Counts of one decision on one axis."""

    right: int
    said: int
    meant: int

    @property
    def precision(self) -> float | None:
        """Share of what was said that was meant; None where nothing was said."""
        return self.right / self.said if self.said else None

    @property
    def recall(self) -> float | None:
        """Share of what was meant that was said; None where nothing was meant."""
        return self.right / self.meant if self.meant else None


@dataclass(frozen=True)
class Miss:
    """A sentence read otherwise than it is labelled."""

    text: str
    wanted: Decisions
    found: Decisions
    wanted_steps: tuple[Decisions, ...]
    found_steps: tuple[Decisions, ...]


@dataclass(frozen=True)
class PartReport:
    """decisions: axis → decision → counts; tags: tag → (sentences read entirely right, sentences), with "all",
    READ for those in which the parser found a decision, and "plain" for those without a tag."""

    sentences: int
    decisions: dict[str, dict[str, Rate]]
    tags: dict[str, tuple[int, int]]
    misses: tuple[Miss, ...]


def report(texts: Iterable[LabelledText], parser: IntentParser, part: Part) -> PartReport:
    """Judge a parser on one part of the labelled sentences. A text counts as entirely right when both axes,
    the side, and the steps in their order are as labelled."""
    chosen = [labelled for labelled in texts if labelled.part is part]
    parses = parser.parse([labelled.text for labelled in chosen])
    said: Counter[tuple[str, str]] = Counter()
    meant: Counter[tuple[str, str]] = Counter()
    right: Counter[tuple[str, str]] = Counter()
    exact: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    misses = []
    for labelled, parse in zip(chosen, parses, strict=True):
        intent = parse.intent
        found = _found(intent)
        for axis, want, got in zip(AXES, labelled.decisions, found, strict=True):
            meant[axis, want or NONE] += 1
            said[axis, got or NONE] += 1
            right[axis, want or NONE] += want is got
        steps = _steps(intent)
        good = found == labelled.decisions and steps == labelled.steps
        answered = (READ,) if intent.parsed else ()
        for tag in ("all", *answered, *(labelled.tags or ("plain",))):
            seen[tag] += 1
            exact[tag] += good
        if not good:
            misses.append(Miss(labelled.text, labelled.decisions, found, labelled.steps, steps))
    decisions: dict[str, dict[str, Rate]] = {axis: {} for axis in AXES}
    for axis, decision in sorted(said.keys() | meant.keys()):
        key = (axis, decision)
        decisions[axis][decision] = Rate(right[key], said[key], meant[key])
    shares = {tag: (exact[tag], seen[tag]) for tag in ("all", READ, "plain", *TAGS) if seen[tag]}
    return PartReport(len(chosen), decisions, shares, tuple(misses))


def as_json(part: PartReport) -> dict[str, Any]:
    """The report as plain data: rates with precision and recall, misses as dictionaries."""
    return {
        "sentences": part.sentences,
        "decisions": {
            axis: {
                decision: asdict(rate) | {"precision": rate.precision, "recall": rate.recall}
                for decision, rate in rates.items()
            }
            for axis, rates in part.decisions.items()
        },
        "tags": {tag: {"right": r, "sentences": n, "share": r / n} for tag, (r, n) in part.tags.items()},
        "misses": [asdict(miss) for miss in part.misses],
    }


def _found(intent: Intent) -> Decisions:
    if not intent.parsed:
        return None, None, None
    return intent.longitudinal, intent.lateral, intent.direction


def _steps(intent: Intent) -> tuple[Decisions, ...]:
    if len(intent.steps) < 2 or not intent.parsed:
        return ()
    return tuple((step.longitudinal, step.lateral, step.direction) for step in intent.steps)
