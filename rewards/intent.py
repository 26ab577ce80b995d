"""What a reasoning text says the vehicle will do: decisions, side, speed, order and timing.

Role: the parser that the consistency reward and the reasoning rubric share.
Invariants: never raises on any text; an axis for which two different decisions are affirmed for the same time
is a conflict and stays None, so that naming several decisions gains nothing; an axis of which nothing is
said, while the other is decided, is at its default (lane keeping, set speed), as in the world's labels.
Only what the driver commits to counts: see `rewards.commitment`. Order: see `rewards.phases`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from rewards.decision_phrases import LATERAL, LONGITUDINAL, SPEED, Speed
from rewards.mentions import Mention, compiled, mentions
from rewards.phases import Phase, Timing, phases
from rewards.sentences import split
from scenes.decisions import Direction, Lateral, Longitudinal

REMEMBERED = 16_384
DEFAULT_LONGITUDINAL = Longitudinal.SET_SPEED_TRACKING
DEFAULT_LATERAL = Lateral.LANE_KEEPING


@dataclass(frozen=True)
class Step:
    """What is to happen at one time. longitudinal, lateral: the decisions stated, None for an axis of which
    this step says nothing; direction: side of the lateral manoeuvre; speed: explicit words of speed; timing:
    whether it begins at once or waits; event: what it waits for, in the text's words."""

    longitudinal: Longitudinal | None
    lateral: Lateral | None
    direction: Direction | None = None
    speed: Speed | None = None
    timing: Timing | None = None
    event: str | None = None


@dataclass(frozen=True)
class Intent:
    """longitudinal and lateral: the decisions, of several steps the first on each axis, None where the text
    says none or contradicts itself; direction: side of the lateral manoeuvre; speed: explicit words of speed;
    matched: the phrases that decided; conflicts: why an axis is None although something was said; steps: in
    their order, empty unless parsed; ignored: phrases that do not count, each with the reason."""

    longitudinal: Longitudinal | None
    lateral: Lateral | None
    direction: Direction | None
    speed: Speed | None
    matched: tuple[str, ...]
    conflicts: tuple[str, ...]
    steps: tuple[Step, ...] = ()
    ignored: tuple[str, ...] = ()

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
NUDGES = {Lateral.IN_LANE_NUDGE, Lateral.OUT_OF_LANE_NUDGE}
WITHIN_LANE = {Lateral.IN_LANE_NUDGE}
# What an abort gives up is not done.
GIVEN_UP = {Lateral.LANE_CHANGE, Lateral.MERGE_SPLIT, Lateral.LANE_KEEPING}
_BACK = re.compile(r"\b(?:back|return|stay|remain)")
# Beside a nudge, room for somebody is what the nudge gives, not a distance to follow at.
_ROOM = re.compile(r"\b(?:room|space)\b")
DIRECTIONAL = frozenset(Lateral) - {Lateral.LANE_KEEPING}

_LONGITUDINAL, _LATERAL, _SPEED = compiled(LONGITUDINAL), compiled(LATERAL), compiled(SPEED)


@dataclass(frozen=True)
class _Read:
    """One phase, read: mentions that count on each axis, sides said, and what was screened out."""

    longitudinal: list[Mention]
    lateral: list[Mention]
    speed: Speed | None
    phase: Phase
    ignored: tuple[str, ...]

    @property
    def sides(self) -> list[str]:
        return sorted({m.side for m in self.lateral if m.side in ("left", "right")})


@lru_cache(maxsize=REMEMBERED)
def parse_intent(text: str) -> Intent:
    """The intent of a reasoning text; see the module. Remembered: a group's rollouts often say the same."""
    read = [_read(phase) for phase in phases(split(text))]
    conflicts = [conflict for phase in read for conflict in _conflicts(phase)]
    ignored = tuple(dict.fromkeys(word for phase in read for word in phase.ignored))
    steps = [] if conflicts else _steps(read)
    clauses = [clause for phase in read for clause in phase.phase.clauses]
    matched = tuple(m.phrase for axis in ("lateral", "longitudinal") for r in read for m in getattr(r, axis))
    lon, lat, direction = _whole(read, conflicts)
    return Intent(lon, lat, direction, _speed(clauses), matched, tuple(conflicts), tuple(steps), ignored)


def from_steps(steps: Sequence[Step], matched: tuple[str, ...]) -> Intent:
    """The intent of steps that somebody else has read, without words of speed; empty steps give an unparsed
    one. Equal neighbours are one step."""
    kept = [step for n, step in enumerate(steps) if n == 0 or _states(step) != _states(steps[n - 1])]
    kept = [step for step in kept if step.longitudinal or step.lateral]
    if not kept:
        return Intent(None, None, None, None, (), ())
    pace = next((step.longitudinal for step in kept if step.longitudinal), DEFAULT_LONGITUDINAL)
    way = next((step for step in kept if step.lateral), Step(None, DEFAULT_LATERAL))
    return Intent(pace, way.lateral, way.direction, None, matched, (), tuple(kept))


def _whole(
    read: list[_Read], conflicts: list[str]
) -> tuple[Longitudinal | None, Lateral | None, Direction | None]:
    """The first decision on each axis and its side; an axis with a conflict stays None."""
    spoken_lon, spoken_lat = ([r for r in read if getattr(r, axis)] for axis in ("longitudinal", "lateral"))
    broken = " ".join(conflicts)
    lon = Longitudinal(spoken_lon[0].longitudinal[0].decision) if spoken_lon else None
    lat = Lateral(spoken_lat[0].lateral[0].decision) if spoken_lat else None
    lon = None if "longitudinal:" in broken else lon
    lat = None if "lateral:" in broken else lat
    if not spoken_lon and lat is not None:
        lon = DEFAULT_LONGITUDINAL
    if not spoken_lat and lon is not None:
        lat = DEFAULT_LATERAL
    sides = spoken_lat[0].sides if spoken_lat else []
    return lon, lat, Direction(sides[0]) if lat in DIRECTIONAL and len(sides) == 1 else None


def _read(phase: Phase) -> _Read:
    heard_lon: list[Mention] = []
    heard_lat: list[Mention] = []
    for clause in phase.clauses:
        path, pace, _ = _heard(clause)
        given_up = [m for m in path if m.decision is Lateral.ABORT]
        heard_lat += path
        # "stop moving over" is no stop, and what "drop the overtaking move" drops is not done.
        heard_lon += [m for m in pace if all(m.end <= gone.start or m.start >= gone.end for gone in given_up)]
    if any(m.decision in NUDGES and not m.denied for m in heard_lat):
        heard_lon = [m for m in heard_lon if not _ROOM.search(m.phrase)]
    ignored = tuple(f"{m.phrase} ({m.denied})" for m in [*heard_lat, *heard_lon] if m.denied)
    return _Read(
        _resolve_speed([m for m in heard_lon if not m.denied]),
        _resolve_path([m for m in heard_lat if not m.denied]),
        _speed(phase.clauses),
        phase,
        ignored,
    )


@lru_cache(maxsize=REMEMBERED)
def _heard(clause: str) -> tuple[list[Mention], list[Mention], list[Mention]]:
    """Mentions of path, of speed decisions and of speed words. Remembered: texts differ more in their causes
    than in what they do."""
    return mentions(clause, _LATERAL), mentions(clause, _LONGITUDINAL), mentions(clause, _SPEED)


def _conflicts(read: _Read) -> Iterator[str]:
    for axis, found in (("longitudinal", read.longitudinal), ("lateral", read.lateral)):
        names = sorted({str(m.decision) for m in found})
        if len(names) > 1:
            yield f"{axis}: says both {' and '.join(names)}"
    one_manoeuvre = len({m.decision for m in read.lateral}) == 1 and read.lateral[0].decision in DIRECTIONAL
    if one_manoeuvre and len(read.sides) > 1:
        yield "lateral: says both left and right"


def _steps(read: list[_Read]) -> list[Step]:
    """A step for each phase that states something; equal neighbours are one."""
    steps: list[Step] = []
    for phase in read:
        if not phase.longitudinal and not phase.lateral:
            continue
        lateral = Lateral(phase.lateral[0].decision) if phase.lateral else None
        side = phase.sides[0] if lateral in DIRECTIONAL and phase.sides else None
        step = Step(
            Longitudinal(phase.longitudinal[0].decision) if phase.longitudinal else None,
            lateral,
            Direction(side) if side else None,
            phase.speed,
            phase.phase.timing,
            phase.phase.event,
        )
        if steps and _states(steps[-1]) == _states(step):
            continue
        steps.append(step)
    return steps


def _states(step: Step) -> tuple[object, ...]:
    return step.longitudinal, step.lateral, step.direction


def _resolve_speed(found: list[Mention]) -> list[Mention]:
    """Drop "slow down" beside a decision that slows anyway, and a stop made in order to yield."""
    decisions = {m.decision for m in found}
    if decisions & SLOWING:
        found = [m for m in found if m.decision is not Longitudinal.SPEED_ADAPTATION]
    if Longitudinal.YIELD in decisions:
        found = [m for m in found if m.decision is not Longitudinal.STOP_STATIC]
    return found


def _resolve_path(found: list[Mention]) -> list[Mention]:
    """Drop "keep in the lane" beside a nudge within it, and the manoeuvre that an abort gives up."""
    decisions = {m.decision for m in found}
    if decisions & WITHIN_LANE:
        found = [m for m in found if m.decision is not Lateral.LANE_KEEPING]
    if Lateral.ABORT in decisions:
        # "return to the lane on the right" names the side of the abort; "the change to the left" does not.
        goes_back = [m for m in found if m.decision in GIVEN_UP and _BACK.search(m.phrase)]
        found = [m for m in found if m.decision not in GIVEN_UP]
        if not any(m.side in ("left", "right") for m in found):
            found += [replace(m, decision=Lateral.ABORT) for m in goes_back]
    return found


def _speed(clauses: list[str]) -> Speed | None:
    """The strongest speed word: stop over slow over keep; None where speeding up and slowing are both said."""
    said = set(_spoken(clauses))
    if Speed.ACCELERATE in said:
        return None if said & {Speed.STOP, Speed.SLOW} else Speed.ACCELERATE
    return next((speed for speed in (Speed.STOP, Speed.SLOW, Speed.KEEP) if speed in said), None)


def _spoken(clauses: list[str]) -> Iterator[StrEnum]:
    for clause in clauses:
        for mention in _heard(clause)[2]:
            if not mention.denied:
                yield mention.decision
