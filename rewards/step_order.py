"""Whether a drive carries out several steps, in their order.

Role: the consistency rule for "slow down for the pedestrian, then turn left".

1. On each axis the decisions that the steps state there form a sequence. The drive is cut into as many
   windows as the sequence has decisions, at bounds of the axis's meta-action segments, and decision k must
   satisfy its own rule (rewards.consistency_rules) within window k. A sequence of one decision is held
   against the whole drive, an empty one to its default, exactly as in a text of one step: no axis is free.
2. Across the axes a step must come before the next: the tick at which half of its change (of speed, of
   sideways displacement, of heading) is done is at least LEAST_LEAD_TICKS earlier. Keeping the speed or the
   lane has no such tick and is ordered by its window alone.
3. Slowing down before a decision that slows anyway ("slow down, then stop") is how that one begins: the two
   are one window. Who is to hold the set speed after slowing may first regain what was lost; a manoeuvre
   after a stop implies so much.
4. After a lane change, merge or pull-over, keeping the lane means the new one; after a turn, paths are seen
   from where the turn ended.
5. A step said to be done "now" must be begun within BEGUN_TICKS; a step that waits for an event ("after the
   truck passes") may begin at any time, because a trajectory does not show the event.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import numpy as np

from rewards.comfort import REVERSING_MPS
from rewards.consistency_rules import FASTER, LATERAL_RULES, LONGITUDINAL_RULES, SPEED_WORDS, STEADY
from rewards.decision_phrases import Speed
from rewards.drive import Drive, Motion
from rewards.intent import DEFAULT_LATERAL, DEFAULT_LONGITUDINAL, DIRECTIONAL, SLOWING, Step
from rewards.meta_actions import Segment
from rewards.phases import Timing
from rewards.rule_faults import either_side_faults, path_faults, speed_faults
from scenes.decisions import Direction, Lateral, Longitudinal

LEAST_LEAD_TICKS = 3
BEGUN_TICKS = 20
BEGUN_SHARE = 0.1
NEW_LANE = frozenset({Lateral.LANE_CHANGE, Lateral.MERGE_SPLIT, Lateral.PULL_OVER})
LOSES_SPEED = SLOWING | {Longitudinal.SPEED_ADAPTATION}


@dataclass(frozen=True)
class Part:
    """One decision of an axis's sequence. step: its step's place in the text; said: the step, or a stand-in with
    the decision that it implies; name: the decision in words."""

    step: int
    said: Step
    name: str


@dataclass(frozen=True)
class _Done:
    """A sequence's best reading: faults, and for each part its window's ticks."""

    faults: list[str]
    windows: list[tuple[int, int]]


Rule = Callable[[int, Motion], list[str]]


class _Cuts:
    """A drive cut at any two ticks: the motion of the part between them, each worked out once."""

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self._known: dict[tuple[int, int, bool], Motion] = {}
        # Of so few numbers lists are faster than arrays, but they do not carry a NaN on.
        self._plain = bool(np.isfinite(drive.states).all())
        self._speed, self._yaw = drive.speed.tolist(), drive.states[:, 2].tolist()
        self._offset, self._heading = drive.frame.offset.tolist(), drive.frame.heading.tolist()

    def motion(self, start: int, end: int, in_lane: bool) -> Motion:
        """The motion of ticks start … end - 1; see `Drive.window`."""
        key = start, end, in_lane
        found = self._known.get(key)
        if found is None:
            plain = in_lane and self._plain
            found = self._part(start, end) if plain else self._drive.window(start, end, in_lane).motion
            self._known[key] = found
        return found

    def _part(self, start: int, end: int) -> Motion:
        speed, offset = self._speed[start : end + 1], self._offset[start : end + 1]
        seen, last = self._drive.motion, end == len(self._speed) - 1
        return Motion(
            actions=tuple(
                s.action for s in self._drive.longitudinal if max(s.start, start) < min(s.end, end)
            ),
            start=speed[0],
            final=speed[-1],
            lowest=min(speed),
            highest=max(speed),
            left=max(offset) - offset[0],
            right=offset[0] - min(offset),
            shift=offset[-1] - offset[0],
            turned=self._yaw[end] - self._yaw[start],
            settled=abs(self._heading[end]),
            off=abs(offset[-1]) if self._drive.frame.mapped else math.nan,
            stop_gap=seen.stop_gap if last else math.nan,
            reverses=min(speed) < REVERSING_MPS,
        )


def check_steps(steps: Sequence[Step], drive: Drive) -> tuple[list[str], list[str]]:
    """Faults of speed and of path of a drive against at least two steps; empty lists pass. A step out of order
    is a fault of the axis on which the earlier one is stated."""
    pace, way = pace_of(steps), way_of(steps)
    cuts, start = _Cuts(drive), drive.motion.start
    speed = _windows(len(pace), drive.longitudinal, lambda k, w: _speed(pace, k, w, start), drive, cuts)
    path = _windows(len(way), drive.lateral, lambda k, w: _path(way, k, w), drive, cuts, still_in_lane(way))
    if drive.reverses:
        speed.faults.append("drives backwards")
    placed_pace = _placed(pace, speed.windows, drive, _speed_done)
    placed_way = _placed(way, path.windows, drive, _path_done)
    late_speed, late_path = late_faults(steps[0], drive)
    return (
        speed.faults + _disorder(placed_pace, placed_way) + late_speed,
        path.faults + _disorder(placed_way, placed_pace) + late_path,
    )


def late_faults(step: Step, drive: Drive) -> tuple[list[str], list[str]]:
    """Where a step that is to be done at once is begun later than BEGUN_TICKS."""
    if step.timing is not Timing.NOW:
        return [], []
    out: tuple[list[str], list[str]] = ([], [])
    for found, change in zip(out, (_speed_done, _path_done), strict=True):
        done = change(step, drive.states, drive.frame.shift)
        if done is not None and (begun := _reached(done, BEGUN_SHARE)) > BEGUN_TICKS:
            found.append(f"is begun after {begun * 0.1:.1f} s though said to be done now")
    return out


def pace_of(steps: Sequence[Step]) -> list[Part]:
    """The sequence of speed decisions that steps state, never empty; rules 1 and 3."""
    parts: list[Part] = []
    for number, step in enumerate(steps):
        decision = step.longitudinal
        if decision is None:
            resumes = step.lateral in DIRECTIONAL and parts and parts[-1].said.longitudinal is not None
            if not resumes or parts[-1].said.longitudinal is not Longitudinal.STOP_STATIC:
                continue
            decision = DEFAULT_LONGITUDINAL
        begun = parts and parts[-1].said.longitudinal is Longitudinal.SPEED_ADAPTATION
        if begun and decision in SLOWING:
            parts.pop()
        parts.append(Part(number, replace(step, longitudinal=decision), str(decision)))
    return parts or [Part(0, Step(DEFAULT_LONGITUDINAL, None), str(DEFAULT_LONGITUDINAL))]


def way_of(steps: Sequence[Step]) -> list[Part]:
    """The sequence of path decisions that steps state, never empty; rule 1."""
    parts = [
        Part(number, step, f"{step.lateral} {step.direction or ''}".strip())
        for number, step in enumerate(steps)
        if step.lateral is not None
    ]
    return parts or [Part(0, Step(None, DEFAULT_LATERAL), str(DEFAULT_LATERAL))]


def still_in_lane(way: list[Part]) -> list[bool]:
    """For each part, whether it is still seen from the lane at t0."""
    turned = [False, *(part.said.lateral is Lateral.TURN for part in way)]
    return [not any(turned[: k + 1]) for k in range(len(way))]


def _windows(
    parts: int,
    segments: Sequence[Segment],
    rule: Rule,
    drive: Drive,
    cuts: _Cuts,
    in_lane: Sequence[bool] = (),
) -> _Done:
    """The division of a drive at segment bounds that breaks the fewest rules; the earliest of equals."""
    end = len(drive.states) - 1
    if parts == 1:
        return _Done(rule(0, drive.motion), [(0, end)])
    bounds = [segment.start for segment in segments[1:]]
    best: _Done | None = None
    for inner in combinations(bounds, parts - 1):
        windows = list(pairwise((0, *inner, end)))
        faults: list[str] = []
        for k, (a, b) in enumerate(windows):
            window = cuts.motion(a, b, in_lane[k] if in_lane else True)
            faults += [f"step {k + 1} of {parts}: {fault}" for fault in rule(k, window)]
        if best is None or len(faults) < len(best.faults):
            best = _Done(faults, windows)
        if not faults:
            break
    if best is None:
        said = f"{parts} decisions follow each other in the text, {len(segments)} actions in the drive"
        return _Done([said], [])
    return best


def _speed(pace: list[Part], k: int, window: Motion, start: float) -> list[str]:
    """Faults of decision k in its window; start: m/s of the whole drive."""
    said = pace[k].said
    assert said.longitudinal is not None
    rule = LONGITUDINAL_RULES[said.longitudinal]
    lost = max(start - window.start, 0.0)
    regains = (
        said.longitudinal is Longitudinal.SET_SPEED_TRACKING
        and k > 0
        and pace[k - 1].said.longitudinal in LOSES_SPEED
    )
    if regains:
        rule = replace(rule, allowed=STEADY | FASTER, gain=(-math.inf, rule.gain[1] + lost))
    faults = speed_faults(rule, window)
    word = said.speed
    if word is not None and not (regains and word is Speed.KEEP):
        faults += [fault for fault in speed_faults(SPEED_WORDS[word], window) if fault not in faults]
    return faults


def _path(way: list[Part], k: int, window: Motion) -> list[str]:
    said = way[k].said
    assert said.lateral is not None
    rule = LATERAL_RULES[said.lateral]
    if any(part.said.lateral in NEW_LANE for part in way[:k]):
        rule = replace(rule, centred=math.inf)
    if said.lateral not in DIRECTIONAL:
        left = path_faults(rule, window, 1)
        return left + [fault for fault in path_faults(rule, window, -1) if fault not in left]
    if said.direction is None:
        return either_side_faults(rule, window)
    return path_faults(rule, window, -1 if said.direction is Direction.RIGHT else 1)


Done = Callable[[Step, np.ndarray, np.ndarray], np.ndarray | None]


def _speed_done(step: Step, states: np.ndarray, shift: np.ndarray) -> np.ndarray | None:  # noqa: ARG001
    """[K] m/s of a step's change of speed done so far in states [K, 4]; None for one that keeps it."""
    decision = step.longitudinal
    if decision is None or decision is Longitudinal.SET_SPEED_TRACKING:
        return None
    changed = states[:, 3] - states[0, 3]
    return changed if decision is Longitudinal.PASSING_ACCELERATION else -changed


def _path_done(step: Step, states: np.ndarray, shift: np.ndarray) -> np.ndarray | None:
    """[K] m or rad of a step's change of path done so far in states [K, 4], shifted by [K] m to the left; None for
    one that keeps the lane."""
    if step.lateral is None or step.lateral not in DIRECTIONAL:
        return None
    done = states[:, 2] - states[0, 2] if step.lateral is Lateral.TURN else shift
    side = -1 if step.direction is Direction.RIGHT else 1
    if step.direction is None and -done.min() > done.max():
        side = -1
    if step.lateral is Lateral.ABORT:
        # The way back begins where the drive is farthest out.
        out = int((side * done).argmin())
        return np.concatenate([np.zeros(out), side * done[out:] - side * done[out]])
    return side * done


def _placed(
    parts: list[Part], windows: list[tuple[int, int]], drive: Drive, done: Done
) -> list[tuple[Part, int]]:
    """Each part that changes something, with the tick at which half of its change is done."""
    out = []
    for part, (a, b) in zip(parts, windows, strict=False):
        offset = drive.frame.offset[a : b + 1]
        change = done(part.said, drive.states[a : b + 1], offset - offset[0])
        if change is not None:
            out.append((part, a + _reached(change, 0.5)))
    return out


def _disorder(earlier: list[tuple[Part, int]], later: list[tuple[Part, int]]) -> list[str]:
    return [
        f"{first.name} at {at * 0.1:.1f} s should come before {second.name} at {then * 0.1:.1f} s"
        for first, at in earlier
        for second, then in later
        if first.step < second.step and at + LEAST_LEAD_TICKS > then
    ]


def _reached(done: np.ndarray, share: float) -> int:
    """The first tick at which a share of the largest change is done."""
    return int((done >= share * done.max()).argmax())
