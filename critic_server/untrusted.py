"""The policy's text as data: what the judge gets to see of it, and what is suspicious about it.

Role: a driving trace is one or two plain English sentences about a scene. Whatever talks about grades, plays a
role, carries markup, code or another alphabet, or runs on for pages, is something else: it is flagged, and the
panel lets no judge grade it above the deterministic rubric (critic_server.panel).
Rules: at most MOST_CHARS characters are shown, the rest is cut, stated in the flags and lost to the trace;
compatibility forms are normalised (NFKC) and invisible characters dropped before any check.
Invariants: never raises on any text; a flag never raises a grade.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

from rewards.intent import parse_intent

MOST_CHARS = 2_000
_GRADING = (
    r"grad(?:e|es|ed|er|ing)|scor(?:e|es|ed|ing)|rubrics?|judges?|judg(?:ed|ing)|evaluat\w*|reward\w*|rating"
    r"|full marks|top marks|out of (?:five|5|ten|10)|[0-9]\s*/\s*(?:5|10)|references?|label(?:l?ed)?"
    r"|ground[- ]truth|answer key|correct answer|instructions?|prompt\w*|system message|json|schema|assistant"
    r"|language model|ignore (?:all|any|the|every|previous|prior|what)|disregard|overrid\w+|verbatim"
    r"|perfect(?:ly|ion)?|excellent|brilliant|outstanding|flawless|masterful|exemplary|superb|genius|you|your"
    r"|please|thank\w*|congratulat\w*|respond with|output|highest grade|expert(?:s|'s)?"
    r"|behaviou?rs?|human driver|(?:same|right|correct|exact|best) (?:causes?|decisions?|reasons?|reasoning)"
)
_FUNCTION_WORDS = (
    "le la les des une est dans vous votre note notez der die das und ist nicht bitte gib eine bewertung el los "
    "las una por favor que ignora il lo gli per questo voto dai o um uma não você nota het een geef cijfer og du "
    "oraz proszę ocenę jest lütfen puan ver tolong beri nilai"
)
_OTHER_LANGUAGES = frozenset(_FUNCTION_WORDS.split())
_ROAD_WORDS = (
    "lane lanes road street light lamp signal sign car cars vehicle vehicles van truck bus traffic leader bike "
    "bicycle cyclist pedestrian pedestrians person people somebody crosswalk crossing junction intersection speed "
    "pace fast slow slower brake braking stop stopping halt wait yield turn left straight merge nudge gap distance "
    "curve bend route cones parked ahead accelerate decelerate overtake pass behind follow"
)
_ROAD = frozenset(_ROAD_WORDS.split())
_CHECKS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "role marker",
        re.compile(
            r"<\|[^>]*\|>|\[/?inst\]|<</?sys>>|^\W*(?:system|assistant|user|human|developer|tool|judge)\b\W*:"
            r"|#{2,}\s*\w+",
            re.IGNORECASE | re.MULTILINE,
        ),
    ),
    ("markup", re.compile(r"</?[a-z_!]|&[a-z]+;|&#", re.IGNORECASE)),
    ("structured data", re.compile(r"[{}\[\]`\\]|\"\w+\"\s*:|\b(?:behaviou?r|causes)\s*[:=]", re.IGNORECASE)),
    ("talk of grading", re.compile(rf"\b(?:{_GRADING})\b", re.IGNORECASE)),
    ("hedge", re.compile(r"\b(?:either|whatever|whichever|somehow)\b", re.IGNORECASE)),
    (
        "encoded text",
        re.compile(r"[A-Za-z0-9+/=_-]{25,}|(?:%[0-9a-f]{2}){3}|\b(?:[01]{8}\s*){3}", re.IGNORECASE),
    ),
)


@dataclass(frozen=True)
class Inspected:
    """seen: what a judge may be shown; flags: why the text is suspicious, empty for plain reasoning."""

    seen: str
    flags: tuple[str, ...]


def inspect(text: str) -> Inspected:
    """Normalise, cut and check a trace; see the module."""
    flags = []
    normal = unicodedata.normalize("NFKC", text[: 4 * MOST_CHARS])
    shown = "".join(c for c in normal if c in "\n\t" or unicodedata.category(c)[0] != "C")
    if shown != normal:
        flags.append("invisible characters")
    if len(text) > MOST_CHARS or len(shown) > MOST_CHARS:
        flags.append(f"over-long: {len(text)} characters, graded on the first {MOST_CHARS}")
        shown = shown[:MOST_CHARS]
    if any(c.isalpha() and not c.isascii() for c in shown) or any(
        c not in "\n\t–—’‘“”…°²³½" and not c.isascii() for c in shown
    ):
        flags.append("other alphabet")
    flags.extend(name for name, pattern in _CHECKS if pattern.search(shown))
    words = re.findall(r"[^\W\d_]+", shown.lower())
    if len(set(words) & _OTHER_LANGUAGES) >= 3:
        flags.append("other language")
    if _repeats(words):
        flags.append("repetition")
    seen = " ".join(shown.split())
    return Inspected(seen, (*flags, *_contents(seen)))


def _contents(seen: str) -> list[str]:
    """What is wrong with what it says: several decisions on one axis, or a sentence without a word
    of the road."""
    flags = ["contradiction"] if parse_intent(seen).conflicts else []
    sentences = [re.findall(r"[a-z]+", part) for part in re.split(r"[.!?;:]+", seen.lower())]
    if any(words and not set(words) & _ROAD for words in sentences) or not any(sentences):
        flags.append("a sentence not about driving")
    return flags


def _repeats(words: list[str]) -> bool:
    """Whether a long text says little: fewer than a third of its words are distinct, or one word is a fifth."""
    if len(words) < 40:
        return False
    return len(set(words)) < len(words) / 3 or Counter(words).most_common(1)[0][1] > len(words) / 5
