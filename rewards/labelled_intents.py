"""The labelled sentences of rewards/labelled/intents.jsonl: what a person takes each of them to say.

Role: the ground truth by which the intent parser is tuned (development half) and judged (held-out half).
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

FILE = Path(__file__).parent / "labelled" / "intents.jsonl"
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


class Half(StrEnum):
    """Which part of the set a sentence belongs to."""

    DEVELOPMENT = "development"
    HELD_OUT = "held-out"


Decisions = tuple[Longitudinal | None, Lateral | None, Direction | None]


@dataclass(frozen=True)
class LabelledText:
    """decisions: of the whole text, both None where it states none or contradicts itself; steps: what each
    step states, in order, empty for a text of one step; tags: kinds of difficulty, of TAGS."""

    text: str
    decisions: Decisions
    steps: tuple[Decisions, ...]
    tags: frozenset[str]

    @property
    def half(self) -> Half:
        """Development where the first byte of the text's SHA-256 is even."""
        first = hashlib.sha256(self.text.encode()).digest()[0]
        return Half.HELD_OUT if first % 2 else Half.DEVELOPMENT


def load(path: Path = FILE) -> tuple[LabelledText, ...]:
    """Every labelled sentence of a JSON-lines file, in its order.

    Raises ValueError naming the line for JSON, decisions or tags that are not of the closed sets."""
    return tuple(
        _read(line, f"{path.name}:{number}") for number, line in enumerate(path.read_text().splitlines(), 1)
    )


def _read(line: str, where: str) -> LabelledText:
    try:
        row = json.loads(line)
        tags = frozenset(row["tags"])
        if tags - set(TAGS):
            raise ValueError(f"unknown tags {sorted(tags - set(TAGS))}; known: {', '.join(TAGS)}")
        steps = tuple(_decisions(step) for step in row["steps"])
        return LabelledText(str(row["text"]), _decisions(row), steps, tags)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{where}: {error}") from error


def _decisions(row: dict[str, str | None]) -> Decisions:
    longitudinal, lateral, direction = row["longitudinal"], row["lateral"], row["direction"]
    return (
        None if longitudinal is None else Longitudinal(longitudinal),
        None if lateral is None else Lateral(lateral),
        None if direction is None else Direction(direction),
    )
