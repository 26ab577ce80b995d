"""A clip's objects as posed, coloured boxes.

Role: gathers the shapes of all agents, signals and signs once a clip, then poses them per history frame.
Invariant: a box carries the number of its owner; a box whose owner is not observed at a step is not drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scenes.clip import Clip
from scenes.render import palette, shapes
from scenes.trajectory import STEP_S

BRAKE_LIGHT_MS2 = 0.7
"""Deceleration above which brake lights are lit."""

Boxes = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class _Table:
    """Every shape's parts end to end, with the range of each shape. faces: [P, 6, 3]; painted: [P, 6]
    bool."""

    ranges: dict[str, np.ndarray]
    spans: np.ndarray
    faces: np.ndarray
    painted: np.ndarray
    roles: np.ndarray
    lamps: np.ndarray

    @staticmethod
    def of(kinds: dict[str, tuple[shapes.Part, ...]]) -> _Table:
        parts = [part for shape in kinds.values() for part in shape]
        ends = np.cumsum([len(shape) for shape in kinds.values()])
        ranges = {
            kind: np.arange(end - len(shape), end)
            for (kind, shape), end in zip(kinds.items(), ends, strict=True)
        }
        # Faces in the ray caster's order: front, back, left, right, top, bottom.
        colours = [(p.sides, p.back or p.sides, p.sides, p.sides, p.top, p.top) for p in parts]
        return _Table(
            ranges,
            np.array([(p.x, p.y, p.z) for p in parts], np.float64),
            np.array([[c or (0, 0, 0) for c in faces] for faces in colours], np.uint8),
            np.array([[c is None for c in faces] for faces in colours]),
            np.array([p.role for p in parts], np.int64),
            np.array([p.lamp for p in parts], np.int64),
        )


_TABLE = _Table.of(
    {
        **shapes.ROAD_USERS,
        "signal": shapes.SIGNAL,
        "hung signal": shapes.HUNG_SIGNAL,
        **{f"sign {kind}": shape for kind, shape in shapes.SIGNS.items()},
    }
)
_LIT = np.array(palette.LAMPS_LIT, np.uint8)


@dataclass(frozen=True)
class Parts:
    """K parts of O owners. names: owners in instance order; rows: [K] row of the shape table; owners: [K];
    offsets, halves: [K, 3] m in the owner's frame; faces: [K, 6, 3] uint8; poses: [O, steps, 3], NaN where
    not observed; braking: [O, steps] bool; states: [O, steps] signal state, 0 for what is no signal."""

    names: tuple[str, ...]
    rows: np.ndarray
    owners: np.ndarray
    offsets: np.ndarray
    halves: np.ndarray
    faces: np.ndarray
    poses: np.ndarray
    braking: np.ndarray
    states: np.ndarray

    def at(self, step: int) -> Boxes:
        """Posed boxes [K', 8], faces [K', 6, 3], emissive [K'] and owners [K'] int16, as cast_boxes takes
        them."""
        pose = self.poses[self.owners, step]
        shown = np.isfinite(pose[:, 0])
        pose, offsets, owners, rows = pose[shown], self.offsets[shown], self.owners[shown], self.rows[shown]
        cos, sin = np.cos(pose[:, 2]), np.sin(pose[:, 2])
        boxes = np.empty((len(pose), 8))
        boxes[:, 0] = pose[:, 0] + cos * offsets[:, 0] - sin * offsets[:, 1]
        boxes[:, 1] = pose[:, 1] + sin * offsets[:, 0] + cos * offsets[:, 1]
        boxes[:, 2] = offsets[:, 2]
        boxes[:, 3:6] = self.halves[shown]
        boxes[:, 6], boxes[:, 7] = cos, sin
        faces, roles, lamps = self.faces[shown], _TABLE.roles[rows], _TABLE.lamps[rows]
        braking = (roles == shapes.TAIL) & self.braking[owners, step]
        faces[braking] = palette.TAIL_LAMP_ON
        lit = (roles == shapes.LAMP) & (self.states[owners, step] == lamps + 1)
        faces[lit] = _LIT[lamps[lit]][:, None]
        return boxes, faces, braking | lit, owners.astype(np.int16)


def collect(clip: Clip, key: str, hung: Sequence[bool], steps: int) -> Parts:
    """Parts of all agents, signals and signs over the first `steps` history steps.

    key: what paints are hashed with; hung: for each signal, whether it hangs over the road (no pole). Raises
    ValueError for an unknown agent class or sign kind, or an id used twice."""
    agents, signals = clip.agents, clip.signals
    signs = clip.road.signs if clip.road is not None else ()
    signal_ids = signals.ids if signals is not None else ()
    kinds = list(agents.classes) + ["hung signal" if up else "signal" for up in hung]
    kinds += [f"sign {sign.kind}" for sign in signs]
    names = (*agents.ids, *signal_ids, *(sign.id for sign in signs))
    _check(clip, names)
    poses = np.empty((len(names), steps, 3))
    sizes = np.ones((len(names), 3))
    states = np.zeros((len(names), steps), np.int64)
    n, s = len(agents.ids), len(signal_ids)
    if n:
        poses[:n] = np.where(agents.valid[:, :steps, None], agents.poses[:, :steps], np.nan)
        sizes[:n] = agents.sizes
    if signals is not None and s:
        poses[n : n + s, :, :2] = signals.positions[:, None]
        poses[n : n + s, :, 2] = signals.yaws[:, None]
        states[n : n + s] = signals.states[:, :steps]
    for i, sign in enumerate(signs):
        poses[n + s + i] = (*sign.position, sign.yaw)
    braking = np.zeros((len(names), steps), bool)
    braking[:n] = _braking(poses[:n])
    ranges = [_TABLE.ranges[kind] for kind in kinds]
    rows = np.concatenate(ranges) if ranges else np.zeros(0, np.int64)
    owners = np.repeat(np.arange(len(names)), [len(r) for r in ranges])
    spans = _TABLE.spans[rows] * sizes[owners][:, :, None]
    paints = np.array([_paint(key, *owner) for owner in zip(names, kinds, strict=True)], np.uint8)
    return Parts(
        names=names,
        rows=rows,
        owners=owners,
        offsets=spans.mean(axis=2),
        halves=0.5 * (spans[:, :, 1] - spans[:, :, 0]),
        faces=np.where(
            _TABLE.painted[rows][:, :, None], paints.reshape(-1, 1, 3)[owners], _TABLE.faces[rows]
        ),
        poses=poses,
        braking=braking,
        states=states,
    )


def _check(clip: Clip, names: Sequence[str]) -> None:
    for agent, kind in zip(clip.agents.ids, clip.agents.classes, strict=True):
        if kind not in shapes.ROAD_USERS:
            known = ", ".join(shapes.ROAD_USERS)
            raise ValueError(f"agent {agent!r} has class {kind!r}; must be one of {known}")
    for sign in clip.road.signs if clip.road is not None else ():
        if sign.kind not in shapes.SIGNS:
            known = ", ".join(shapes.SIGNS)
            raise ValueError(f"sign {sign.id!r} has kind {sign.kind!r}; must be one of {known}")
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(
            f"clip {clip.clip_id!r}: ids {twice} are used by more than one agent, signal or sign"
        )


def _paint(key: str, name: str, kind: str) -> palette.Colour:
    choices = palette.CAR_PAINTS if kind in ("car", "truck") else palette.CLOTHES
    return palette.paint(key, name, choices)


def _braking(poses: np.ndarray) -> np.ndarray:
    """[N, steps] bool: deceleration over the last 0.4 s beyond BRAKE_LIGHT_MS2. The first four steps, which
    have no such past, repeat the fifth; what is not observed does not brake."""
    steps = poses.shape[1]
    if steps < 5 or len(poses) == 0:
        return np.zeros(poses.shape[:2], bool)
    second = poses[:, 4:, :2] - 2.0 * poses[:, 2:-2, :2] + poses[:, :-4, :2]
    heading = np.stack((np.cos(poses[:, 4:, 2]), np.sin(poses[:, 4:, 2])), axis=-1)
    along = (second * heading).sum(axis=-1) / (2.0 * STEP_S) ** 2
    late = np.where(np.isfinite(along), along, 0.0) < -BRAKE_LIGHT_MS2
    return np.concatenate((np.repeat(late[:, :1], 4, axis=1), late), axis=1)
