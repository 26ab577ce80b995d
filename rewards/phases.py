"""Manoeuvre clauses put in the order in which they are to happen.

Role: from "turn left after yielding" to yield first, turn second. A phase is what is said to happen at one
time; phases follow each other. Order comes from words of order alone ("then", "before turning", "once
stopped", "first … afterwards …"): sentences and "and" without one speak of one phase.
Invariant: a text without words of order is one phase with every clause as it stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

from rewards.commitment import committed
from rewards.sentences import Parts

_NEXT = (
    r"then|afterwards?|after (?:that|which|this)|thereafter|subsequently|later(?: on)?|finally|followed by"
    r"|at last|from there|(?<!the )(?:second(?:ly)?|third(?:ly)?)(?! (?:exit|street|lane|road))"
    r"|(?<!the )(?<!our )(?<!lane )next(?=,? (?!lane|to\b|car|vehicle|street|exit))"
)
_THEN = re.compile(rf"(?:^|,|\s)\s*(?:(?:and|but) )?,?\s*\b(?:{_NEXT})\b,?")
_TRAILING = re.compile(
    r"(?:,|\band\b)\s*(?!then)([^,]+?)"
    r" (?:afterwards?|after (?:that|this)|thereafter|later(?: on)?|next|finally)\s*$"
)
_FIRST_OF_ALL = re.compile(r"^\s*(?:at )?first(?:ly| of all)?,?\s+|^\s*(?:initially|for now),?\s+")
_OWN_ACT = r"(?:\w+ly )?(?:having )?(?:\w+ing\b(?! (?:car|vehicle|traffic|truck|van|bus))|let\b|stopped)"
_BEFORE = re.compile(rf"\b(?:before|prior to|until)(?: (?:we|i|you))? (?={_OWN_ACT}|turn |merge |change )")
_BEFORE_FIRST = re.compile(r"^\s*(?:before|prior to) ([^,]+),(.*)$")
_AFTER_FIRST = re.compile(r"^\s*(?:after|once|as soon as|when|(?=having ))\s*([^,]+),(.*)$")
_THEN_AFTER = re.compile(r"^(.*?),? (?:and|but) (?:after|once|as soon as|when)\b ([^,]+), (.*)$")
_AFTER = re.compile(r"\b(?:after|once|as soon as|when)\b")
_IS_OWN_ACT = re.compile(rf"^\s*(?:(?:we|i|you) (?:have |are |'ve )?)?{_OWN_ACT}")
_NOW = re.compile(r"\b(?:now|immediately|at once|right away|straight away|instantly|promptly)\b")


class Timing(StrEnum):
    """When a phase is to begin, where the text says so."""

    NOW = "now"
    AFTER_EVENT = "after_event"


@dataclass
class Phase:
    """clauses: what is done at this time; event: what it waits for, in the text's words."""

    clauses: list[str] = field(default_factory=list)
    event: str | None = None

    @property
    def timing(self) -> Timing | None:
        """AFTER_EVENT where it waits for something, NOW where it says so, else None."""
        if self.event is not None:
            return Timing.AFTER_EVENT
        return Timing.NOW if any(_NOW.search(clause) for clause in self.clauses) else None


def phases(parts: Parts) -> list[Phase]:
    """The phases of a text in their order; at least one, possibly empty."""
    out = [Phase()]
    for clause, waits in zip(parts.manoeuvres, parts.waits, strict=True):
        first, *later = _ordered(committed(clause))
        if first.clauses or first.event:
            out[-1].clauses += first.clauses
            out[-1].event = out[-1].event or first.event or waits
        out += later
    return out


def _ordered(clause: str) -> list[Phase]:
    """A clause's phases; the first one belongs to what was said before, and is empty where the clause begins
    with a word of order."""
    clause = _TRAILING.sub(r" then \1", clause)
    clause = _FIRST_OF_ALL.sub("", clause)
    pieces = _THEN.split(clause)
    if len(pieces) > 1:
        # In "A, B, then C" the commas count.
        pieces = [part for piece in pieces[:-1] for part in _commas(piece)] + [pieces[-1]]
    out: list[Phase] = []
    for piece in pieces:
        out += _around_after(piece)
    return out


def _commas(piece: str) -> list[str]:
    if _BEFORE_FIRST.match(piece) or _AFTER_FIRST.match(piece):
        return [piece]
    return piece.split(",")


def _around_after(piece: str) -> list[Phase]:
    """Undo "before B, A", "A before B", "after A, B" and "B after A"."""
    opening = _BEFORE_FIRST.match(piece)
    if opening:
        return [Phase([opening[2].strip()]), Phase([opening[1].strip()])]
    opening = _AFTER_FIRST.match(piece)
    if opening:
        return _after(opening[1], opening[2])
    middle = _THEN_AFTER.match(piece)
    if middle:
        return [Phase([middle[1].strip()])] + _after(middle[2], middle[3])
    pieces = _BEFORE.split(piece, maxsplit=1)
    if len(pieces) == 2 and pieces[0].strip():
        return [Phase([part.strip()]) for part in pieces]
    pieces = _AFTER.split(piece, maxsplit=1)
    if len(pieces) == 2 and pieces[0].strip():
        # In "A, and B once C" only B waits.
        *sooner, later = pieces[0].rsplit(",", 1)
        return [Phase([part.strip()]) for part in sooner] + _after(pieces[1], later)
    return [Phase([piece.strip()]) if piece.strip() else Phase()]


def _after(earlier: str, later: str) -> list[Phase]:
    """Two phases where what comes first is an act of ours, else one that waits for an event."""
    if _IS_OWN_ACT.match(earlier):
        act = re.sub(r"\bstopped\b", "stopping", earlier.strip())
        return [Phase([act]), Phase([later.strip()])]
    return [Phase([later.strip()], event=earlier.strip())]
