"""Lanes prepared, and drives projected on them: the loops behind `rewards.lane_frame`.

Role: metres along and left of a polyline for every state of every drive. The nearest segment is looked for from
that of the state before, no farther than a nearer one can be.
"""

from __future__ import annotations

import math

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def _wrapped(angle: float) -> float:
    """The angle in (-pi, pi]."""
    if -math.pi < angle <= math.pi:
        return angle
    return -((-angle + math.pi) % (2.0 * math.pi) - math.pi)


@numba.njit(cache=True, nogil=True)
def _along(line: np.ndarray) -> tuple[np.ndarray, float]:
    """(unit vectors [P - 1, 2] of the segments of a line [P, 2], reach). Reach: m along the line, for each metre
    that a point is off it, beyond which no part of the line is nearer than the foot of the point.

    With headings within a range of R < pi, g m along the line are at least g cos(R / 2) m away from where
    it began, in a direction within R of the heading there. The foot of a point that is b m off has the point at a
    right angle, so that the squared distance grows by at least d (d - 2 b sin R) over d m: reach is
    2 sin R / cos(R / 2), with 1 for the sine from a right angle on, and everything where R reaches pi."""
    count = len(line) - 1
    unit = np.zeros((count, 2))
    low = high = yaw = 0.0
    begun = False
    for k in range(count):
        dx, dy = line[k + 1, 0] - line[k, 0], line[k + 1, 1] - line[k, 1]
        size = math.sqrt(dx * dx + dy * dy)
        if size == 0.0:
            continue
        unit[k, 0], unit[k, 1] = dx / size, dy / size
        heading = math.atan2(dy, dx)
        yaw = yaw + _wrapped(heading - yaw) if begun else heading
        low, high = (min(low, yaw), max(high, yaw)) if begun else (yaw, yaw)
        begun = True
    # Rounding must not make a line straighter than it is.
    around = high - low + 1e-9
    if around >= math.pi - 1e-6:
        return unit, math.inf
    return unit, 2.0 * math.sin(min(around, 0.5 * math.pi)) / math.cos(0.5 * around)


@numba.njit(cache=True, nogil=True)
def _seen(
    x: float, y: float, line: np.ndarray, length: np.ndarray, unit: np.ndarray, k: int
) -> tuple[float, float, float]:
    """(distance, metres along segment k, signed area that tells the side) of a point; inf for an empty segment."""
    size = length[k + 1] - length[k]
    if size == 0.0:
        return math.inf, 0.0, 0.0
    dx, dy = x - line[k, 0], y - line[k, 1]
    along = min(max(dx * unit[k, 0] + dy * unit[k, 1], 0.0), size)
    away_x, away_y = dx - along * unit[k, 0], dy - along * unit[k, 1]
    return math.sqrt(away_x * away_x + away_y * away_y), along, unit[k, 0] * dy - unit[k, 1] * dx


@numba.njit(cache=True, nogil=True)
def _project(
    x: float, y: float, line: np.ndarray, length: np.ndarray, unit: np.ndarray, reach: float, guess: int
) -> tuple[float, float, int]:
    """(s, d, segment) of a point on a line [P, 2]; reach: see `_along`. The search ends where it is passed, which
    leaves out nothing: at a segment's end the neighbour is at no distance and is looked at."""
    best, along, side = _seen(x, y, line, length, unit, guess)
    at = guess
    for direction in (1, -1):
        k = guess + direction
        while 0 <= k < len(unit):
            foot = length[at] + along
            gone = length[k] - foot if direction > 0 else foot - length[k + 1]
            if gone > reach * best:
                break
            distance, there, turn = _seen(x, y, line, length, unit, k)
            if distance < best or (distance == best and k < at):
                best, along, side, at = distance, there, turn, k
            k += direction
    return length[at] + along, -best if side < 0.0 else best, at


@numba.njit(cache=True, nogil=True)
def measured(line: np.ndarray) -> np.ndarray:
    """Distance [P] m along a line [P, 2]."""
    out = np.zeros(len(line))
    for k in range(1, len(line)):
        dx, dy = line[k, 0] - line[k - 1, 0], line[k, 1] - line[k - 1, 1]
        out[k] = out[k - 1] + math.sqrt(dx * dx + dy * dy)
    return out


@numba.njit(cache=True, nogil=True)
def projected(points: np.ndarray, line: np.ndarray, length: np.ndarray) -> np.ndarray:
    """[N, 2] of s and d m, as `scenes.geometry.project`, for points [N, 2]."""
    out = np.empty((len(points), 2))
    unit, reach = _along(line)
    guess = 0
    for i in range(len(points)):
        out[i, 0], out[i, 1], guess = _project(points[i, 0], points[i, 1], line, length, unit, reach, guess)
    return out


@numba.njit(cache=True, nogil=True)
def nearest_point(line: np.ndarray) -> int:
    """The first of the points [P, 2] that are nearest to the origin."""
    best, at = math.inf, 0
    for k in range(len(line)):
        square = line[k, 0] * line[k, 0] + line[k, 1] * line[k, 1]
        if square < best:
            best, at = square, k
    return at


@numba.njit(cache=True, nogil=True)
def _beside(x: float, y: float, line: np.ndarray) -> float:
    """How far left of a line [P, 2] a point is, m, by a look at every segment: cheaper for one point than
    to prepare the line."""
    best, left = math.inf, True
    for k in range(len(line) - 1):
        along_x, along_y = line[k + 1, 0] - line[k, 0], line[k + 1, 1] - line[k, 1]
        square = along_x * along_x + along_y * along_y
        if square == 0.0:
            continue
        dx, dy = x - line[k, 0], y - line[k, 1]
        share = min(max((dx * along_x + dy * along_y) / square, 0.0), 1.0)
        away_x, away_y = dx - share * along_x, dy - share * along_y
        away = away_x * away_x + away_y * away_y
        if away < best:
            best, left = away, along_x * dy - along_y * dx >= 0.0
    return math.sqrt(best) if left else -math.sqrt(best)


@numba.njit(cache=True, nogil=True)
def _runs_along_x(line: np.ndarray, near: int, aligned: float) -> bool:
    """Whether a line runs along x, within `aligned` rad, at its point `near`."""
    one, other = max(near - 1, 0), min(near + 1, len(line) - 1)
    return abs(math.atan2(line[other, 1] - line[one, 1], line[other, 0] - line[one, 0])) < aligned


@numba.njit(cache=True, nogil=True)
def chosen(
    points: np.ndarray, first: np.ndarray, reach: float, aligned: float, beside: float, longer: float
) -> tuple[int, int, float]:
    """(lane under the origin or -1, lane that goes on beside it where it ends or -1, m that the first lies left of
    the second) of lanes points[first[l] : first[l + 1]]; see `lane_frame.reference_lane`."""
    count = len(first) - 1
    far, near = np.zeros(count), np.full(count, -1)
    own, least = -1, math.inf
    for here in range(count):
        line = points[first[here] : first[here + 1]]
        if len(line) < 2:
            continue
        far[here], at = measured(line)[-1], nearest_point(line)
        if far[here] == 0.0 or not _runs_along_x(line, at, aligned):
            continue
        near[here], away = at, abs(_beside(0.0, 0.0, line))
        if away < least:
            own, least = here, away
    if own < 0 or least > reach:
        return -1, -1, 0.0
    x, y = points[first[own] + near[own]]
    for here in range(count):
        if here == own or near[here] < 0 or far[here] <= far[own] + longer:
            continue
        line = points[first[here] : first[here + 1]]
        gap = _beside(x, y, line)
        if abs(gap) < beside:
            return own, here, gap
    return own, -1, 0.0


@numba.njit(cache=True, nogil=True)
def crossed(points: np.ndarray, first: np.ndarray, line: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Where on a line stop lines points[first[l] : first[l + 1]] lie that reach within 0.5 m of it: m along it."""
    out, found = np.empty(len(first) - 1), 0
    for here in range(len(first) - 1):
        seen = projected(points[first[here] : first[here + 1]], line, length)
        if seen[:, 1].min() <= 0.5 and seen[:, 1].max() >= -0.5:
            out[found] = seen[:, 0].mean()
            found += 1
    return out[:found]


@numba.njit(cache=True, nogil=True)
def continued(line: np.ndarray, beyond: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A line [P, 2] carried on straight by `beyond` m at both ends: points [P + 2, 2], m along it, heading rad
    (central differences, without jumps)."""
    count = len(line) + 2
    points = np.empty((count, 2))
    points[1:-1] = line
    for end, inner, inward in ((0, 1, 1), (count - 1, count - 2, -1)):
        k, dx, dy = inner + inward, 0.0, 0.0
        # A point that stands twice has no direction; the caller leaves out lines of no length.
        while dx == 0.0 and dy == 0.0:
            dx, dy = points[inner, 0] - points[k, 0], points[inner, 1] - points[k, 1]
            k += inward
        size = math.sqrt(dx * dx + dy * dy)
        points[end, 0] = points[inner, 0] + beyond * dx / size
        points[end, 1] = points[inner, 1] + beyond * dy / size
    yaw = np.empty(count)
    for k in range(count):
        one, other = max(k - 1, 0), min(k + 1, count - 1)
        yaw[k] = math.atan2(points[other, 1] - points[one, 1], points[other, 0] - points[one, 0])
        if k:
            yaw[k] = yaw[k - 1] + _wrapped(yaw[k] - yaw[k - 1])
    return points, measured(points), yaw


@numba.njit(cache=True, nogil=True)
def _on_lane(
    states: np.ndarray,
    line: np.ndarray,
    length: np.ndarray,
    yaw: np.ndarray,
    unit: np.ndarray,
    reach: float,
    gap: float,
    offset: np.ndarray,
    heading: np.ndarray,
) -> tuple[float, float, float]:
    """Fill offset [K] and heading [K] of states [K, 4]; (s at the start, s at the end, bend)."""
    at = 0
    begin = end = first = turned = 0.0
    for i in range(len(states)):
        s, d, at = _project(states[i, 0], states[i, 1], line, length, unit, reach, at)
        size = length[at + 1] - length[at]
        along = yaw[at] + (yaw[at + 1] - yaw[at]) / size * (s - length[at])
        offset[i], heading[i] = d - gap, _wrapped(states[i, 2] - along)
        if i == 0:
            begin, first = s, along
        end, turned = s, along - first
    return begin, end, turned


@numba.njit(cache=True, nogil=True)
def _on_arc(states: np.ndarray, offset: np.ndarray, heading: np.ndarray) -> float:
    """As `_on_lane` without a map: against the arc that turns as the drive as a whole does; returns its turn."""
    count = len(states)
    step = np.empty(count)
    driven = 0.0
    for i in range(1, count):
        dx, dy = states[i, 0] - states[i - 1, 0], states[i, 1] - states[i - 1, 1]
        step[i] = math.sqrt(dx * dx + dy * dy)
        driven += step[i]
    turned = states[count - 1, 2] - states[0, 2]
    rate = turned / driven if driven > 1.0 else 0.0
    x, y, yaw, so_far = states[0, 0], states[0, 1], states[0, 2], 0.0
    for i in range(count):
        if i:
            so_far += step[i]
            before, yaw = yaw, states[0, 2] + rate * so_far
            middle = 0.5 * (yaw + before)
            x += step[i] * math.cos(middle)
            y += step[i] * math.sin(middle)
        offset[i] = -(states[i, 0] - x) * math.sin(yaw) + (states[i, 1] - y) * math.cos(yaw)
        heading[i] = _wrapped(states[i, 2] - yaw)
    return turned


@numba.njit(cache=True, nogil=True)
def frames(
    states: np.ndarray,
    lane: np.ndarray,
    first: np.ndarray,
    points: np.ndarray,
    length: np.ndarray,
    yaw: np.ndarray,
    ends_at: np.ndarray,
    gap: np.ndarray,
    beyond: np.ndarray,
    first_stop: np.ndarray,
    stops: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(offset [R, K], heading [R, K], bend [R], stop line [R], NaN without one) of states [R, K, 4], row r on
    lane[r], or -1 for none. Lane l has points[first[l] : first[l + 1]], goes on as beyond[l] (-1: not) from
    ends_at[l] m on, and has stops[first_stop[l] : first_stop[l + 1]] m along it."""
    rows, count = states.shape[0], states.shape[1]
    offset, heading = np.empty((rows, count)), np.empty((rows, count))
    bend, stop = np.empty(rows), np.full(rows, np.nan)
    unit, reach = np.empty((len(length), 2)), np.empty(len(ends_at))
    for here in range(len(ends_at)):
        one, other = first[here], first[here + 1]
        unit[one : other - 1], reach[here] = _along(points[one:other])
    for r in range(rows):
        here = lane[r]
        if here < 0:
            bend[r] = _on_arc(states[r], offset[r], heading[r])
            continue
        for _ in range(2):
            one, other = first[here], first[here + 1]
            begin, end, bend[r] = _on_lane(
                states[r],
                points[one:other],
                length[one:other],
                yaw[one:other],
                unit[one : other - 1],
                reach[here],
                gap[here],
                offset[r],
                heading[r],
            )
            if beyond[here] < 0 or not end > ends_at[here]:
                break
            here = beyond[here]
        nearest = np.inf
        for k in range(first_stop[here], first_stop[here + 1]):
            if stops[k] > begin and stops[k] < nearest:
                nearest = stops[k]
        if nearest < np.inf:
            stop[r] = nearest - end
    return offset, heading, bend, stop
