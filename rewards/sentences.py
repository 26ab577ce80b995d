"""Free text cut into what the driver does and why: manoeuvre clauses, cause clauses, negations.

Role: the grammar that intent and factor parsers share, so that "the right turn of the route" in a cause is
never taken for a decision to turn right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_CHARS = 4_000
_SENTENCE = re.compile(r"[.!?;\n]+")
_CAUSE_FIRST = re.compile(r"^\s*(?:because|since|as|due to|given(?: that)?|with|when|while)\b([^,]*),(.*)$")
_CONSEQUENCE = re.compile(r"\b(?:so|therefore|thus|hence|which means|consequently)\b")
_AFTER_AS = "a|an|the|there|this|that|it|its|my|we|another|oncoming|cross|traffic|nothing|cones|someone"
_CAUSE = re.compile(
    r"\b(?:because(?: of)?|since|due to|owing to|given(?: that)?|in response to|thanks to"
    rf"|as (?=(?:{_AFTER_AS})\b)|as$)"
)
_NEGATION = re.compile(
    r"\b(?:not|never|without|cannot|can't|don't|doesn't|won't|shouldn't|needn't|isn't|aren't|nor|neither"
    r"|instead of|rather than|avoid|avoids|avoiding|unnecessary to|no (?:need|reason|cause)(?: to| for)?)\b"
)
_NEGATION_REACH = 4


@dataclass(frozen=True)
class Parts:
    """Lower-case clauses of a text: what is done, and why."""

    manoeuvres: tuple[str, ...]
    causes: tuple[str, ...]


def split(text: str) -> Parts:
    """Cut a text at its connectors. "A because B", "because B, A" and "B, so A" all give A done for B."""
    manoeuvres: list[str] = []
    causes: list[str] = []
    for sentence in _SENTENCE.split(" ".join(text[:MOST_CHARS].lower().replace("’", "'").split())):
        pieces = _CONSEQUENCE.split(sentence, maxsplit=1)
        if len(pieces) == 2 and pieces[0].strip():
            causes.append(pieces[0].strip())
            sentence = pieces[1]
        inverted = _CAUSE_FIRST.match(sentence)
        if inverted:
            causes.append(inverted[1].strip())
            sentence = inverted[2]
        done, *why = _CAUSE.split(sentence, maxsplit=1)
        manoeuvres.append(done.strip())
        causes.extend(part.strip() for part in why)
    return Parts(tuple(filter(None, manoeuvres)), tuple(filter(None, causes)))


def is_negated(clause: str, start: int) -> bool:
    """Whether a negation stands within four words before position `start`, in the same phrase (commas,
    "and", "but" and "then" end its reach)."""
    before = re.split(r",|\b(?:and|but|then)\b", clause[:start])[-1]
    near = " ".join(before.split()[-_NEGATION_REACH:])
    return _NEGATION.search(near) is not None
