"""Meta-actions of many drives at once: the same segments as `rewards.meta_actions` gives them one by one.

Role: what makes the consistency reward cheap on a batch. Each drive is a row of ticks and each tick carries its
segment's action, so that joining equal neighbours needs no work and absorbing a short segment is one write; all
rows advance together.
Invariant: row r equals longitudinal_segments(states[r]) and lateral_segments(states[r]) (tested).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rewards.meta_actions import (
    HYSTERESIS,
    SHORTEST_CUT,
    SMOOTHING_TICKS,
    LateralAction,
    LongitudinalAction,
    Segment,
)
from scenes.geometry import wrap_angle
from scenes.trajectory import STEP_S

Action = LongitudinalAction | LateralAction
LONGITUDINAL = tuple(LongitudinalAction)
LATERAL = tuple(LateralAction)
LON = {action: code for code, action in enumerate(LONGITUDINAL)}
LAT = {action: code for code, action in enumerate(LATERAL)}
SHORTEST_LONGITUDINAL: dict[Action, int] = {
    **dict.fromkeys(LONGITUDINAL, 8),
    LongitudinalAction.MAINTAIN_SPEED: 12,
}
SHORTEST_LATERAL: dict[Action, int] = dict.fromkeys(LATERAL, 10)


def longitudinal_batch(states: np.ndarray) -> list[tuple[Segment, ...]]:
    """Longitudinal segments of each row of states [R, K, 4]; see `meta_actions.longitudinal_segments`."""
    along = states[..., 3]
    smooth = _smoothed(np.diff(along, axis=-1) / STEP_S, "edge")
    levels = [along[:, 1:] > threshold for threshold in (-0.3, 0.3)]
    levels += [_with_hysteresis(smooth, threshold) for threshold in (-1.25, -0.1, 0.1, 1.25)]
    first, ticks = _pieces(levels)
    row, start, end = first // smooth.shape[1], first % smooth.shape[1], first % smooth.shape[1] + ticks
    mean = np.add.reduceat(along[:, 1:].ravel(), first) / ticks
    change = along[row, end] - along[row, start]
    rate = change / (ticks * STEP_S)
    strong = np.abs(rate) >= 1.4
    codes = np.select(
        [mean <= -0.12, mean <= 0.12, (np.abs(change) < 0.8) | (np.abs(rate) < 0.15), rate > 0],
        [
            LON[LongitudinalAction.REVERSE],
            LON[LongitudinalAction.STOP],
            LON[LongitudinalAction.MAINTAIN_SPEED],
            np.where(
                strong,
                LON[LongitudinalAction.STRONG_ACCELERATION],
                LON[LongitudinalAction.GENTLE_ACCELERATION],
            ),
        ],
        np.where(
            strong, LON[LongitudinalAction.STRONG_DECELERATION], LON[LongitudinalAction.GENTLE_DECELERATION]
        ),
    )
    return _segments(np.repeat(codes, ticks).reshape(smooth.shape), LONGITUDINAL, SHORTEST_LONGITUDINAL)


def lateral_batch(states: np.ndarray) -> list[tuple[Segment, ...]]:
    """Lateral segments of each row of states [R, K, 4]; see `meta_actions.lateral_segments`."""
    moved = np.diff(states[..., :2], axis=1)
    step = np.sqrt(moved[..., 0] ** 2 + moved[..., 1] ** 2)
    turned = wrap_angle(np.diff(states[..., 2], axis=-1))
    still = step < 1e-6
    bend = np.where(still, 0.0, _smoothed(turned, "reflect") / np.where(still, 1.0, step))
    along = states[:, 1:, 3]
    levels = [along > -0.1, *(bend > threshold for threshold in (-0.05, -0.001, 0.001, 0.05))]
    first, ticks = _pieces(levels)
    heading, distance = (np.add.reduceat(values.ravel(), first) for values in (turned, step))
    rate = np.where(distance > 1e-6, heading / np.where(distance > 1e-6, distance, 1.0), 0.0)
    backwards = np.add.reduceat(along.ravel(), first) / ticks <= -0.1
    sharp, left = np.abs(heading) >= 0.2, heading > 0
    cases = (
        (
            backwards & (np.abs(rate) >= 0.002) & sharp,
            LateralAction.REVERSE_LEFT,
            LateralAction.REVERSE_RIGHT,
        ),
        ((np.abs(rate) >= 0.05) & sharp, LateralAction.SHARP_STEER_LEFT, LateralAction.SHARP_STEER_RIGHT),
        (
            (np.abs(rate) >= 0.0015) & (np.abs(heading) >= 0.015),
            LateralAction.STEER_LEFT,
            LateralAction.STEER_RIGHT,
        ),
    )
    codes = np.select(
        [case for case, _, _ in cases],
        [np.where(left, LAT[one], LAT[other]) for _, one, other in cases],
        LAT[LateralAction.GO_STRAIGHT],
    )
    return _segments(np.repeat(codes, ticks).reshape(step.shape), LATERAL, SHORTEST_LATERAL)


def _smoothed(values: np.ndarray, padding: str) -> np.ndarray:
    half = SMOOTHING_TICKS // 2
    ticks = values.shape[1]
    if ticks <= half:
        return values
    padded = np.pad(values, ((0, 0), (half, half)), mode=padding)  # type: ignore[call-overload]
    share = 1.0 / SMOOTHING_TICKS
    total = padded[:, :ticks] * share
    for shift in range(1, SMOOTHING_TICKS):
        total += padded[:, shift : shift + ticks] * share
    return total


def _with_hysteresis(values: np.ndarray, threshold: float) -> np.ndarray:
    band = HYSTERESIS * abs(threshold)
    above, below = values > threshold + band, values < threshold - band
    decided = np.where(above | below, np.arange(values.shape[1]), -1)
    last = np.maximum.accumulate(decided, axis=1)
    return np.where(last >= 0, np.take_along_axis(above, np.maximum(last, 0), axis=1), values > threshold)


def _pieces(levels: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Of all rows one after the other: the flat index of each piece's first tick, and its ticks. A cut where a
    level flips, at least SHORTEST_CUT ticks after the one before and before the end."""
    rows, ticks = levels[0].shape
    flips = np.zeros((rows, ticks), dtype=bool)
    for level in levels:
        flips[:, 1:] |= level[:, 1:] != level[:, :-1]
    flips[:, max(ticks - SHORTEST_CUT + 1, 0) :] = False
    cut = np.zeros((ticks, rows), dtype=bool)
    cut[0] = True
    last = np.zeros(rows, dtype=np.intp)
    for tick in range(SHORTEST_CUT, ticks):
        here = flips[:, tick] & (last <= tick - SHORTEST_CUT)
        cut[tick] = here
        last[here] = tick
    first = np.flatnonzero(cut.T)
    return first, np.diff(first, append=rows * ticks)


def _segments(
    labels: np.ndarray, actions: Sequence[Action], shortest: Mapping[Action, int]
) -> list[tuple[Segment, ...]]:
    """Segments of labels [R, K] (index into actions), runs shorter than their action's minimum absorbed as in
    `meta_actions.cleaned`."""
    limits = np.array([shortest[action] for action in actions])
    labels = labels.copy()
    active = np.arange(len(labels))
    while len(active):
        some, short = _absorb(labels[active], limits)
        labels[active] = some
        active = active[short]
    begins = np.ones(labels.shape, dtype=bool)
    begins[:, 1:] = labels[:, 1:] != labels[:, :-1]
    row, start = np.nonzero(begins)
    end = np.append(start[1:], 0)[: len(start)]
    end[end == 0] = labels.shape[1]
    out: list[list[Segment]] = [[] for _ in labels]
    for at, code, one, other in zip(
        row.tolist(), labels[begins].tolist(), start.tolist(), end.tolist(), strict=True
    ):
        out[at].append(Segment(actions[code], one, other))
    return [tuple(row) for row in out]


def _absorb(labels: np.ndarray, limits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels [R, K] with each row's shortest short run absorbed, and [R] whether there was one: into the
    neighbours, half each; at an end, whole into the one neighbour."""
    rows, ticks = labels.shape
    tick = np.arange(ticks)
    begins = np.ones((rows, ticks), dtype=bool)
    begins[:, 1:] = labels[:, 1:] != labels[:, :-1]
    start = np.maximum.accumulate(np.where(begins, tick, 0), axis=1)
    after = np.where(np.roll(begins, -1, axis=1), tick + 1, ticks)
    end = np.minimum.accumulate(after[:, ::-1], axis=1)[:, ::-1]
    length = end - start
    length = np.where((length < limits[labels]) & (length < ticks), length, ticks)
    at = np.argmin(length, axis=1)
    row = np.arange(rows)
    short = length[row, at] < ticks
    first, last = start[row, at], end[row, at]
    before = labels[row, np.maximum(first - 1, 0)]
    behind = labels[row, np.minimum(last, ticks - 1)]
    left, right = np.where(first > 0, before, behind), np.where(last < ticks, behind, before)
    within = (tick >= first[:, None]) & (tick < last[:, None]) & short[:, None]
    halves = np.where(tick < ((first + last) // 2)[:, None], left[:, None], right[:, None])
    return np.where(within, halves, labels), short
