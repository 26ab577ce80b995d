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
from functools import cached_property
from typing import Any

import numpy as np

from rewards.clip_cache import ClipCache
from rewards.consistency_rules import (
    LATERAL_RULES,
    LINE_CAUSES,
    LONGITUDINAL_RULES,
    SPEED_WORDS,
    STOP_GAP,
)
from rewards.description import Component, Need
from rewards.drive import STANDSTILL_MPS, Drive, Motion, front_m
from rewards.drives import DriveRow, Drives, measure_columns
from rewards.factors import parse_factors
from rewards.intent import DIRECTIONAL, Intent, Step
from rewards.intent_parser import RULES, Parse, parser_named
from rewards.lane_frame import ReferenceLane, reference_lane
from rewards.phases import Timing
from rewards.rule_faults import (
    DRIVES_BACKWARDS,
    Faults,
    broken,
    either_side_faults,
    path_faults,
    speed_faults,
    without_repeats,
)
from rewards.score import ClipView, RolloutView, Score, Status
from rewards.score_table import ScoreTable
from rewards.step_order import check_steps, late_faults
from rewards.verdicts import NOTHING, Asked, Verdicts
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
        self._lanes = ClipCache(_seen)
        self.version = VERSION if parser == RULES else f"{VERSION}-{self.parser.version}"

    def score(self, rollouts: Sequence[RolloutView], clips: ClipView) -> list[Score]:
        """One score a rollout; see the module."""
        return list(self.score_table(rollouts, clips))

    def warm(self) -> None:
        """Have the compiled loops ready: see rewards.warm_up."""
        self.score_table(*sample())

    def score_table(self, rollouts: Sequence[RolloutView], clips: ClipView) -> ScoreTable:
        """As `score`, as columns."""
        seen = {clip_id: self._lanes.get(clips[clip_id]) for clip_id in {r.clip_id for r in rollouts}}
        readings = self._read({r.text for r in rollouts if r.states is not None})
        parts, told = np.zeros((len(rollouts), len(self.components))), [""] * len(rollouts)
        missing: dict[int, Status] = {}
        driven: list[int] = []
        states, actions, lanes, fronts = [], [], [], []
        for index, rollout in enumerate(rollouts):
            if rollout.states is None or rollout.actions is None:
                told[index] = f"invalid completion: {rollout.reason or 'no trajectory'}"
                continue
            reading = readings[rollout.text]
            if reading.status is not Status.OK:
                missing[index] = reading.status
            if reading.intent is None:
                told[index] = reading.said
                continue
            lane, front = seen[rollout.clip_id]
            driven.append(index)
            states.append(rollout.states)
            actions.append(rollout.actions)
            lanes.append(lane)
            fronts.append(front)
        measured = measure_columns(states, actions, lanes, fronts)
        for some, drives in measured:
            rows = [driven[place] for place in some]
            said = [readings[rollouts[row].text] for row in rows]
            faults = judged(said, drives)
            parts[rows] = [(not speed, not path, True) for speed, path in faults]
            for row, reading, (speed, path) in zip(rows, said, faults, strict=True):
                told[row] = reading.told(speed, path)
        values = parts[:, 0] * parts[:, 1]
        values[list(missing)] = np.nan
        names = tuple(component.name for component in self.components)
        return ScoreTable(self.name, self.version, values, names, parts, told, missing)

    def _read(self, texts: set[str]) -> dict[str, Reading]:
        """Each text read once."""
        parses = zip(texts, self.parser.parse(list(texts)), strict=True)
        return {text: Reading.of(text, parse) for text, parse in parses}


def _seen(clip: Clip) -> tuple[ReferenceLane | None, float]:
    return reference_lane(clip.road), front_m(clip)


@dataclass(frozen=True)
class Reading:
    """A text as it was read, the same for every rollout that says it. intent: what the drive is held against, None
    where there is none; said: how an explanation begins, or all of it; at_line: whether it must stop at a line;
    asked: what a text of one step demands, None where the order or the time of steps counts too."""

    intent: Intent | None
    said: str
    status: Status = Status.OK
    at_line: bool = False
    asked: Asked | None = None

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
        at_line = stops_at_line(intent) and bool(LINE_CAUSES & parse_factors(text))
        timed = len(intent.steps) > 1 or any(step.timing is Timing.NOW for step in intent.steps)
        return cls(intent, said, Status.OK, at_line, None if timed else Asked.of(intent, at_line))

    def faults(self, drive: DriveRow) -> tuple[list[str], list[str]]:
        """What a drive does against it: faults of speed, faults of path."""
        assert self.intent is not None
        speed, path = check(self.intent, drive)
        if self.at_line:
            speed += stop_line_faults(drive.motion)
        return speed, path

    @cached_property
    def done(self) -> str:
        """The explanation of a drive that does what is said."""
        return f"{self.said}; does it"

    def told(self, speed: Sequence[str], path: Sequence[str]) -> str:
        """The explanation of a score."""
        if not speed and not path:
            return self.done
        faults = [*(f"longitudinal: {f}" for f in speed), *(f"lateral: {f}" for f in path)]
        return "; ".join([self.said, *faults])


def judged(readings: Sequence[Reading], drives: Drives) -> list[Faults]:
    """Faults of speed and of path of each drive against its reading."""
    verdicts = Verdicts(drives, [reading.asked or NOTHING for reading in readings])
    return [
        verdicts.faults(row) if reading.asked is not None else reading.faults(DriveRow(drives, row))
        for row, reading in enumerate(readings)
    ]


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


def check(intent: Intent, drive: Drive | DriveRow) -> tuple[list[str], list[str]]:
    """What the drive does against a parsed intent: faults of speed, faults of path; empty lists pass."""
    if len(intent.steps) > 1:
        return check_steps(intent.steps, drive.whole())
    assert intent.longitudinal is not None
    assert intent.lateral is not None
    motion, rule = drive.motion, LATERAL_RULES[intent.lateral]
    words = () if intent.speed is None else (SPEED_WORDS[intent.speed],)
    rules = (LONGITUDINAL_RULES[intent.longitudinal], *words)
    speed = without_repeats([speed_faults(one, motion) for one in rules])
    if motion.reverses:
        speed.append(DRIVES_BACKWARDS)
    if intent.lateral not in DIRECTIONAL:
        path = without_repeats([path_faults(rule, motion, side) for side in (1, -1)])
    elif intent.direction is None:
        path = either_side_faults(rule, motion)
    else:
        path = path_faults(rule, motion, -1 if intent.direction is Direction.RIGHT else 1)
    if intent.steps and intent.steps[0].timing is Timing.NOW:
        late_speed, late_path = late_faults(intent.steps[0], drive.whole())
        return speed + late_speed, path + late_path
    return speed, path


def stops_at_line(intent: Intent) -> bool:
    """Whether the last that a text says of its speed is a stop."""
    stated = [step.longitudinal for step in intent.steps if step.longitudinal]
    return (stated[-1] if stated else intent.longitudinal) is Longitudinal.STOP_STATIC


def stop_line_faults(motion: Motion) -> list[str]:
    """Where a stop at a light or sign ends in the wrong place, if the drive has come to rest and there is a
    line."""
    if not motion.final < STANDSTILL_MPS or motion.stop_gap != motion.stop_gap:
        return []
    return broken([STOP_GAP], [motion.stop_gap])


if __name__ == "__main__":
    from rewards.ceiling import run

    run()
