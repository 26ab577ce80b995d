"""The consistency reward as one would first write it with torch: one rollout at a time.

Role: the baseline of `rule_rewards.py`. It measures the drive (meta-actions by the published detector, the drive
seen from its lane) and holds it against the rules by itself (`torch_rules.py`, for several steps
`torch_step_order.py`); the rule tables, the parser of the text and the lane prepared once a clip are the reward's
own, because they are data or have no tensors in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch_rules import Run, outside, path_faults, sided_faults, speed_faults
from torch_step_order import Seen, late, on_arc, steps_faults

from rewards.consistency_rules import (
    LATERAL_RULES,
    LINE_CAUSES,
    LONGITUDINAL_RULES,
    SPEED_WORDS,
    STOP_GAP,
)
from rewards.factors import parse_factors
from rewards.intent import DIRECTIONAL, Intent, parse_intent
from rewards.lane_frame import ReferenceLane
from scenes.decisions import Longitudinal

DT = 0.1


def score_one(
    text: str, states: Tensor, actions: Tensor, lane: ReferenceLane | None, front: float
) -> dict[str, float]:
    """Components by name, and "value", of a text with states [T, 4] and actions [T, 2]."""
    intent = parse_intent(text)
    if intent.longitudinal is None or intent.lateral is None:
        return {"longitudinal": 0.0, "lateral": 0.0, "parsed": 0.0, "value": 0.0}
    start = torch.tensor([[0.0, 0.0, 0.0, float(states[0, 3] - actions[0, 0] * DT)]], dtype=torch.float64)
    full = torch.cat([start, states])
    offset, heading, stop = seen_from(full, lane)
    seen = Seen(full, offset, heading, lane is not None, speed_runs(full), path_runs(full))
    speed, path = faults(intent, seen)
    stated = [step.longitudinal for step in intent.steps if step.longitudinal]
    if (
        LINE_CAUSES & parse_factors(text)
        and (stated[-1] if stated else intent.longitudinal) is Longitudinal.STOP_STATIC
        and float(full[-1, 3]) < 0.3
        and stop is not None
    ):
        speed += outside("line", stop - front, (STOP_GAP.low, STOP_GAP.high))
    passed = {"longitudinal": float(not speed), "lateral": float(not path), "parsed": 1.0}
    return {**passed, "value": passed["longitudinal"] * passed["lateral"]}


def faults(intent: Intent, seen: Seen) -> tuple[list[str], list[str]]:
    """Faults of speed and of path of a drive against what a text says."""
    if len(intent.steps) > 1:
        return steps_faults(intent.steps, seen)
    assert intent.longitudinal is not None
    assert intent.lateral is not None
    full, pace = seen.full, seen.pace
    speed = speed_faults(LONGITUDINAL_RULES[intent.longitudinal], full[:, 3], pace)
    if intent.speed is not None:
        speed += speed_faults(SPEED_WORDS[intent.speed], full[:, 3], pace)
    if bool((full[:, 3] < -0.3).any()):
        speed.append("drives backwards")
    turned, shift = float(full[-1, 2] - full[0, 2]), seen.offset - seen.offset[0]
    end = (abs(float(seen.heading[-1])), abs(float(seen.offset[-1])) if seen.mapped else None)
    rule = LATERAL_RULES[intent.lateral]
    path = sided_faults(
        intent.lateral in DIRECTIONAL,
        intent.direction,
        lambda side: path_faults(rule, shift, turned, end, side),
    )
    if intent.steps:
        late_speed, late_path = late(intent.steps[0], seen)
        return speed + late_speed, path + late_path
    return speed, path


def speed_runs(full: Tensor) -> list[Run]:
    """Longitudinal meta-actions of states [K, 4]."""
    v = full[:, 3]
    acceleration = v.diff() / DT
    smooth = torch.nn.functional.avg_pool1d(
        torch.nn.functional.pad(acceleration[None, None], (2, 2), mode="replicate"), 5, 1
    )[0, 0]
    levels = [v[1:] > -0.3, v[1:] > 0.3, *(hysteresis(smooth, x) for x in (-1.25, -0.1, 0.1, 1.25))]
    runs = []
    for a, b in pieces(levels):
        mean, change = float(v[a + 1 : b + 1].mean()), float(v[b] - v[a])
        rate = change / ((b - a) * DT)
        if mean <= -0.12:
            name = "reverse"
        elif mean <= 0.12:
            name = "stop"
        elif abs(change) < 0.8 or abs(rate) < 0.15:
            name = "maintain_speed"
        else:
            strength = "strong" if abs(rate) >= 1.4 else "gentle"
            name = f"{strength}_{'acceleration' if rate > 0 else 'deceleration'}"
        runs.append((name, a, b))
    return cleaned(runs, {"maintain_speed": 12}, 8)


def path_runs(full: Tensor) -> list[Run]:
    """Lateral meta-actions of states [K, 4]."""
    step = (full[1:, :2] - full[:-1, :2]).norm(dim=-1)
    turned = full[:, 2].diff()
    turned = torch.atan2(turned.sin(), turned.cos())
    smooth = torch.nn.functional.avg_pool1d(
        torch.nn.functional.pad(turned[None, None], (2, 2), mode="reflect"), 5, 1
    )[0, 0]
    bend = torch.where(step < 1e-6, torch.zeros_like(step), smooth / step)
    v = full[1:, 3]
    runs = []
    for a, b in pieces([v > -0.1, *(bend > x for x in (-0.05, -0.001, 0.001, 0.05))]):
        heading, distance = float(turned[a:b].sum()), float(step[a:b].sum())
        rate = heading / distance if distance > 1e-6 else 0.0
        side = "left" if heading > 0 else "right"
        if float(v[a:b].mean()) <= -0.1 and abs(rate) >= 0.002 and abs(heading) >= 0.2:
            name = f"reverse_{side}"
        elif abs(rate) >= 0.05 and abs(heading) >= 0.2:
            name = f"sharp_steer_{side}"
        elif abs(rate) >= 0.0015 and abs(heading) >= 0.015:
            name = f"steer_{side}"
        else:
            name = "go_straight"
        runs.append((name, a, b))
    return cleaned(runs, {}, 10)


def hysteresis(values: Tensor, threshold: float) -> Tensor:
    """Above or below a threshold [K], changing only when it is passed by 15 %."""
    band = 0.15 * abs(threshold)
    above, below = values > threshold + band, values < threshold - band
    decided = torch.where(above | below, torch.arange(len(values)), -1)
    last = decided.cummax(0).values
    return torch.where(last >= 0, above[last.clamp(min=0)], values > threshold)


def pieces(levels: Sequence[Tensor]) -> list[tuple[int, int]]:
    """Cuts wherever a level changes, at least 3 ticks apart."""
    stacked = torch.stack(list(levels))
    ticks = stacked.shape[1]
    bounds = [0]
    for flip in ((stacked[:, 1:] != stacked[:, :-1]).any(0).nonzero()[:, 0] + 1).tolist():
        if flip - bounds[-1] >= 3 and ticks - flip >= 3:
            bounds.append(flip)
    bounds.append(ticks)
    return list(pairwise(bounds))


def cleaned(runs: list[Run], limits: dict[str, int], least: int) -> list[Run]:
    """Equal neighbours joined, short runs absorbed, shortest first."""
    runs = joined(runs)
    while len(runs) > 1:
        short = [i for i, (name, a, b) in enumerate(runs) if b - a < limits.get(name, least)]
        if not short:
            break
        i = min(short, key=lambda k: runs[k][2] - runs[k][1])
        _, a, b = runs[i]
        if i == 0:
            runs = [(runs[1][0], a, runs[1][2]), *runs[2:]]
        elif i == len(runs) - 1:
            runs = [*runs[:-2], (runs[-2][0], runs[-2][1], b)]
        else:
            (left, start, _), (right, _, end), middle = runs[i - 1], runs[i + 1], (a + b) // 2
            runs = [*runs[: i - 1], (left, start, middle), (right, middle, end), *runs[i + 2 :]]
        runs = joined(runs)
    return runs


def joined(runs: list[Run]) -> list[Run]:
    """Equal neighbours as one."""
    out: list[Run] = []
    for name, a, b in runs:
        if out and out[-1][0] == name:
            out[-1] = (name, out[-1][1], b)
        else:
            out.append((name, a, b))
    return out


def seen_from(full: Tensor, lane: ReferenceLane | None) -> tuple[Tensor, Tensor, float | None]:
    """Offset [K] m and heading [K] rad against the lane, and m to the stop line ahead."""
    if lane is None:
        return *on_arc(full), None
    line, length, yaw = (torch.from_numpy(v) for v in (lane.centre, lane.length, lane.yaw))
    step = line[1:] - line[:-1]
    size = step.norm(dim=-1)
    tangent = step / size[:, None]
    away = full[:, None, :2] - line[:-1]
    along = (away * tangent).sum(-1).clamp(min=torch.zeros_like(size), max=size)
    distance = (away - along[..., None] * tangent).norm(dim=-1)
    best = distance.argmin(-1, keepdim=True)
    across = tangent[:, 0] * away[..., 1] - tangent[:, 1] * away[..., 0]
    s = length[best[:, 0]] + along.gather(1, best)[:, 0]
    side = torch.where(across.gather(1, best)[:, 0] < 0.0, -1.0, 1.0)
    offset = side * distance.gather(1, best)[:, 0] - lane.gap
    if lane.beyond is not None and float(s[-1]) > lane.ends_at:
        return seen_from(full, lane.beyond)
    at = torch.searchsorted(length, s, right=True).clamp(1, len(length) - 1)
    part = (s - length[at - 1]) / (length[at] - length[at - 1])
    against = full[:, 2] - (yaw[at - 1] + part * (yaw[at] - yaw[at - 1]))
    heading = torch.atan2(against.sin(), against.cos())
    ahead = [line_at for line_at in lane.stop_lines if line_at > float(s[0])]
    return offset, heading, min(ahead) - float(s[-1]) if ahead else None
