"""CommonRoad scenario files, versions 2018b and 2020a, as recordings.

Role: parse; nothing is fitted, transformed or dropped silently. Source: the CommonRoad XML format
documentations of both versions. What the format does not tell is assumed, here and nowhere else: heights by
class (HEIGHTS), that a vehicle longer than TRUCK_LENGTH_M is a truck (the NGSIM conversions call every
vehicle a car), and, for files without a single line marking, that lanes of one direction are divided by
dashed lines, opposite ones by a solid line, and that the road ends in kerbs."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from scenes.clip import SIGNAL_STATES
from scenes.recorded.recording import Lanelet, Light, Recording, RecordingError, RoadSign, Track
from scenes.trajectory import STEP_S

VERSIONS = ("2018b", "2020a")
TRUCK_LENGTH_M = 7.0
HEIGHTS = {"car": 1.5, "truck": 3.2, "cyclist": 1.7, "pedestrian": 1.75}
KINDS = {
    "car": "car",
    "taxi": "car",
    "parkedVehicle": "car",
    "priorityVehicle": "car",
    "truck": "truck",
    "bus": "truck",
    "bicycle": "cyclist",
    "motorcycle": "cyclist",
    "pedestrian": "pedestrian",
}
MARKS = {
    "solid": "solid",
    "broad_solid": "solid",
    "dashed": "dashed",
    "broad_dashed": "dashed",
    "curb": "kerb",
}
UNPAINTED = ("no_marking", "unknown", "lowered_curb")
COLOURS = {"red": "red", "redYellow": "red", "yellow": "yellow", "green": "green", "inactive": "unknown"}
SIGNS = {"R1-1": "stop", "206": "stop", "R2-1": "speed_limit", "274": "speed_limit"}
"""Sign numbers of the MUTCD (USA) and the StVO (Germany)."""

Element = ElementTree.Element


def read_recording(path: Path) -> Recording:
    """Parse one file. Raises RecordingError naming file and fix for anything that is not a CommonRoad
    scenario of VERSIONS at 0.1 s a step, or that lacks a value the clips need."""
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise RecordingError(f"{path}: not well-formed XML ({error}); fetch the file again") from error
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    version = root.get("commonRoadVersion")
    if root.tag != "commonRoad" or version not in VERSIONS:
        raise RecordingError(
            f"{path}: <{root.tag}> of version {version}; this reader takes CommonRoad {' and '.join(VERSIONS)},"
            " so convert the file"
        )
    step = root.get("timeStepSize", "")
    if not _is_number(step) or abs(float(step) - STEP_S) > 1e-9:
        raise RecordingError(f"{path}: time step {step!r} s; clips need {STEP_S} s, so resample the file")
    try:
        lanelets = [_lanelet(e) for e in root.findall("lanelet")]
        if not any(e.find("lineMarking") is not None for e in root.iter() if e.tag.endswith("Bound")):
            lanelets = [
                _with_assumed_marks(e, lane)
                for e, lane in zip(root.findall("lanelet"), lanelets, strict=True)
            ]
        return Recording(
            name=path.stem,
            tracks=tuple(
                _track(e) for e in root if e.tag in ("obstacle", "dynamicObstacle", "staticObstacle")
            ),
            lanelets=tuple(lanelets),
            lights=_lights(root, {lane.id: lane for lane in lanelets}),
            signs=_signs(root, {lane.id: lane for lane in lanelets}),
        )
    except _MissingError as error:
        raise RecordingError(f"{path}: {error}; correct the file or leave it out") from error


class _MissingError(ValueError):
    """A value of one element that is absent or unusable."""


def _text(element: Element, path: str) -> str:
    text = element.findtext(path)
    if text is None or not text.strip():
        raise _MissingError(f"<{element.tag} id={element.get('id')!r}> has no {path}")
    return text.strip()


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _number(element: Element, path: str) -> float:
    text = _text(element, path)
    if not _is_number(text):
        raise _MissingError(f"{path} of <{element.tag}> is {text!r}, not a finite number")
    return float(text)


def _points(element: Element | None, what: str) -> np.ndarray:
    points = [] if element is None else [(_number(p, "x"), _number(p, "y")) for p in element.findall("point")]
    if len(points) < 2:
        raise _MissingError(f"{what} has {len(points)} points instead of at least 2")
    return np.array(points)


def _track(element: Element) -> Track:
    name = f"obstacle {element.get('id')}"
    kind = KINDS.get(_text(element, "type"))
    if kind is None:
        raise _MissingError(
            f"{name} is of type {element.findtext('type')!r}, which is none of {', '.join(KINDS)}"
        )
    size = element.find("shape/rectangle")
    if size is not None:
        length, width = _number(size, "length"), _number(size, "width")
    elif element.find("shape/circle") is not None:
        length = width = 2.0 * _number(element, "shape/circle/radius")
    else:
        raise _MissingError(f"{name} has a shape that is neither rectangle nor circle")
    if kind == "car" and length > TRUCK_LENGTH_M:
        kind = "truck"
    states = [
        s for s in (element.find("initialState"), *element.findall("trajectory/state")) if s is not None
    ]
    if not states:
        raise _MissingError(f"{name} has no initialState")
    poses = np.array(
        [
            (_number(s, "position/point/x"), _number(s, "position/point/y"), _number(s, "orientation/exact"))
            for s in states
        ]
    )
    poses[:, 2] = np.unwrap(poses[:, 2])
    steps = [int(_number(s, "time/exact")) for s in states]
    if any(b - a != 1 for a, b in pairwise(steps)):
        raise _MissingError(f"{name} has a gap in its trajectory")
    static = element.tag == "staticObstacle" or element.findtext("role") == "static"
    return Track(str(element.get("id")), kind, (length, width, HEIGHTS[kind]), steps[0], poses, static)


def _mark(bound: Element) -> str | None:
    text = bound.findtext("lineMarking")
    if text is None or text in UNPAINTED:
        return None
    if text not in MARKS:
        raise _MissingError(f"line marking {text!r} is none of {', '.join((*MARKS, *UNPAINTED))}")
    return MARKS[text]


def _lanelet(element: Element) -> Lanelet:
    name = f"lanelet {element.get('id')}"
    left, right = element.find("leftBound"), element.find("rightBound")
    points_l, points_r = _points(left, f"left bound of {name}"), _points(right, f"right bound of {name}")
    if left is None or right is None or len(points_l) != len(points_r):
        raise _MissingError(
            f"{name} has bounds of {len(points_l)} and {len(points_r)} points, which must be equal"
        )
    stop = element.find("stopLine")
    line = None
    if stop is not None:
        drawn = len(stop.findall("point")) >= 2
        line = _points(stop, f"stop line of {name}")[:2] if drawn else np.stack((points_l[-1], points_r[-1]))
    crosswalk = any(e.text == "crosswalk" for e in element.findall("laneletType"))
    return Lanelet(str(element.get("id")), points_l, points_r, _mark(left), _mark(right), line, crosswalk)


def _with_assumed_marks(element: Element, lane: Lanelet) -> Lanelet:
    def mark(side: str) -> str:
        beside = element.find(side)
        if beside is None:
            return "kerb"
        return "dashed" if beside.get("drivingDir") == "same" else "solid"

    left, right = mark("adjacentLeft"), mark("adjacentRight")
    return Lanelet(lane.id, lane.left, lane.right, left, right, lane.stop_line, lane.crosswalk)


def _heading(lane: Lanelet) -> float:
    """Heading at the end of a lane."""
    step = (lane.left[-1] + lane.right[-1]) - (lane.left[-2] + lane.right[-2])
    return float(np.arctan2(step[1], step[0]))


def _users(root: Element, tag: str, lanelets: dict[str, Lanelet]) -> dict[str, list[Lanelet]]:
    """Lanelets by the id of the light or sign that they refer to."""
    users: dict[str, list[Lanelet]] = {}
    for element in root.findall("lanelet"):
        for ref in element.iter(tag):
            users.setdefault(str(ref.get("ref")), []).append(lanelets[str(element.get("id"))])
    return users


def _mean_heading(lanes: list[Lanelet]) -> float:
    headings = [_heading(lane) for lane in lanes]
    return math.atan2(sum(math.sin(h) for h in headings), sum(math.cos(h) for h in headings))


def _lights(root: Element, lanelets: dict[str, Lanelet]) -> tuple[Light, ...]:
    """Lights that stand somewhere and control a lanelet. Heads on one pole are set 1 m apart, across the
    road."""
    users = _users(root, "trafficLightRef", lanelets)
    lights: list[Light] = []
    for element in root.findall("trafficLight"):
        name = str(element.get("id"))
        if element.find("position/point") is None or name not in users:
            continue
        yaw = _mean_heading(users[name])
        x, y = _number(element, "position/point/x"), _number(element, "position/point/y")
        while any(math.hypot(x - other.position[0], y - other.position[1]) < 0.99 for other in lights):
            x, y = x - math.sin(yaw), y + math.cos(yaw)
        states, durations = [], []
        for phase in element.findall("cycle/cycleElement"):
            colour = COLOURS.get(_text(phase, "color"))
            if colour is None:
                raise _MissingError(f"traffic light {name} shows {phase.findtext('color')!r}")
            states.append(SIGNAL_STATES.index(colour))
            durations.append(int(_number(phase, "duration")))
        if element.findtext("active") == "false" or not states:
            states, durations = [SIGNAL_STATES.index("unknown")], [1]
        offset = element.find("cycle/timeOffset")
        start = 0 if offset is None else int(_number(element, "cycle/timeOffset"))
        lights.append(Light(name, (x, y), yaw, tuple(states), tuple(durations), start))
    return tuple(lights)


def _signs(root: Element, lanelets: dict[str, Lanelet]) -> tuple[RoadSign, ...]:
    """Signs that stand somewhere: virtual ones, and those without a position, cannot be seen."""
    users = _users(root, "trafficSignRef", lanelets)
    signs = []
    for element in root.findall("trafficSign"):
        name = str(element.get("id"))
        kind = SIGNS.get(element.findtext("trafficSignElement/trafficSignID", ""))
        visible = element.findtext("virtual") != "true" and element.find("position/point") is not None
        if kind is not None and visible and name in users:
            at = _number(element, "position/point/x"), _number(element, "position/point/y")
            signs.append(RoadSign(name, kind, at, _mean_heading(users[name])))
    return tuple(signs)
