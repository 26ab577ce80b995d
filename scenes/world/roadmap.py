"""The road of a scene as map elements in the ego frame at t0.

Role: lanes, markings, kerbs, drivable surface, crosswalks, stop lines, signs and lights of a scene spec.
Invariant: geometry only; nothing here depends on what the expert decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from scenes.clip import SIGNAL_STATES, RoadMap, Sign, Signals
from scenes.trajectory import FUTURE_STEPS, HISTORY_STEPS
from scenes.world.place import Place
from scenes.world.spec import SceneSpec

FIRST_S, LAST_S, SPACING_M = -40.0, 170.0, 2.0
TAPER_M = 25.0
CROSS_REACH_M = 70.0

Line = tuple[np.ndarray, str]


def _line(place: Place, d: float, first: float = FIRST_S, last: float = LAST_S) -> np.ndarray:
    return place.line(d, first, last, SPACING_M)


def _taper(spec: SceneSpec, s: np.ndarray) -> np.ndarray:
    """d of the right edge of a lane that ends: from its right line to its left one within TAPER_M."""
    u = np.clip((s - (spec.lane_end_s - TAPER_M)) / TAPER_M, 0.0, 1.0)
    return spec.width * (u - 0.5)


def _stretches(spec: SceneSpec) -> list[tuple[float, float]]:
    """Parts of the route with markings: all but the junction."""
    if math.isinf(spec.cross_s):
        return [(FIRST_S, LAST_S)]
    return [(FIRST_S, spec.cross_s - spec.cross_half), (spec.cross_s + spec.cross_half, LAST_S)]


def _lines(spec: SceneSpec, place: Place) -> list[Line]:
    """Painted lines and kerbs along the route."""
    same_left = [spec.width * (i + 0.5) for i in range(spec.lanes_left)]
    same_right = [-spec.width * (i + 0.5) for i in range(spec.lanes_right)]
    marks = [(d, spec.left_line if i == 0 else "dashed") for i, d in enumerate(same_left)]
    marks += [(d, spec.right_line if i == 0 else "dashed") for i, d in enumerate(same_right)]
    middle = spec.width * (spec.lanes_left + 0.5)
    if spec.oncoming:
        marks.append((middle, spec.left_line if spec.lanes_left == 0 else "solid"))
        marks += [(middle + spec.width * i, "dashed") for i in range(1, spec.oncoming)]
    marks.append((spec.left_edge, spec.edge))
    lines: list[Line] = []
    for first, last in _stretches(spec):
        lines += [(_line(place, d, first, last), kind) for d, kind in marks]
        if math.isfinite(spec.lane_end_s):
            s = np.linspace(first, last, round((last - first) / SPACING_M) + 1)
            lines.append((place(s, _taper(spec, s)), spec.edge))
        else:
            lines.append(
                (_line(place, spec.right_edge, first, last), "solid" if spec.shoulder else spec.edge)
            )
            if spec.shoulder:
                lines.append((_line(place, spec.right_edge - spec.shoulder, first, last), spec.edge))
    return lines


def _cross_road(spec: SceneSpec, place: Place) -> tuple[list[Line], list[np.ndarray], list[np.ndarray]]:
    """Lines, drivable polygon and lanes of the crossing road."""
    right, left = spec.right_edge - spec.shoulder, spec.left_edge
    near, far = spec.cross_s - spec.cross_half, spec.cross_s + spec.cross_half
    lines: list[Line] = []
    for d0, d1 in ((right, -CROSS_REACH_M), (left, CROSS_REACH_M)):
        lines += [(place(np.array([s, s]), np.array([d0, d1])), spec.edge) for s in (near, far)]
        lines.append((place(np.full(2, spec.cross_s), np.array([d0, d1])), "dashed"))
    ring = place(np.array([near, far, far, near]), CROSS_REACH_M * np.array([-1.0, -1.0, 1.0, 1.0]))
    half = 0.5 * spec.cross_half
    reach = CROSS_REACH_M * np.array([-1.0, 1.0])
    lanes = [place(np.full(2, spec.cross_s + half), reach), place(np.full(2, spec.cross_s - half), -reach)]
    return lines, [ring], lanes


def build_road(spec: SceneSpec, place: Place) -> RoadMap:
    """The road map of a spec, in the ego frame at t0."""
    lanes = [_line(place, 0.0, FIRST_S, min(LAST_S, spec.lane_end_s))]
    lanes += [_line(place, spec.width * i) for i in range(1, spec.lanes_left + 1)]
    lanes += [_line(place, -spec.width * i) for i in range(1, spec.lanes_right + 1)]
    lanes += [_line(place, spec.width * (spec.lanes_left + i))[::-1] for i in range(1, spec.oncoming + 1)]
    widths = [spec.width] * len(lanes)
    s = np.linspace(FIRST_S, LAST_S, round((LAST_S - FIRST_S) / SPACING_M) + 1)
    right = (
        _taper(spec, s)
        if math.isfinite(spec.lane_end_s)
        else np.full_like(s, spec.right_edge - spec.shoulder)
    )
    surface = [np.concatenate([place(s, right), place(s, np.full_like(s, spec.left_edge))[::-1]])]
    lines = _lines(spec, place)
    if math.isfinite(spec.cross_s):
        more, ring, cross_lanes = _cross_road(spec, place)
        lines, surface, lanes = lines + more, surface + ring, lanes + cross_lanes
        widths += [spec.cross_half] * len(cross_lanes)
    walks = []
    for at in spec.crosswalks:
        span = np.array([spec.right_edge - spec.shoulder, spec.left_edge])
        walks.append(place(at + np.array([-1.5, -1.5, 1.5, 1.5]), span[[0, 1, 1, 0]]))
    stops = []
    if math.isfinite(spec.stop_s):
        stops.append(
            place(np.full(2, spec.stop_s), np.array([spec.right_edge, spec.width * (spec.lanes_left + 0.5)]))
        )
    return RoadMap(
        tuple(lanes),
        tuple(widths),
        tuple(points for points, _ in lines),
        tuple(kind for _, kind in lines),
        tuple(surface),
        tuple(walks),
        tuple(stops),
        tuple(_signs(spec, place)),
    )


def _signs(spec: SceneSpec, place: Place) -> Sequence[Sign]:
    post = spec.right_edge - spec.shoulder - 0.9
    places = []
    if spec.control == "stop":
        places.append(("sign-stop", "stop", spec.stop_s))
    if math.isfinite(spec.limit_s):
        places.append(("sign-limit", "speed_limit", spec.limit_s))
    rows = [(name, kind, at, post, 0.0) for name, kind, at in places]
    rows += [(f"sign-other-{i}", *sign) for i, sign in enumerate(spec.other_signs)]
    out = []
    for name, kind, at, d, turned in rows:
        x, y = place(np.array([at]), np.array([d]))[0]
        out.append(Sign(name, kind, (float(x), float(y)), place.heading(at) + turned))
    return out


def build_signals(spec: SceneSpec, place: Place) -> Signals | None:
    """The traffic light of a spec, or None. Its state is constant over the clip."""
    if spec.control not in ("red", "green"):
        return None
    at = spec.cross_s + spec.cross_half + 2.0 if spec.signal_far else spec.stop_s + 1.0
    position = place(np.array([at]), np.array([spec.right_edge - spec.shoulder - 1.0]))
    states = np.full((1, HISTORY_STEPS + FUTURE_STEPS), SIGNAL_STATES.index(spec.control), np.uint8)
    return Signals(("light-0",), position, np.array([place.heading(at)]), states)
