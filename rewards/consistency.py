"""The consistency reward: 1 when the predicted trajectory does what the reasoning text says, else 0.

The text's intent (rewards.intent) is held against the trajectory's meta-actions and net motion
(rewards.drive), both axes for every decision (rewards.consistency_rules), several steps in their order
(rewards.step_order). Text against trajectory only: the expert's drive plays no part. Reversing, an unparsable
or contradictory text, and an invalid completion give 0, with the reason in the explanation. Source: the
consistency reward of the Alpamayo-R1 paper (arXiv 2511.00088): binary, both axes, unparsable is 0.
`python -m rewards.consistency --ceiling 500` prints how often the procedural world's clean expert passes with
its label's own text, by decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rewards.clip_cache import ClipCache
from rewards.consistency_rules import (
    LATERAL_RULES,
    LINE_CAUSES,
    LONGITUDINAL_RULES,
    SPEED_WORDS,
    STOP_GAP_M,
    PathRule,
    SpeedRule,
)
from rewards.description import Component, Need
from rewards.drive import STANDSTILL_MPS, Drive, Motion, front_m
from rewards.drives import DriveRow, measure_columns
from rewards.factors import parse_factors
from rewards.intent import DIRECTIONAL, Intent, Step
from rewards.intent_parser import RULES, Parse, parser_named
from rewards.lane_frame import ReferenceLane, reference_lane
from rewards.phases import Timing
from rewards.rule_faults import either_side_faults, outside, path_faults, speed_faults
from rewards.score import ClipView, RolloutView, Score, Status
from rewards.score_table import ScoreTable
from rewards.step_order import check_steps, late_faults
from rewards.warm_up import sample
from scenes.clip import Clip
from scenes.decisions import Direction, Longitudinal

VERSION = "2"


class ConsistencyReward:
    """Whether the predicted trajectory carries out what the reasoning text says, on both axes."""

    name = "consistency"
    low, high = 0.0, 1.0
    needs = (Need.TEXT, Need.TRAJECTORY, Need.MAP)
    components = (
        Component("longitudinal", 0.0, 1.0, "1: speed is as said"),
        Component("lateral", 0.0, 1.0, "1: path is as said"),
        Component("parsed", 0.0, 1.0, "1: the text states a decision on both axes without contradiction"),
    )

    def __init__(self, parser: str = RULES, **options: Any) -> None:
        """parser: "rules", or "package.module:factory" of a second parser for texts that the rules cannot
        read (say critic_server.intent_judge:intent_judge); options: its keyword arguments.

        Raises as `rewards.intent_parser.parser_named`."""
        self.parser = parser_named(parser, options)
        self._lanes = ClipCache(_lane)
        self.version = VERSION if parser == RULES else f"{VERSION}-{self.parser.version}"

    def score(self, rollouts: Sequence[RolloutView], clips: ClipView) -> list[Score]:
        """One score a rollout; see the module."""
        return list(self.score_table(rollouts, clips))

    def warm(self) -> None:
        """Have the compiled loops ready: see rewards.warm_up."""
        self.score_table(*sample())

    def score_table(self, rollouts: Sequence[RolloutView], clips: ClipView) -> ScoreTable:
        """As `score`, as columns."""
        lanes = {clip_id: self._lanes.get(clips[clip_id]) for clip_id in {r.clip_id for r in rollouts}}
        texts = {r.text for r in rollouts if r.states is not None}
        parses = dict(zip(texts, self.parser.parse(list(texts)), strict=True))
        readings = {text: Reading.of(text, parse) for text, parse in parses.items()}
        parts, told = np.zeros((len(rollouts), len(self.components))), [""] * len(rollouts)
        missing: dict[int, Status] = {}
        driven = [i for i, r in enumerate(rollouts) if r.states is not None and r.actions is not None]
        for index in set(range(len(rollouts))).difference(driven):
            told[index] = f"invalid completion: {rollouts[index].reason or 'no trajectory'}"
        chosen = [rollouts[index] for index in driven]
        measured = measure_columns(
            [r.states for r in chosen if r.states is not None],
            [r.actions for r in chosen if r.actions is not None],
            [lanes[r.clip_id] for r in chosen],
            [front_m(clips[r.clip_id]) for r in chosen],
        )
        for some, drives in measured:
            for row, (place, motion) in enumerate(zip(some, drives.motions(), strict=True)):
                index, reading = driven[place], readings[chosen[place].text]
                if reading.status is not Status.OK:
                    missing[index] = reading.status
                if reading.intent is None:
                    told[index] = reading.said
                    continue
                speed, path = reading.faults(DriveRow(motion, drives, row))
                parts[index] = not speed, not path, 1.0
                told[index] = reading.told(speed, path)
        values = parts[:, 0] * parts[:, 1]
        values[list(missing)] = np.nan
        names = tuple(component.name for component in self.components)
        return ScoreTable(self.name, self.version, values, names, parts, told, missing)


def _lane(clip: Clip) -> ReferenceLane | None:
    return reference_lane(clip.road)


@dataclass(frozen=True)
class Reading:
    """A text as it was read, the same for every rollout that says it. intent: what the drive is held against, None
    where there is none; said: how an explanation begins, or all of it; at_line: whether it must stop at a line;
    rules: of the intent."""

    intent: Intent | None
    said: str
    status: Status = Status.OK
    at_line: bool = False
    rules: Rules | None = None

    @classmethod
    def of(cls, text: str, parse: Parse) -> Reading:
        """The reading of a parsed text."""
        intent = parse.intent
        if parse.status is not Status.OK:
            why = f"the rules cannot read the text and {parse.parser} failed: {parse.why}"
            return cls(None, why, parse.status)
        if not intent.parsed:
            why = "; ".join(intent.conflicts) or "the text states no driving decision"
            return cls(None, f"unparsable: {why}{not_counted(intent)}")
        said = f"says {told(intent)} ({'; '.join(intent.matched)}){not_counted(intent)}"
        return cls(intent, said, Status.OK, bool(LINE_CAUSES & parse_factors(text)), Rules.of(intent))

    def faults(self, drive: DriveRow) -> tuple[list[str], list[str]]:
        """What a drive does against it: faults of speed, faults of path."""
        assert self.intent is not None
        speed, path = check(self.intent, drive, self.rules)
        if self.at_line:
            speed += stop_line_faults(self.intent, drive.motion)
        return speed, path

    def told(self, speed: Sequence[str], path: Sequence[str]) -> str:
        """The explanation of a score."""
        if not speed and not path:
            return f"{self.said}; does it"
        faults = [*(f"longitudinal: {f}" for f in speed), *(f"lateral: {f}" for f in path)]
        return "; ".join([self.said, *faults])


def told(intent: Intent) -> str:
    """A parsed intent in the closed sets' names; several steps numbered, with what each waits for."""
    if len(intent.steps) < 2:
        return f"{intent.longitudinal}, {intent.lateral} {intent.direction or ''}".strip()
    return ", ".join(f"{number}. {_told(step)}" for number, step in enumerate(intent.steps, 1))


def _told(step: Step) -> str:
    words = [step.longitudinal, " ".join(filter(None, (step.lateral, step.direction)))]
    after = f" after {step.event!r}" if step.event else ""
    return " and ".join(filter(None, words)) + after


def not_counted(intent: Intent) -> str:
    """What the text mentions without committing to it, with the reasons, as the end of a sentence."""
    return f", not counted: {', '.join(intent.ignored)}" if intent.ignored else ""


class Rules(NamedTuple):
    """What a text of one step demands. sides: on which a path is looked at, +1 left, -1 right; both must pass;
    empty: either may."""

    speed: tuple[SpeedRule, ...]
    path: PathRule
    sides: tuple[int, ...]

    @classmethod
    def of(cls, intent: Intent) -> Rules:
        """The rules of a parsed intent."""
        assert intent.longitudinal is not None
        assert intent.lateral is not None
        words = () if intent.speed is None else (SPEED_WORDS[intent.speed],)
        if intent.lateral not in DIRECTIONAL:
            sides: tuple[int, ...] = (1, -1)
        elif intent.direction is None:
            sides = ()
        else:
            sides = (-1 if intent.direction is Direction.RIGHT else 1,)
        return cls((LONGITUDINAL_RULES[intent.longitudinal], *words), LATERAL_RULES[intent.lateral], sides)


def check(intent: Intent, drive: Drive | DriveRow, rules: Rules | None = None) -> tuple[list[str], list[str]]:
    """What the drive does against a parsed intent: faults of speed, faults of path; empty lists pass. rules: of the
    intent, where they are at hand."""
    if len(intent.steps) > 1:
        return check_steps(intent.steps, drive.whole())
    wanted = Rules.of(intent) if rules is None else rules
    motion = drive.motion
    speed = _without_repeats([speed_faults(rule, motion) for rule in wanted.speed])
    if motion.reverses:
        speed.append("drives backwards")
    if wanted.sides:
        path = _without_repeats([path_faults(wanted.path, motion, side) for side in wanted.sides])
    else:
        path = either_side_faults(wanted.path, motion)
    if intent.steps and intent.steps[0].timing is Timing.NOW:
        late_speed, late_path = late_faults(intent.steps[0], drive.whole())
        return speed + late_speed, path + late_path
    return speed, path


def _without_repeats(parts: Sequence[list[str]]) -> list[str]:
    first, *others = parts
    for part in others:
        first += [fault for fault in part if fault not in first]
    return first


def stop_line_faults(intent: Intent, motion: Motion) -> list[str]:
    """Where a stop at a light or sign ends in the wrong place, if the drive has come to rest and there is a
    line."""
    stated = [step.longitudinal for step in intent.steps if step.longitudinal]
    last = stated[-1] if stated else intent.longitudinal
    stops = last is Longitudinal.STOP_STATIC and motion.final < STANDSTILL_MPS
    if not stops or motion.stop_gap != motion.stop_gap:
        return []
    return outside("stands before the line", motion.stop_gap, STOP_GAP_M, "m")


if __name__ == "__main__":
    from rewards.ceiling import run

    run()
