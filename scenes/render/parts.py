"""Boxes that make up road users, traffic lights and signs.

Role: turns a clip's objects into parts (boxes fixed to an owner) once, then into posed boxes per history frame.
Invariant: a part's instance is the id of its owner; a part whose owner is not observed at a step is not drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from scenes.clip import Clip, Sign
from scenes.render import palette
from scenes.render.palette import Colour
from scenes.trajectory import STEP_S

FIXED, TAIL, LAMP = 0, 1, 2
BRAKE_LIGHT_MS2 = 0.7
"""Deceleration above which brake lights are drawn."""

Box = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Part:
    """A box in its owner's frame (x forward, y left, z up from the ground, m): low and high along each axis.

    colours: one, or six by face (front, back, left, right, top, bottom). role: FIXED, TAIL (brake light) or LAMP
    (a traffic-light lamp; `lamp` counts 0 red, 1 yellow, 2 green)."""

    box: Box
    colours: tuple[Colour, ...]
    role: int = FIXED
    lamp: int = 0


def _scaled(size: Sequence[float], x: tuple[float, float], y: tuple[float, float], z: tuple[float, float]) -> Box:
    length, width, height = (float(v) for v in size)
    return (x[0] * length, x[1] * length), (y[0] * width, y[1] * width), (z[0] * height, z[1] * height)


def _cabin(colour: Colour) -> tuple[Colour, ...]:
    return (palette.GLASS,) * 4 + (colour, colour)


def _lights(size: Sequence[float], low: float, high: float) -> tuple[Part, ...]:
    parts = []
    for side in (-1, 1):
        y = (0.22, 0.47) if side > 0 else (-0.47, -0.22)
        parts.append(Part(_scaled(size, (-0.515, -0.48), y, (low, high)), (palette.TAIL_LAMP_OFF,), TAIL))
        parts.append(Part(_scaled(size, (0.48, 0.51), y, (low, high)), (palette.HEADLAMP,)))
    return tuple(parts)


def _car(size: Sequence[float], key: str, agent: str) -> tuple[Part, ...]:
    colour = palette.paint(key, agent, palette.CAR_PAINTS)
    return (
        Part(_scaled(size, (-0.46, 0.46), (-0.47, 0.47), (0.0, 0.3)), (palette.DARK,)),
        Part(_scaled(size, (-0.5, 0.5), (-0.5, 0.5), (0.16, 0.58)), (colour,)),
        Part(_scaled(size, (-0.4, 0.2), (-0.43, 0.43), (0.58, 1.0)), _cabin(colour)),
        *_lights(size, 0.36, 0.54),
    )


def _truck(size: Sequence[float], key: str, agent: str) -> tuple[Part, ...]:
    colour = palette.paint(key, agent, palette.CAR_PAINTS)
    box = palette.paint(key + "/box", agent, palette.CAR_PAINTS)
    return (
        Part(_scaled(size, (-0.48, 0.48), (-0.46, 0.46), (0.0, 0.2)), (palette.DARK,)),
        Part(_scaled(size, (-0.5, 0.27), (-0.5, 0.5), (0.18, 1.0)), (box,)),
        Part(_scaled(size, (0.3, 0.5), (-0.48, 0.48), (0.12, 0.52)), (colour,)),
        Part(_scaled(size, (0.3, 0.48), (-0.47, 0.47), (0.52, 0.8)), _cabin(colour)),
        *_lights(size, 0.2, 0.3),
    )


def _pedestrian(size: Sequence[float], key: str, agent: str) -> tuple[Part, ...]:
    colour = palette.paint(key, agent, palette.CLOTHES)
    return (
        Part(_scaled(size, (-0.3, 0.3), (-0.36, 0.36), (0.0, 0.48)), (palette.DARK,)),
        Part(_scaled(size, (-0.4, 0.4), (-0.5, 0.5), (0.48, 0.85)), (colour,)),
        Part(_scaled(size, (-0.25, 0.25), (-0.25, 0.25), (0.86, 1.0)), (palette.SKIN,)),
    )


def _cyclist(size: Sequence[float], key: str, agent: str) -> tuple[Part, ...]:
    colour = palette.paint(key, agent, palette.CLOTHES)
    return (
        Part(_scaled(size, (-0.5, 0.5), (-0.08, 0.08), (0.0, 0.4)), (palette.DARK,)),
        Part(_scaled(size, (-0.12, 0.1), (-0.3, 0.3), (0.3, 0.56)), (palette.DARK,)),
        Part(_scaled(size, (-0.18, 0.16), (-0.5, 0.5), (0.56, 0.87)), (colour,)),
        Part(_scaled(size, (-0.02, 0.12), (-0.18, 0.18), (0.87, 1.0)), (palette.SKIN,)),
    )


def _cone(size: Sequence[float], key: str, agent: str) -> tuple[Part, ...]:
    del key, agent  # Every cone is orange.
    orange = (palette.CONE_ORANGE,)
    return (
        Part(_scaled(size, (-0.5, 0.5), (-0.5, 0.5), (0.0, 0.1)), orange),
        Part(_scaled(size, (-0.36, 0.36), (-0.36, 0.36), (0.1, 0.45)), orange),
        Part(_scaled(size, (-0.26, 0.26), (-0.26, 0.26), (0.45, 0.68)), (palette.SIGN_WHITE,)),
        Part(_scaled(size, (-0.17, 0.17), (-0.17, 0.17), (0.68, 1.0)), orange),
    )


SHAPES: dict[str, Callable[[Sequence[float], str, str], tuple[Part, ...]]] = {
    "car": _car,
    "truck": _truck,
    "pedestrian": _pedestrian,
    "cyclist": _cyclist,
    "cone": _cone,
}


def _post(top: float) -> Part:
    return Part(((-0.06, 0.06), (-0.06, 0.06), (0.0, top)), (palette.POLE,))


def signal_parts(on_road: bool) -> tuple[Part, ...]:
    """A traffic-light head whose lamps face against its yaw. The head is 0.8 m x 2.0 m at 3.6 m height, about twice
    a real one, so that its state is legible at 96 pixels. on_road: hung over the lane, drawn without a pole."""
    head = Part(((-0.12, 0.12), (-0.4, 0.4), (3.6, 5.6)), (palette.HOUSING,))
    lamps = tuple(
        Part(((-0.16, -0.12), (-0.3, 0.3), (5.0 - 0.64 * i, 5.56 - 0.64 * i)), (palette.LAMPS_DARK[i],), LAMP, i)
        for i in range(3)
    )
    return (head, *lamps) if on_road else (_post(3.6), head, *lamps)


def sign_parts(sign: Sign) -> tuple[Part, ...]:
    """A sign on a post, its face against the yaw of the traffic it addresses: stop is a red plate with a white
    band, speed limit a taller white plate with a dark band. Plates are 0.9 m wide (MUTCD 2B.05 gives 0.75-0.9 m)."""
    if sign.kind == "stop":
        plate, band, bottom, top = palette.STOP_RED, palette.SIGN_WHITE, 1.9, 2.8
    elif sign.kind == "speed_limit":
        plate, band, bottom, top = palette.SIGN_WHITE, palette.DARK, 1.8, 2.9
    else:
        raise ValueError(f"sign {sign.id!r} has kind {sign.kind!r}; must be 'stop' or 'speed_limit'")
    middle = 0.5 * (bottom + top)
    face = (palette.POLE, plate, plate, plate, plate, plate)
    return (
        _post(bottom),
        Part(((-0.03, 0.03), (-0.45, 0.45), (bottom, top)), face),
        Part(((-0.05, -0.03), (-0.3, 0.3), (middle - 0.12, middle + 0.12)), (band,)),
    )


@dataclass(frozen=True)
class PartArrays:
    """K parts of O owners. offsets: [K, 3] part centre in the owner's frame; halves: [K, 3]; faces: [K, 6, 3]
    uint8; roles, lamps, owners: [K]; poses: [O, steps, 3] NaN where not observed; braking: [O, steps] bool;
    states: [O, steps] signal state (0 for everything else)."""

    offsets: np.ndarray
    halves: np.ndarray
    faces: np.ndarray
    roles: np.ndarray
    lamps: np.ndarray
    owners: np.ndarray
    poses: np.ndarray
    braking: np.ndarray
    states: np.ndarray

    def at(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Posed boxes [K', 8], faces [K', 6, 3], emissive [K'] and instances [K'] at a step, as cast_boxes takes."""
        pose = self.poses[self.owners, step]
        shown = np.isfinite(pose[:, 0])
        pose, offsets, owners = pose[shown], self.offsets[shown], self.owners[shown]
        cos, sin = np.cos(pose[:, 2]), np.sin(pose[:, 2])
        boxes = np.empty((len(pose), 8))
        boxes[:, 0] = pose[:, 0] + cos * offsets[:, 0] - sin * offsets[:, 1]
        boxes[:, 1] = pose[:, 1] + sin * offsets[:, 0] + cos * offsets[:, 1]
        boxes[:, 2] = offsets[:, 2]
        boxes[:, 3:6] = self.halves[shown]
        boxes[:, 6], boxes[:, 7] = cos, sin
        faces, roles, lamps = self.faces[shown], self.roles[shown], self.lamps[shown]
        braking = (roles == TAIL) & self.braking[owners, step]
        faces[braking] = palette.TAIL_LAMP_ON
        lit = (roles == LAMP) & (self.states[owners, step] == lamps + 1)
        faces[lit] = np.array(palette.LAMPS_LIT, np.uint8)[lamps[lit]][:, None]
        return boxes, faces, braking | lit, owners.astype(np.int16)


def collect(clip: Clip, key: str, signal_on_road: Sequence[bool], steps: int) -> tuple[PartArrays, tuple[str, ...]]:
    """Parts of all agents, signals and signs of a clip over the first `steps` history steps, and their names in
    instance order. key: what paints are hashed with. Raises ValueError for an unknown class or a repeated id."""
    owners: list[str] = []
    parts: list[tuple[int, Part]] = []
    poses: list[np.ndarray] = []
    for agent, kind, size, track, valid in zip(
        clip.agents.ids, clip.agents.classes, clip.agents.sizes, clip.agents.poses, clip.agents.valid, strict=True
    ):
        if kind not in SHAPES:
            raise ValueError(f"agent {agent!r} has class {kind!r}; must be one of {', '.join(SHAPES)}")
        parts += [(len(owners), part) for part in SHAPES[kind](size, key, agent)]
        owners.append(agent)
        poses.append(np.where(valid[:steps, None], track[:steps], np.nan))
    agents = len(owners)
    states = np.zeros((agents, steps), np.int64)
    if clip.signals is not None:
        for signal, at, yaw, on_road in zip(
            clip.signals.ids, clip.signals.positions, clip.signals.yaws, signal_on_road, strict=True
        ):
            parts += [(len(owners), part) for part in signal_parts(on_road)]
            owners.append(signal)
            poses.append(np.tile((at[0], at[1], yaw), (steps, 1)))
        states = np.concatenate((states, clip.signals.states[:, :steps].astype(np.int64)))
    for sign in clip.road.signs if clip.road is not None else ():
        parts += [(len(owners), part) for part in sign_parts(sign)]
        owners.append(sign.id)
        poses.append(np.tile((*sign.position, sign.yaw), (steps, 1)))
        states = np.concatenate((states, np.zeros((1, steps), np.int64)))
    repeated = sorted({name for name in owners if owners.count(name) > 1})
    if repeated:
        raise ValueError(f"clip {clip.clip_id!r}: ids {repeated} are used by more than one agent, signal or sign")
    tracks = np.array(poses, np.float64).reshape(len(owners), steps, 3)
    braking = np.zeros((len(owners), steps), bool)
    braking[:agents] = _braking(tracks[:agents])
    return _arrays(parts, tracks, braking, states), tuple(owners)


def _arrays(
    parts: list[tuple[int, Part]], poses: np.ndarray, braking: np.ndarray, states: np.ndarray
) -> PartArrays:
    spans = np.array([part.box for _, part in parts], np.float64).reshape(-1, 3, 2)
    return PartArrays(
        offsets=spans.mean(axis=2),
        halves=0.5 * (spans[:, :, 1] - spans[:, :, 0]),
        faces=np.array([p.colours * (6 // len(p.colours)) for _, p in parts], np.uint8).reshape(-1, 6, 3),
        roles=np.array([part.role for _, part in parts], np.int64),
        lamps=np.array([part.lamp for _, part in parts], np.int64),
        owners=np.array([owner for owner, _ in parts], np.int64),
        poses=poses,
        braking=braking,
        states=states,
    )


def _braking(poses: np.ndarray) -> np.ndarray:
    """[N, steps] bool: deceleration over the last 0.4 s beyond BRAKE_LIGHT_MS2; steps without that much observed
    past (the first four) repeat the first that has it. Not observed counts as not braking."""
    steps = poses.shape[1]
    if steps < 5 or len(poses) == 0:
        return np.zeros(poses.shape[:2], bool)
    second = poses[:, 4:, :2] - 2.0 * poses[:, 2:-2, :2] + poses[:, :-4, :2]
    heading = np.stack((np.cos(poses[:, 4:, 2]), np.sin(poses[:, 4:, 2])), axis=-1)
    along = (second * heading).sum(axis=-1) / (2.0 * STEP_S) ** 2
    late = np.nan_to_num(along, nan=0.0) < -BRAKE_LIGHT_MS2
    return np.concatenate((np.repeat(late[:, :1], 4, axis=1), late), axis=1)
