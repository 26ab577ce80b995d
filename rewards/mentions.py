"""Where a clause speaks of a decision: found phrases, of overlapping ones the longest, screened.

Role: between the phrase tables and the intent parser.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from rewards.commitment import why_not

D = TypeVar("D", bound=StrEnum)
Table = list[tuple[StrEnum, re.Pattern[str]]]


@dataclass(frozen=True)
class Mention:
    """decision: what the phrase names; start, end: its place in the clause; side: "left", "right" or another
    word in a side's place; denied: why it does not count, None where it does."""

    decision: StrEnum
    phrase: str
    start: int
    end: int
    side: str | None
    denied: str | None = None


def compiled(table: Mapping[D, Iterable[str]]) -> Table:
    """Patterns of a phrase table, each to match at word boundaries."""
    return [(d, re.compile(rf"\b(?:{p})(?!\w)")) for d, patterns in table.items() for p in patterns]


def mentions(clause: str, table: Table) -> list[Mention]:
    """What a clause mentions, in order, screened by `rewards.commitment`."""
    found = [
        Mention(decision, match[0], match.start(), match.end(), match.groupdict().get("side"))
        for decision, pattern in table
        for match in pattern.finditer(clause)
    ]
    taken = bytearray(len(clause))
    kept: list[Mention] = []
    for mention in sorted(found, key=lambda m: m.start - m.end):
        if not any(taken[mention.start : mention.end]):
            taken[mention.start : mention.end] = b"\1" * (mention.end - mention.start)
            kept.append(mention)
    return [
        Mention(m.decision, m.phrase, m.start, m.end, m.side, why_not(clause, m.start, m.end))
        for m in sorted(kept, key=lambda m: m.start)
    ]
