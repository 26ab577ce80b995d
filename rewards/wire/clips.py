"""Clip ⇄ message: scene context, sent once and then referred to by id.

Invariant: `decode_clip(encode_clip(c))` equals `c` field by field; a malformed message raises WireError.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np

from rewards.wire import reward_pb2 as pb
from rewards.wire.arrays import WireError, decode_as, encode
from scenes.clip import Agents, Cameras, CausalFactor, ChainOfCausation, Clip, RoadMap, Sign, Signals
from scenes.decisions import Direction, FactorKind, Lateral, Longitudinal

MOST_ID_CHARS = 256
E = TypeVar("E", Longitudinal, Lateral, Direction, FactorKind)


def encode_clip(clip: Clip, cameras: bool = False) -> pb.Clip:
    """Pack a clip; its images only when `cameras` asks for them."""
    return pb.Clip(
        clip_id=clip.clip_id,
        source=clip.source,
        t0=clip.t0,
        ego_history=encode(clip.ego_history),
        ego_future=encode(clip.ego_future),
        actions=encode(clip.actions),
        ego_size=clip.ego_size,
        agents=pb.Agents(
            ids=clip.agents.ids,
            classes=clip.agents.classes,
            sizes=encode(clip.agents.sizes),
            poses=encode(clip.agents.poses),
            valid=encode(clip.agents.valid),
        ),
        road=None if clip.road is None else _encode_road(clip.road),
        signals=None if clip.signals is None else _encode_signals(clip.signals),
        label=None if clip.label is None else _encode_label(clip.label),
        cameras=_encode_cameras(clip.cameras) if cameras and clip.cameras is not None else None,
    )


def decode_clip(message: pb.Clip) -> Clip:
    """Unpack and validate a clip; WireError says which field is wrong."""
    if not 1 <= len(message.clip_id) <= MOST_ID_CHARS:
        raise WireError(
            f"clip: clip_id has {len(message.clip_id)} characters, 1 to {MOST_ID_CHARS} are allowed"
        )
    if len(message.ego_size) != 4:
        raise WireError(f"ego_size: {len(message.ego_size)} numbers, 4 are expected")
    _finite("t0 and ego_size", message.t0, *message.ego_size)
    history = decode_as(message.ego_history, "ego_history", (None, 4))
    future = decode_as(message.ego_future, "ego_future", (None, 4))
    steps = len(history) + len(future)
    length, width, height, offset = message.ego_size
    return Clip(
        clip_id=message.clip_id,
        source=message.source,
        t0=message.t0,
        cameras=_decode_cameras(message.cameras) if message.HasField("cameras") else None,
        ego_history=history,
        ego_future=future,
        actions=decode_as(message.actions, "actions", (len(future), 2)),
        ego_size=(length, width, height, offset),
        agents=_decode_agents(message.agents, steps),
        road=_decode_road(message.road) if message.HasField("road") else None,
        signals=_decode_signals(message.signals, steps) if message.HasField("signals") else None,
        label=_decode_label(message.label) if message.HasField("label") else None,
    )


def _decode_agents(message: pb.Agents, steps: int) -> Agents:
    n = len(message.ids)
    if len(message.classes) != n:
        raise WireError(f"agents: {n} ids but {len(message.classes)} classes")
    poses = decode_as(message.poses, "agents.poses", (n, steps, 3), finite=False)
    valid = decode_as(message.valid, "agents.valid", (n, steps), kind="b")
    if not np.isfinite(poses[valid]).all():
        raise WireError("agents.poses: a pose that is marked valid is not finite")
    return Agents(
        ids=tuple(message.ids),
        classes=tuple(message.classes),
        sizes=decode_as(message.sizes, "agents.sizes", (n, 3)),
        poses=poses,
        valid=valid,
    )


def _finite(what: str, *numbers: float) -> None:
    if not all(map(math.isfinite, numbers)):
        raise WireError(f"{what}: a number is not finite")


def _encode_road(road: RoadMap) -> pb.RoadMap:
    return pb.RoadMap(
        lanes=[encode(lane) for lane in road.lanes],
        lane_widths=road.lane_widths,
        boundaries=[encode(line) for line in road.boundaries],
        boundary_kinds=road.boundary_kinds,
        drivable=[encode(polygon) for polygon in road.drivable],
        crosswalks=[encode(polygon) for polygon in road.crosswalks],
        stop_lines=[encode(line) for line in road.stop_lines],
        signs=[
            pb.Sign(id=s.id, kind=s.kind, x=s.position[0], y=s.position[1], yaw=s.yaw) for s in road.signs
        ],
    )


def _decode_road(message: pb.RoadMap) -> RoadMap:
    if len(message.lanes) != len(message.lane_widths):
        raise WireError(f"road: {len(message.lanes)} lanes but {len(message.lane_widths)} lane_widths")
    if len(message.boundaries) != len(message.boundary_kinds):
        raise WireError(
            f"road: {len(message.boundaries)} boundaries but {len(message.boundary_kinds)} boundary_kinds"
        )
    _finite("road.lane_widths", *message.lane_widths)
    _finite("road.signs", *(number for s in message.signs for number in (s.x, s.y, s.yaw)))
    return RoadMap(
        lanes=tuple(decode_as(m, "road.lanes", (None, 2)) for m in message.lanes),
        lane_widths=tuple(message.lane_widths),
        boundaries=tuple(decode_as(m, "road.boundaries", (None, 2)) for m in message.boundaries),
        boundary_kinds=tuple(message.boundary_kinds),
        drivable=tuple(decode_as(m, "road.drivable", (None, 2)) for m in message.drivable),
        crosswalks=tuple(decode_as(m, "road.crosswalks", (None, 2)) for m in message.crosswalks),
        stop_lines=tuple(decode_as(m, "road.stop_lines", (2, 2)) for m in message.stop_lines),
        signs=tuple(Sign(s.id, s.kind, (s.x, s.y), s.yaw) for s in message.signs),
    )


def _encode_signals(signals: Signals) -> pb.Signals:
    return pb.Signals(
        ids=signals.ids,
        positions=encode(signals.positions),
        yaws=encode(signals.yaws),
        states=encode(signals.states),
    )


def _decode_signals(message: pb.Signals, steps: int) -> Signals:
    n = len(message.ids)
    return Signals(
        ids=tuple(message.ids),
        positions=decode_as(message.positions, "signals.positions", (n, 2)),
        yaws=decode_as(message.yaws, "signals.yaws", (n,)),
        states=decode_as(message.states, "signals.states", (n, steps), kind="u"),
    )


def _encode_label(label: ChainOfCausation) -> pb.Label:
    return pb.Label(
        text=label.text,
        longitudinal=label.longitudinal or "",
        lateral=label.lateral or "",
        direction=label.direction or "",
        factors=[
            pb.CausalFactor(kind=f.kind, instance=f.instance, camera=f.camera, frame=f.frame, pixels=f.pixels)
            for f in label.factors
        ],
    )


def _decode_label(message: pb.Label) -> ChainOfCausation:
    return ChainOfCausation(
        text=message.text,
        longitudinal=_member(Longitudinal, message.longitudinal) if message.longitudinal else None,
        lateral=_member(Lateral, message.lateral) if message.lateral else None,
        direction=_member(Direction, message.direction) if message.direction else None,
        factors=tuple(
            CausalFactor(_member(FactorKind, f.kind), f.instance, f.camera, f.frame, f.pixels)
            for f in message.factors
        ),
    )


def _member(kind: type[E], name: str) -> E:
    try:
        return kind(name)
    except ValueError as error:
        raise WireError(
            f"label: {name[:80]!r} is no {kind.__name__}; known: {[str(m) for m in kind]}"
        ) from error


def _encode_cameras(cameras: Cameras) -> pb.Cameras:
    return pb.Cameras(names=cameras.names, frames=encode(cameras.frames), times=encode(cameras.times))


def _decode_cameras(message: pb.Cameras) -> Cameras:
    times = decode_as(message.times, "cameras.times", (None,))
    shape = (len(message.names), len(times), None, None, 3)
    return Cameras(tuple(message.names), decode_as(message.frames, "cameras.frames", shape, kind="u"), times)
