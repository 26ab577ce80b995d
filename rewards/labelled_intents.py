"""The labelled sentences of rewards/labelled/: what a person takes each of them to say.

Role: the ground truth by which the intent parser is tuned (development half) and judged (held-out half, and
sentences written after the parser was frozen).
Invariant: the half of a sentence is a hash of its text, so that adding sentences moves none of the others.
Labelling rules: docs/rewards-consistency.md.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from scenes.decisions import Direction, Lateral, Longitudinal

FOLDER = Path(__file__).parent / "labelled"
FILE, LATER_FILE = FOLDER / "intents.jsonl", FOLDER / "intents_later.jsonl"
TAGS = (
    "paraphrase",
    "multi-step",
    "negation",
    "hedge",
    "conditional",
    "question",
    "other-agent",
    "adversarial",
    "unparsable",
)


class Part(StrEnum):
    """Which part of the set a sentence belongs to."""

    DEVELOPMENT = "development"
    HELD_OUT = "held-out"
    LATER = "later"


Decisions = tuple[Longitudinal | None, Lateral | None, Direction | None]


@dataclass(frozen=True)
class LabelledText:
    """decisions: of the whole text, both None where it states none or contradicts itself; steps: what each
    step states, in order, empty for a text of one step; tags: kinds of difficulty, of TAGS; later: written
    after the parser was frozen."""

    text: str
    decisions: Decisions
    steps: tuple[Decisions, ...]
    tags: frozenset[str]
    later: bool = False

    @property
    def part(self) -> Part:
        """LATER if written later, else development where the first byte of the text's SHA-256 is even."""
        if self.later:
            return Part.LATER
        first = hashlib.sha256(self.text.encode()).digest()[0]
        return Part.HELD_OUT if first % 2 else Part.DEVELOPMENT


def load() -> tuple[LabelledText, ...]:
    """Every labelled sentence of the project."""
    return (*read(FILE), *read(LATER_FILE, later=True))


def read(path: Path, later: bool = False) -> tuple[LabelledText, ...]:
    """The labelled sentences of a JSON-lines file, in its order.

    Raises ValueError naming the line for JSON, decisions or tags that are not of the closed sets."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(_read(line, f"{path.name}:{number}", later) for number, line in enumerate(lines, 1))


def _read(line: str, where: str, later: bool) -> LabelledText:
    try:
        row = json.loads(line)
        tags = frozenset(row["tags"])
        if tags - set(TAGS):
            raise ValueError(f"unknown tags {sorted(tags - set(TAGS))}; known: {', '.join(TAGS)}")
        steps = tuple(_decisions(step) for step in row["steps"])
        return LabelledText(str(row["text"]), _decisions(row), steps, tags, later)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{where}: {error}") from error


def _decisions(row: dict[str, str | None]) -> Decisions:
    longitudinal, lateral, direction = row["longitudinal"], row["lateral"], row["direction"]
    return (
        None if longitudinal is None else Longitudinal(longitudinal),
        None if lateral is None else Lateral(lateral),
        None if direction is None else Direction(direction),
    )
