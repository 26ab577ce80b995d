"""Which causes a reasoning text names, in the closed set of causal factors.

Role: the parser that the reasoning rubric and the labelling tools share. Causes are read from the clauses
after "because", "since", "as", "due to" …; a text without such a clause is read whole.
Invariants: never raises on any text; a factor named twice counts once; a denied one ("no pedestrian") does
not count.
"""

from __future__ import annotations

import re
from functools import lru_cache

from rewards.sentences import is_negated, split
from scenes.decisions import FactorKind

_CAR = r"(?:car|vehicle|truck|van|bus)"

# Kind → phrases; where phrases of two kinds overlap, the longer match wins ("the parked vehicle ahead" is no
# lead vehicle). Covers every factor phrase of scenes.world.phrasing (tested).
PHRASES: dict[FactorKind, tuple[str, ...]] = {
    FactorKind.LEAD_VEHICLE: (
        rf"lead(?:ing)? {_CAR}",
        rf"(?:slow(?:er|ing)?|stopped|braking|preceding) {_CAR}(?: (?:in front|ahead))?",
        rf"{_CAR} (?:in front|ahead)(?: is (?:slow(?:er)?|closing in|braking|stopped))?",
        r"traffic ahead",
    ),
    FactorKind.CUT_IN_VEHICLE: (
        rf"{_CAR} (?:that |which )?(?:is |just )?cut(?:s|ting)?(?: in)?(?: ahead)?",
        r"(?:cut|cuts|cutting)[ -]in(?:to)?",
        rf"neighbou?ring {_CAR} drift(?:s|ing)? into",
    ),
    FactorKind.CROSS_TRAFFIC: (
        r"cross(?:ing)?[ -]traffic",
        rf"crossing {_CAR}",
        rf"{_CAR} (?:that |which )?(?:is )?cross(?:es|ing)(?: ahead| from the (?:left|right))?",
        rf"{_CAR} from the (?:left|right)",
    ),
    FactorKind.ONCOMING_VEHICLE: (
        rf"oncoming (?:{_CAR}|traffic)",
        rf"{_CAR} (?:is |that is )?coming the other way",
    ),
    FactorKind.ADJACENT_VEHICLE: (
        rf"{_CAR} (?:blocks|occupies|is in|in) the (?:next|adjacent|neighbou?ring|left|right) lane",
        rf"{_CAR} alongside",
        r"(?:adjacent|next|neighbou?ring) lane is (?:occupied|blocked)",
        rf"(?:adjacent|neighbou?ring) {_CAR}",
    ),
    FactorKind.PARKED_VEHICLE: (
        rf"parked {_CAR}(?: ahead)?",
        rf"{_CAR} (?:is |that is )?parked(?: at the side)?",
    ),
    FactorKind.PEDESTRIAN: (r"pedestrians?", r"person", r"people", r"walkers?"),
    FactorKind.CYCLIST: (r"(?:slow )?cyclists?(?: (?:is )?ahead)?", r"(?:slow )?bicycles?", r"bikes?"),
    FactorKind.CONES: (r"(?:traffic )?cones?",),
    FactorKind.RED_LIGHT: (
        r"red (?:traffic )?(?:light|signal)",
        r"(?:light|signal)(?: ahead)? (?:is|shows|turned|turns) red",
    ),
    FactorKind.GREEN_LIGHT: (
        r"green (?:traffic )?(?:light|signal)",
        r"(?:light|signal)(?: ahead)? (?:is|shows|turned|turns) green",
    ),
    FactorKind.STOP_SIGN: (r"stop signs?",),
    FactorKind.CURVE: (
        r"(?:sharp |tight )?(?:curves?|bends?)(?! (?:left |right )?at the junction)(?: ahead)?",
        r"road (?:curves|bends)(?: ahead)?",
    ),
    FactorKind.LANE_END: (
        r"lane (?:\w+ )?(?:ends?|ending|runs out)",
        r"ending lane",
        r"end of the lane",
    ),
    FactorKind.ROUTE_TURN: (
        r"route(?: (?:bends|turns|goes|leads))?(?: to the)?(?: (?:left|right))?(?: at the junction)?",
        r"(?:left|right) turn of the route",
        r"(?:lane|road) only (?:leads|goes) (?:left|right)",
    ),
    FactorKind.SPEED_LIMIT: (r"(?:new |lower )?speed limit(?: sign)?",),
}
_COMPILED = [(k, re.compile(rf"\b(?:{p})\b")) for k, patterns in PHRASES.items() for p in patterns]
_DENIED = re.compile(r"\b(?:no|without|not|free of|clear of|never|isn't|aren't)(?: (?!and\b)\w+){0,2} $")


@lru_cache(maxsize=4_096)
def parse_factors(text: str) -> frozenset[FactorKind]:
    """The kinds of factor that a text gives as causes; see the module."""
    parts = split(text)
    return frozenset(kind for clause in parts.causes or parts.manoeuvres for kind in _named(clause))


def _named(clause: str) -> list[FactorKind]:
    found = [
        (match.end() - match.start(), match.start(), match.end(), kind)
        for kind, pattern in _COMPILED
        for match in pattern.finditer(clause)
    ]
    kept: list[tuple[int, int, FactorKind]] = []
    for _, start, end, kind in sorted(found, key=lambda f: (-f[0], f[1])):
        if all(end <= s or start >= e for s, e, _ in kept):
            kept.append((start, end, kind))
    return [
        kind
        for start, _, kind in kept
        if not _DENIED.search(clause[:start]) and not is_negated(clause, start)
    ]
