"""Meta-actions of a trajectory: what a drive does, as gap-free segments on each axis.

Role: turns 64 states into words such as "gentle deceleration" or "steer left", so that reasoning text can be
held against them. Source of thresholds, smoothing, minimum durations and cleaning: the meta-action detectors
of NVIDIA's alpamayo-coc-autolabeler; names: Table 5 of the Alpamayo-R1 paper (arXiv 2511.00088).
Invariant: the segments of an axis cover every tick exactly once, in order, neighbours differing in action.

Where the published rules leave a choice, or ours differ:
- speed is signed, along the heading (states hold no other); for a drive forwards the two are the same;
- acceleration is padded with its end values before smoothing (heading changes are reflected, as published);
  a hysteresis of 15 % is 15 % of the threshold's magnitude, either way;
- a segment's change of speed is taken from the state that it starts in to the one that it ends in;
- of segments below their minimum the shortest is absorbed first; one at either end goes whole to its only
  neighbour; an odd tick of a split one goes to the later half;
- the published lane detector (lane change, slight shift, turn from lane ids) is not used: paths are judged in
  the lane's frame by rewards.consistency_rules, whose bounds are set on net motion so that an abort, a nudge
  and a lane change stay apart. The detector asks for 1.0 m for a lane change, 0.2 m for a shift and 0.2 rad
  for a turn; the rules for 2.0 m, 0.3 m and 0.8 rad.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np

from scenes.geometry import wrap_angle
from scenes.trajectory import STEP_S

SMOOTHING_TICKS = 5
HYSTERESIS = 0.15
SHORTEST_CUT = 3


class LongitudinalAction(StrEnum):
    """What the speed does over a segment."""

    REVERSE = "reverse"
    STOP = "stop"
    STRONG_ACCELERATION = "strong_acceleration"
    GENTLE_ACCELERATION = "gentle_acceleration"
    STRONG_DECELERATION = "strong_deceleration"
    GENTLE_DECELERATION = "gentle_deceleration"
    MAINTAIN_SPEED = "maintain_speed"


class LateralAction(StrEnum):
    """What the heading does over a segment."""

    REVERSE_LEFT = "reverse_left"
    REVERSE_RIGHT = "reverse_right"
    SHARP_STEER_LEFT = "sharp_steer_left"
    SHARP_STEER_RIGHT = "sharp_steer_right"
    STEER_LEFT = "steer_left"
    STEER_RIGHT = "steer_right"
    GO_STRAIGHT = "go_straight"


@dataclass(frozen=True)
class Segment:
    """Ticks start … end - 1 of the drive do `action`."""

    action: LongitudinalAction | LateralAction
    start: int
    end: int

    @property
    def ticks(self) -> int:
        """Duration in 0.1 s steps."""
        return self.end - self.start


def longitudinal_segments(states: np.ndarray) -> list[Segment]:
    """Longitudinal meta-actions of states [K, 4] (x, y, yaw, v along the heading); K - 1 ticks, tick i from
    state i to state i + 1."""
    along = states[:, 3]
    bounds = cuts(longitudinal_levels(along))
    pieces = [Segment(_classify_speed(along[a : b + 1]), a, b) for a, b in pairwise(bounds)]
    shortest = dict.fromkeys(LongitudinalAction, 8) | {LongitudinalAction.MAINTAIN_SPEED: 12}
    return cleaned(pieces, shortest)


def lateral_segments(states: np.ndarray) -> list[Segment]:
    """Lateral meta-actions of states [K, 4]; K - 1 ticks. Left is positive."""
    step = np.linalg.norm(np.diff(states[:, :2], axis=0), axis=-1)
    turned = wrap_angle(np.diff(states[:, 2]))
    bounds = cuts(lateral_levels(states[:, 3], turned, step))
    pieces = [
        Segment(_classify_heading(states[a + 1 : b + 1, 3], turned[a:b], step[a:b]), a, b)
        for a, b in pairwise(bounds)
    ]
    return cleaned(pieces, dict.fromkeys(LateralAction, 10))


def longitudinal_levels(along: np.ndarray) -> np.ndarray:
    """[6, K] bool for speeds [K + 1] m/s: above -0.3 and 0.3 m/s, and, smoothed and with hysteresis, above an
    acceleration of -1.25, -0.1, 0.1 and 1.25 m/s²."""
    smooth = smoothed(np.diff(along) / STEP_S, "edge")
    return np.stack(
        [
            *(levels_crossed(along[1:], threshold, 0.0) for threshold in (-0.3, 0.3)),
            *(levels_crossed(smooth, threshold, HYSTERESIS) for threshold in (-1.25, -0.1, 0.1, 1.25)),
        ]
    )


def lateral_levels(along: np.ndarray, turned: np.ndarray, step: np.ndarray) -> np.ndarray:
    """[5, K] bool for speeds [K + 1] m/s, heading changes [K] rad and distances [K] m: above -0.1 m/s, and a
    smoothed heading rate above -0.05, -0.001, 0.001 and 0.05 rad/m (0 where the step is below 1 µm)."""
    still = step < 1e-6
    rate = np.where(still, 0.0, smoothed(turned, "reflect") / np.where(still, 1.0, step))
    return np.stack(
        [
            levels_crossed(along[1:], -0.1, 0.0),
            *(levels_crossed(rate, threshold, 0.0) for threshold in (-0.05, -0.001, 0.001, 0.05)),
        ]
    )


def smoothed(values: np.ndarray, padding: str) -> np.ndarray:
    """Centred mean over SMOOTHING_TICKS of values [K], padded by numpy's mode ("edge", "reflect")."""
    half = SMOOTHING_TICKS // 2
    if len(values) <= half:
        return values
    padded = np.pad(values, half, mode=padding)  # type: ignore[call-overload]
    return np.convolve(padded, np.full(SMOOTHING_TICKS, 1.0 / SMOOTHING_TICKS), mode="valid")


def levels_crossed(values: np.ndarray, threshold: float, hysteresis: float) -> np.ndarray:
    """[K] bool: above the threshold. With hysteresis the state flips only when the threshold is passed by
    that share of its magnitude."""
    band = hysteresis * abs(threshold)
    if band == 0.0:
        return values > threshold
    above, below = values > threshold + band, values < threshold - band
    # Where neither holds, the last decided tick rules; before the first decided one, the plain comparison.
    decided = np.where(above | below, np.arange(len(values)), -1)
    last = np.maximum.accumulate(decided)
    return np.where(last >= 0, above[np.maximum(last, 0)], values > threshold)


def cuts(levels: np.ndarray) -> list[int]:
    """Segment bounds [0, …, K] from level states [L, K]: a cut where any flips, at least SHORTEST_CUT ticks
    after the one before and before the end."""
    ticks = levels.shape[1]
    flips = np.flatnonzero((levels[:, 1:] != levels[:, :-1]).any(axis=0)) + 1
    bounds = [0]
    for flip in flips:
        if flip - bounds[-1] >= SHORTEST_CUT and ticks - flip >= SHORTEST_CUT:
            bounds.append(int(flip))
    return [*bounds, ticks]


def _classify_speed(along: np.ndarray) -> LongitudinalAction:
    """First match wins. along: speeds at the K + 1 ends of K ticks."""
    mean = float(along[1:].mean())
    change = float(along[-1] - along[0])
    rate = change / ((len(along) - 1) * STEP_S)
    if mean <= -0.12:
        return LongitudinalAction.REVERSE
    if mean <= 0.12:
        return LongitudinalAction.STOP
    if abs(change) < 0.8 or abs(rate) < 0.15:
        return LongitudinalAction.MAINTAIN_SPEED
    if rate > 0:
        strong = rate >= 1.4
        return LongitudinalAction.STRONG_ACCELERATION if strong else LongitudinalAction.GENTLE_ACCELERATION
    strong = rate <= -1.4
    return LongitudinalAction.STRONG_DECELERATION if strong else LongitudinalAction.GENTLE_DECELERATION


def _classify_heading(along: np.ndarray, turned: np.ndarray, step: np.ndarray) -> LateralAction:
    """First match wins; rate is total heading change over total distance."""
    heading, distance = float(turned.sum()), float(step.sum())
    rate = heading / distance if distance > 1e-6 else 0.0
    left = heading > 0
    if along.mean() <= -0.1 and abs(rate) >= 0.002 and abs(heading) >= 0.2:
        return LateralAction.REVERSE_LEFT if left else LateralAction.REVERSE_RIGHT
    if abs(rate) >= 0.05 and abs(heading) >= 0.2:
        return LateralAction.SHARP_STEER_LEFT if left else LateralAction.SHARP_STEER_RIGHT
    if abs(rate) >= 0.0015 and abs(heading) >= 0.015:
        return LateralAction.STEER_LEFT if left else LateralAction.STEER_RIGHT
    return LateralAction.GO_STRAIGHT


def merged(segments: list[Segment]) -> list[Segment]:
    """Join equal neighbours."""
    out: list[Segment] = []
    for segment in segments:
        if out and out[-1].action == segment.action:
            out[-1] = Segment(segment.action, out[-1].start, segment.end)
        else:
            out.append(segment)
    return out


def cleaned(
    segments: list[Segment], shortest: dict[LongitudinalAction, int] | dict[LateralAction, int]
) -> list[Segment]:
    """Merge equal neighbours and absorb segments below their action's minimum, shortest first: into both
    neighbours when these agree, else half to each; at an end, whole into the one neighbour. Nothing is
    classified anew."""
    out = merged(segments)
    limits: dict[str, int] = {str(action): ticks for action, ticks in shortest.items()}
    while len(out) > 1:
        short = [i for i, segment in enumerate(out) if segment.ticks < limits[segment.action]]
        if not short:
            break
        i = min(short, key=lambda index: out[index].ticks)
        here = out[i]
        if i == 0:
            replaced = [Segment(out[1].action, here.start, out[1].end)]
            out = replaced + out[2:]
        elif i == len(out) - 1:
            out = out[:-2] + [Segment(out[-2].action, out[-2].start, here.end)]
        else:
            before, after = out[i - 1], out[i + 1]
            middle = (here.start + here.end) // 2
            halves = [Segment(before.action, before.start, middle), Segment(after.action, middle, after.end)]
            out = out[: i - 1] + halves + out[i + 2 :]
        out = merged(out)
    return out
