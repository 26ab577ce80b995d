"""What a reasoning text says the vehicle will do: decisions, side and speed intent.

Role: the parser that the consistency reward and the reasoning rubric share.
Invariants: never raises on any text; an axis for which two different decisions are affirmed is a conflict
and stays None, so that naming several decisions gains nothing; an axis of which nothing is said, while the
other is decided, is at its default (lane keeping, set speed), as in the world's labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from rewards.decision_phrases import LATERAL, LONGITUDINAL, SPEED, Speed
from rewards.sentences import is_negated, split
from scenes.decisions import Direction, Lateral, Longitudinal

REMEMBERED = 4_096
DEFAULT_LONGITUDINAL = Longitudinal.SET_SPEED_TRACKING
DEFAULT_LATERAL = Lateral.LANE_KEEPING


@dataclass(frozen=True)
class Intent:
    """longitudinal and lateral: the decisions, None where the text says none or contradicts itself;
    direction: side of the lateral manoeuvre; speed: explicit words of speed; matched: the phrases that
    decided; conflicts: why an axis is None although something was said."""

    longitudinal: Longitudinal | None
    lateral: Lateral | None
    direction: Direction | None
    speed: Speed | None
    matched: tuple[str, ...]
    conflicts: tuple[str, ...]

    @property
    def parsed(self) -> bool:
        """Whether both axes are known."""
        return self.longitudinal is not None and self.lateral is not None


# Said beside these, "slow down" or "brake" is how they are carried out, not a decision of its own.
SLOWING = {
    Longitudinal.LEAD_FOLLOWING,
    Longitudinal.GAP_SEARCHING,
    Longitudinal.YIELD,
    Longitudinal.STOP_STATIC,
}
# Said beside a manoeuvre that goes on from the lane, the lane phrase only says where it happens.
WITHIN_LANE = {Lateral.IN_LANE_NUDGE}
DIRECTIONAL = frozenset(Lateral) - {Lateral.LANE_KEEPING}


@dataclass(frozen=True)
class _Mention:
    decision: StrEnum
    phrase: str
    start: int
    end: int
    side: str | None


def _compile(table: dict) -> list[tuple[StrEnum, re.Pattern[str]]]:
    return [(d, re.compile(rf"\b(?:{p})\b")) for d, patterns in table.items() for p in patterns]


_LONGITUDINAL, _LATERAL, _SPEED = _compile(LONGITUDINAL), _compile(LATERAL), _compile(SPEED)


@lru_cache(maxsize=REMEMBERED)
def parse_intent(text: str) -> Intent:
    """The intent of a reasoning text; see the module. Remembered: a group's rollouts often say the same."""
    parts = split(text)
    clauses = parts.manoeuvres
    longitudinal = _resolve_speed([m for c in clauses for m in _mentions(c, _LONGITUDINAL)])
    lateral = _resolve_path([m for c in clauses for m in _mentions(c, _LATERAL)])
    conflicts = []
    for axis, found in (("longitudinal", longitudinal), ("lateral", lateral)):
        names = sorted({str(m.decision) for m in found})
        if len(names) > 1:
            conflicts.append(f"{axis}: says both {' and '.join(names)}")
    lon = _only(longitudinal)
    lat = _only(lateral)
    sides = {m.side for m in lateral if m.side in ("left", "right")}
    if lat in DIRECTIONAL and len(sides) > 1:
        conflicts.append("lateral: says both left and right")
        lat = None
    if not longitudinal and lat is not None:
        lon = DEFAULT_LONGITUDINAL
    if not lateral and lon is not None:
        lat = DEFAULT_LATERAL
    return Intent(
        longitudinal=Longitudinal(lon) if lon else None,
        lateral=Lateral(lat) if lat else None,
        direction=Direction(next(iter(sides))) if lat in DIRECTIONAL and len(sides) == 1 else None,
        speed=_speed(clauses),
        matched=tuple(m.phrase for m in [*lateral, *longitudinal]),
        conflicts=tuple(conflicts),
    )


def _mentions(clause: str, table: list[tuple[StrEnum, re.Pattern[str]]]) -> list[_Mention]:
    """Affirmed mentions in a clause; of overlapping ones only the longest."""
    found = [
        _Mention(decision, match[0], match.start(), match.end(), match.groupdict().get("side"))
        for decision, pattern in table
        for match in pattern.finditer(clause)
    ]
    kept: list[_Mention] = []
    for mention in sorted(found, key=lambda m: m.start - m.end):
        if all(mention.end <= k.start or mention.start >= k.end for k in kept):
            kept.append(mention)
    return [m for m in sorted(kept, key=lambda m: m.start) if not is_negated(clause, m.start)]


def _resolve_speed(mentions: list[_Mention]) -> list[_Mention]:
    """Drop "slow down" beside a decision that slows anyway, and a stop made in order to yield."""
    decisions = {m.decision for m in mentions}
    if decisions & SLOWING:
        mentions = [m for m in mentions if m.decision is not Longitudinal.SPEED_ADAPTATION]
    if Longitudinal.YIELD in decisions:
        mentions = [m for m in mentions if m.decision is not Longitudinal.STOP_STATIC]
    return mentions


def _resolve_path(mentions: list[_Mention]) -> list[_Mention]:
    """Drop "keep in the lane" beside a nudge within it, and the manoeuvre that an abort gives up."""
    decisions = {m.decision for m in mentions}
    if decisions & WITHIN_LANE:
        mentions = [m for m in mentions if m.decision is not Lateral.LANE_KEEPING]
    if Lateral.ABORT in decisions:
        given_up = {Lateral.LANE_CHANGE, Lateral.MERGE_SPLIT}
        mentions = [m for m in mentions if m.decision not in given_up]
    return mentions


def _only(mentions: list[_Mention]) -> StrEnum | None:
    decisions = {m.decision for m in mentions}
    return next(iter(decisions)) if len(decisions) == 1 else None


def _speed(clauses: tuple[str, ...]) -> Speed | None:
    """The strongest speed word: stop over slow over keep; None where speeding up and slowing are both said."""
    said = set(_spoken(clauses))
    if Speed.ACCELERATE in said:
        return None if said & {Speed.STOP, Speed.SLOW} else Speed.ACCELERATE
    return next((speed for speed in (Speed.STOP, Speed.SLOW, Speed.KEEP) if speed in said), None)


def _spoken(clauses: tuple[str, ...]) -> Iterator[StrEnum]:
    for clause in clauses:
        for mention in _mentions(clause, _SPEED):
            yield mention.decision
