"""Free text cut into what the driver does and why: manoeuvre clauses, cause clauses, negations.

Role: the grammar that intent and factor parsers share, so that "the right turn of the route" in a cause is
never taken for a decision to turn right. Questions are neither: they state nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_CHARS = 4_000
_SENTENCE = re.compile(r"([.!?;\n]+)")
_CAUSE_FIRST = re.compile(r"^\s*(because|since|as|due to|given(?: that)?|with|when|while)\b([^,]*),(.*)$")
_CONSEQUENCE = re.compile(
    r"\b(?:so(?! (?:that|as|far|long)\b)|therefore|thus|hence|which means|consequently)\b"
)
_AFTER_AS = "a|an|the|there|this|that|it|its|my|we|our|another|oncoming|cross|traffic|nothing|cones|someone"
_CAUSE = re.compile(
    r"\b(?:because(?: of)?|since|due to|owing to|given(?: that)?|in response to|thanks to"
    rf"|as (?=(?:{_AFTER_AS})\b)|as$)"
)
_NEGATION = re.compile(
    r"\b(?:not|never|without|cannot|can't|don't|doesn't|won't|shouldn't|needn't|isn't|aren't|nor|neither"
    r"|instead of|rather than|avoid|avoids|avoiding|unnecessary to|forget(?: about)?|never mind"
    r"|no (?:need|reason|cause)(?: to| for)?)\b"
    r"|\bno(?= *$)"
)
# "do not hesitate to brake", "cannot go on without yielding": two denials, so a statement.
_AFFIRMED = re.compile(
    r"\b(?:(?:not|never|don't|doesn't) (?:hesitate|forget|fail|neglect)"
    r"|(?:cannot|can't|not|never) (?:\w+ ){1,3}without)\b"
)
_DENIED_AFTER = re.compile(
    r"^(?: \w+){0,3} (?:is|are|was|seems|makes) (?:not|no sense|unnecessary|impossible|pointless|out of)\b"
    r"|^(?: \w+){0,3} (?:isn't|aren't|won't)\b"
)
_PHRASE_END = re.compile(r",|:|\b(?:and|but|then)\b")
_NEGATION_REACH = 4
# The longest stretch of a clause that bears on a phrase in it, so that no text takes long.
REACH_CHARS = 200


@dataclass(frozen=True)
class Parts:
    """Lower-case clauses of a text: what is done, and why. waits: for each manoeuvre the event that it waits
    for ("when the light turns green"), or None."""

    manoeuvres: tuple[str, ...]
    causes: tuple[str, ...]
    waits: tuple[str | None, ...] = ()


def split(text: str) -> Parts:
    """Cut a text at its connectors. "A because B", "because B, A" and "B, so A" all give A done for B."""
    done_when: list[tuple[str, str | None]] = []
    causes: list[str] = []
    for sentence in _statements(text):
        waits = None
        pieces = _CONSEQUENCE.split(sentence, maxsplit=1)
        if len(pieces) == 2 and pieces[0].strip():
            causes.append(pieces[0].strip())
            sentence = pieces[1]
        inverted = _CAUSE_FIRST.match(sentence)
        if inverted:
            cause = inverted[2].strip()
            causes.append(cause)
            waits = cause if inverted[1] == "when" or cause.startswith("soon as ") else None
            sentence = inverted[3]
        done, *why = _CAUSE.split(sentence, maxsplit=1)
        done_when.append((done.strip(), waits))
        causes.extend(part.strip() for part in why)
    done_when = [(done, waits) for done, waits in done_when if done]
    return Parts(
        tuple(done for done, _ in done_when), tuple(filter(None, causes)), tuple(w for _, w in done_when)
    )


def _statements(text: str) -> list[str]:
    """The lower-case sentences of a text that are no questions, without their full stops."""
    plain = " ".join(text[:MOST_CHARS].lower().replace("’", "'").split())
    pieces = [*_SENTENCE.split(plain), ""]
    return [body for body, end in zip(pieces[::2], pieces[1::2], strict=True) if "?" not in end]


def phrase_before(clause: str, start: int) -> str:
    """What stands before position `start` in the same phrase (commas, "and", "but" and "then" end one)."""
    return _PHRASE_END.split(clause[max(start - REACH_CHARS, 0) : start])[-1]


def is_negated(clause: str, start: int, end: int | None = None) -> bool:
    """Whether a negation stands within four words before position `start`, in the same phrase, or, with
    `end`, right after it ("a lane change is not possible")."""
    if end is not None and _DENIED_AFTER.search(clause[end : end + REACH_CHARS]):
        return True
    near = " ".join(_AFFIRMED.sub("", phrase_before(clause, start)).split()[-_NEGATION_REACH:])
    return _NEGATION.search(near) is not None
