"""Several steps in their order, as one would first write it with torch: part of `torch_consistency.py`.

Written from the rules in docs/rewards-consistency.md ("Several steps"). Which decisions follow each other on an
axis is read from the text and has no tensors in it: `rewards.step_order.pace_of` and `way_of` say it for both
sides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import torch
from torch import Tensor
from torch_rules import Run, path_faults, sided_faults, speed_faults

from rewards.consistency_rules import FASTER, LATERAL_RULES, LONGITUDINAL_RULES, SPEED_WORDS, STEADY
from rewards.decision_phrases import Speed
from rewards.intent import DIRECTIONAL, Step
from rewards.phases import Timing
from rewards.step_order import LOSES_SPEED, NEW_LANE, Part, pace_of, still_in_lane, way_of
from scenes.decisions import Direction, Lateral, Longitudinal

LEAD, BEGUN = 3, 20
Window = tuple[int, int]


@dataclass(frozen=True)
class Seen:
    """full: [K, 4]; offset, heading: [K] against the lane; mapped: whether there is one; pace, way: runs."""

    full: Tensor
    offset: Tensor
    heading: Tensor
    mapped: bool
    pace: Sequence[Run]
    way: Sequence[Run]

    def part(self, a: int, b: int, in_lane: bool) -> Seen:
        """Ticks a … b - 1 alone."""
        full = self.full[a : b + 1]
        offset, heading = self.offset[a : b + 1], self.heading[a : b + 1]
        if not in_lane:
            offset, heading = on_arc(full)
        pace, way = (
            [(name, max(s, a), min(e, b)) for name, s, e in runs if min(e, b) > max(s, a)]
            for runs in (self.pace, self.way)
        )
        return Seen(full, offset, heading, self.mapped and in_lane, pace, way)


def steps_faults(steps: Sequence[Step], seen: Seen) -> tuple[list[str], list[str]]:
    """Faults of speed and of path against at least two steps."""
    pace, way = pace_of(steps), way_of(steps)
    in_lane = still_in_lane(way)
    speed, pace_windows = divided(
        len(pace),
        seen.pace,
        len(seen.full) - 1,
        lambda k, a, b: pace_faults(pace, k, seen.part(a, b, True), seen),
    )
    path, way_windows = divided(
        len(way),
        seen.way,
        len(seen.full) - 1,
        # A sequence of one is held against the whole drive as it is.
        lambda k, a, b: way_faults(way, k, seen if len(way) == 1 else seen.part(a, b, in_lane[k])),
    )
    if bool((seen.full[:, 3] < -0.3).any()):
        speed = [*speed, "drives backwards"]
    paced = placed(pace, pace_windows, seen, speed_done)
    passed = placed(way, way_windows, seen, path_done)
    late_speed, late_path = late(steps[0], seen)
    return [*speed, *disorder(paced, passed), *late_speed], [*path, *disorder(passed, paced), *late_path]


def divided(
    parts: int, runs: Sequence[Run], end: int, rule: Callable[[int, int, int], list[str]]
) -> tuple[list[str], list[Window]]:
    """The division at bounds of runs that breaks fewest rules, the earliest of equals."""
    if parts == 1:
        return rule(0, 0, end), [(0, end)]
    best: tuple[list[str], list[Window]] | None = None
    for inner in combinations([a for _, a, _ in runs[1:]], parts - 1):
        windows = list(pairwise((0, *inner, end)))
        found = [f"{k} {fault}" for k, (a, b) in enumerate(windows) for fault in rule(k, a, b)]
        if best is None or len(found) < len(best[0]):
            best = found, windows
        if not found:
            break
    return best or (["too few actions"], [])


def pace_faults(pace: list[Part], k: int, part: Seen, whole: Seen) -> list[str]:
    """Of one decision of speed in its window."""
    said = pace[k].said
    assert said.longitudinal is not None
    rule = LONGITUDINAL_RULES[said.longitudinal]
    before = pace[k - 1].said.longitudinal if k else None
    regains = said.longitudinal is Longitudinal.SET_SPEED_TRACKING and before in LOSES_SPEED
    if regains:
        lost = max(float(whole.full[0, 3] - part.full[0, 3]), 0.0)
        rule = replace(rule, allowed=STEADY | FASTER, gain=(-math.inf, rule.gain[1] + lost))
    found = speed_faults(rule, part.full[:, 3], part.pace)
    if said.speed is not None and not (regains and said.speed is Speed.KEEP):
        words = speed_faults(SPEED_WORDS[said.speed], part.full[:, 3], part.pace)
        found += [fault for fault in words if fault not in found]
    return found


def way_faults(way: list[Part], k: int, part: Seen) -> list[str]:
    """Of one decision of path in its window."""
    said = way[k].said
    assert said.lateral is not None
    rule = LATERAL_RULES[said.lateral]
    if any(earlier.said.lateral in NEW_LANE for earlier in way[:k]):
        rule = replace(rule, centred=math.inf)
    turned = float(part.full[-1, 2] - part.full[0, 2])
    off = abs(float(part.offset[-1])) if part.mapped else None
    end = (abs(float(part.heading[-1])), off)
    shift = part.offset - part.offset[0]
    return sided_faults(
        said.lateral in DIRECTIONAL, said.direction, lambda side: path_faults(rule, shift, turned, end, side)
    )


def speed_done(step: Step, part: Seen) -> Tensor | None:
    """[K] how far a step's change of speed is done."""
    if step.longitudinal is None or step.longitudinal is Longitudinal.SET_SPEED_TRACKING:
        return None
    changed = part.full[:, 3] - part.full[0, 3]
    return changed if step.longitudinal is Longitudinal.PASSING_ACCELERATION else -changed


def path_done(step: Step, part: Seen) -> Tensor | None:
    """[K] how far a step's change of path is done."""
    if step.lateral is None or step.lateral not in DIRECTIONAL:
        return None
    turned = part.full[:, 2] - part.full[0, 2]
    done = turned if step.lateral is Lateral.TURN else part.offset - part.offset[0]
    side = -1 if step.direction is Direction.RIGHT else 1
    if step.direction is None and float(-done.min()) > float(done.max()):
        side = -1
    if step.lateral is not Lateral.ABORT:
        return side * done
    out = int((side * done).argmin())
    return torch.cat([torch.zeros(out, dtype=done.dtype), side * done[out:] - side * done[out]])


def placed(
    parts: list[Part], windows: list[Window], seen: Seen, done: Callable[[Step, Seen], Tensor | None]
) -> list[tuple[int, int]]:
    """(step, tick at which half of its change is done) of each part that changes something."""
    out = []
    for part, (a, b) in zip(parts, windows, strict=False):
        change = done(part.said, seen.part(a, b, True))
        if change is not None:
            out.append((part.step, a + reached(change, 0.5)))
    return out


def disorder(earlier: list[tuple[int, int]], later: list[tuple[int, int]]) -> list[str]:
    """Steps on one axis that come too late for a step on the other."""
    return [f"{s} after {t}" for s, at in earlier for t, then in later if s < t and at + LEAD > then]


def late(step: Step, seen: Seen) -> tuple[list[str], list[str]]:
    """Where a step to be done now is begun too late."""
    out: tuple[list[str], list[str]] = ([], [])
    for found, change in zip(out, (speed_done(step, seen), path_done(step, seen)), strict=True):
        if step.timing is Timing.NOW and change is not None and reached(change, 0.1) > BEGUN:
            found.append("begun late")
    return out


def reached(done: Tensor, share: float) -> int:
    """The first tick with a share of the largest change."""
    return int((done >= share * done.max()).int().argmax())


def on_arc(full: Tensor) -> tuple[Tensor, Tensor]:
    """(offset, heading) against the arc that turns as the drive as a whole."""
    step = (full[1:, :2] - full[:-1, :2]).norm(dim=-1)
    distance = torch.cat([torch.zeros(1, dtype=full.dtype), step.cumsum(0)])
    turned = full[-1, 2] - full[0, 2]
    rate = turned / distance[-1] if float(distance[-1]) > 1.0 else 0.0 * turned
    yaw = full[0, 2] + rate * distance
    middle = 0.5 * (yaw[1:] + yaw[:-1])
    x = full[0, 0] + torch.cat([torch.zeros(1, dtype=full.dtype), (step * middle.cos()).cumsum(0)])
    y = full[0, 1] + torch.cat([torch.zeros(1, dtype=full.dtype), (step * middle.sin()).cumsum(0)])
    against = full[:, 2] - yaw
    offset = -(full[:, 0] - x) * yaw.sin() + (full[:, 1] - y) * yaw.cos()
    return offset, torch.atan2(against.sin(), against.cos())
