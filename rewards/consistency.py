"""The consistency reward: 1 when the predicted trajectory does what the reasoning text says, else 0.

The text's intent (rewards.intent) is held against the trajectory's meta-actions and net motion
(rewards.drive), both axes for every decision (rewards.consistency_rules). Text against trajectory only: the
expert's drive plays no part. Reversing, an unparsable or contradictory text, and an invalid completion give
0, with the reason in the explanation. Source: the consistency reward of the Alpamayo-R1 paper (arXiv
2511.00088): binary, both axes, unparsable is 0.
`python -m rewards.consistency --ceiling 500` prints how often the procedural world's clean expert passes with
its label's own text, by decision.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rewards.consistency_rules import (
    ACCELERATE_WORDS,
    KEEP_WORDS,
    LATERAL_RULES,
    LINE_CAUSES,
    LONGITUDINAL_RULES,
    SLOW_WORDS,
    STOP_GAP_M,
    STOP_WORDS,
    PathRule,
    SpeedRule,
)
from rewards.decision_phrases import Speed
from rewards.description import Component, Need
from rewards.drive import STANDSTILL_MPS, Drive, front_m
from rewards.drives import measure_batch
from rewards.factors import parse_factors
from rewards.intent import DIRECTIONAL, Intent, parse_intent
from rewards.lane_frame import reference_lane
from rewards.meta_actions import LongitudinalAction
from rewards.score import ClipView, RolloutView, Score
from scenes.decisions import Direction, Longitudinal

SPEED_WORDS = {
    Speed.STOP: STOP_WORDS,
    Speed.SLOW: SLOW_WORDS,
    Speed.KEEP: KEEP_WORDS,
    Speed.ACCELERATE: ACCELERATE_WORDS,
}


class ConsistencyReward:
    """Whether the predicted trajectory carries out what the reasoning text says, on both axes."""

    name = "consistency"
    version = "1"
    low, high = 0.0, 1.0
    needs = (Need.TEXT, Need.TRAJECTORY, Need.MAP)
    components = (
        Component("longitudinal", 0.0, 1.0, "1: speed is as said"),
        Component("lateral", 0.0, 1.0, "1: path is as said"),
        Component("parsed", 0.0, 1.0, "1: the text states a decision on both axes without contradiction"),
    )

    def score(self, rollouts: Sequence[RolloutView], clips: ClipView) -> list[Score]:
        """One score a rollout; see the module."""
        wanted = {rollout.clip_id for rollout in rollouts}
        lanes = {clip_id: reference_lane(clips[clip_id].road) for clip_id in wanted}
        driven = [r for r in rollouts if r.states is not None and r.actions is not None]
        drives = measure_batch(
            [r.states for r in driven if r.states is not None],
            [r.actions for r in driven if r.actions is not None],
            [lanes[r.clip_id] for r in driven],
            [front_m(clips[r.clip_id]) for r in driven],
        )
        by_rollout = {id(r): drive for r, drive in zip(driven, drives, strict=True)}
        return [self._score(r, by_rollout.get(id(r))) for r in rollouts]

    def _score(self, rollout: RolloutView, drive: Drive | None) -> Score:
        if drive is None:
            return self._result(0.0, 0.0, 0.0, f"invalid completion: {rollout.reason or 'no trajectory'}")
        intent = parse_intent(rollout.text)
        if not intent.parsed:
            why = "; ".join(intent.conflicts) or "the text states no driving decision"
            return self._result(0.0, 0.0, 0.0, f"unparsable: {why}")
        speed, path = check(intent, drive)
        if LINE_CAUSES & parse_factors(rollout.text):
            speed += stop_line_faults(intent, drive)
        told = f"{intent.longitudinal}, {intent.lateral} {intent.direction or ''}".strip()
        faults = [*(f"longitudinal: {f}" for f in speed), *(f"lateral: {f}" for f in path)]
        said = f"says {told} ({'; '.join(intent.matched)})"
        why = "; ".join([said, *(faults or ["does it"])])
        return self._result(float(not speed), float(not path), 1.0, why)

    def _result(self, longitudinal: float, lateral: float, parsed: float, why: str) -> Score:
        parts = {"longitudinal": longitudinal, "lateral": lateral, "parsed": parsed}
        value = longitudinal * lateral
        return Score(self.name, value, components=parts, explanation=why, version=self.version)


def check(intent: Intent, drive: Drive) -> tuple[list[str], list[str]]:
    """What the drive does against a parsed intent: faults of speed, faults of path; empty lists pass."""
    assert intent.longitudinal is not None
    assert intent.lateral is not None
    speed = speed_faults(LONGITUDINAL_RULES[intent.longitudinal], drive)
    if intent.speed is not None:
        speed += [f for f in speed_faults(SPEED_WORDS[intent.speed], drive) if f not in speed]
    if drive.reverses:
        speed.append("drives backwards")
    rule = LATERAL_RULES[intent.lateral]
    if intent.lateral in DIRECTIONAL and intent.direction is None:
        left, right = path_faults(rule, drive, 1), path_faults(rule, drive, -1)
        path = min(left, right, key=len)
    else:
        path = path_faults(rule, drive, -1 if intent.direction is Direction.RIGHT else 1)
    if intent.lateral not in DIRECTIONAL:
        path += [f for f in path_faults(rule, drive, -1) if f not in path]
    return speed, path


def stop_line_faults(intent: Intent, drive: Drive) -> list[str]:
    """Where a stop at a light or sign ends in the wrong place, if the drive has come to rest and there is a
    line."""
    stops = intent.longitudinal is Longitudinal.STOP_STATIC and drive.speed[-1] < STANDSTILL_MPS
    if not stops or drive.stop_gap is None:
        return []
    return _outside("stands before the line", drive.stop_gap, STOP_GAP_M, "m")


def speed_faults(rule: SpeedRule, drive: Drive) -> list[str]:
    """Where a drive's speed breaks a rule; see SpeedRule."""
    actions = [segment.action for segment in drive.longitudinal]
    seen = dict.fromkeys(actions)
    faults = [f"{action} is not what was said" for action in seen if action not in rule.allowed]
    moving = [action for action in actions if action is not LongitudinalAction.MAINTAIN_SPEED]
    if rule.opening and moving and moving[0] not in rule.opening:
        faults.append(f"begins with {moving[0]}")
    start, lowest, highest = float(drive.speed[0]), float(drive.speed.min()), float(drive.speed.max())
    faults += _outside("speed change", float(drive.speed[-1]) - start, rule.change, "m/s")
    faults += _outside("speed drop", start - lowest, rule.drop, "m/s")
    faults += _outside("speed gain", highest - start, rule.gain, "m/s")
    faults += _outside("lowest over initial speed", lowest / max(start, 0.1), rule.lowest, "")
    return faults


def path_faults(rule: PathRule, drive: Drive, side: int) -> list[str]:
    """Where a drive's path breaks a rule for a side (+1 left, -1 right); see PathRule."""
    frame = drive.frame
    faults = [
        *_outside("sideways", drive.peak_shift(side), rule.peak, "m"),
        *_outside("sideways at the end", side * drive.final_shift, rule.final, "m"),
        *_outside("back", side * drive.final_shift + drive.peak_shift(-side), rule.back, "m"),
        *_outside("to the wrong side", drive.peak_shift(-side), (-np.inf, rule.wrong), "m"),
        *_outside("turns", side * drive.turned, rule.turn, "rad"),
        *_outside("heading off the lane", abs(float(frame.heading[-1])), (-np.inf, rule.settled), "rad"),
    ]
    if frame.mapped:
        off = abs(float(frame.offset[-1]))
        faults += _outside("off the lane centre", off, (-np.inf, rule.centred), "m")
    return faults


def _outside(what: str, value: float, bounds: tuple[float, float], unit: str) -> list[str]:
    if bounds[0] <= value <= bounds[1]:
        return []
    low, high = bounds
    wanted = f"at least {low:g}" if value < low else f"at most {high:g}"
    return [f"{what} {value:.2f} {unit}, should be {wanted}".replace(" ,", ",")]


if __name__ == "__main__":
    from rewards.ceiling import run

    run()
