"""One clip, without its images, as bytes.

Role: the record format of the clip store. A record is a JSON header (names, kinds, label) and the clip's
arrays, little-endian and 8-byte aligned, so that a decoded clip's arrays are read-only views of the stored
bytes. Invariant: unpack_clip(pack_clip(clip)) equals clip.without_cameras() to the last bit; nothing is
unpickled. Layout: magic, header length (uint32), CRC-32 of that length and all that follows (uint32),
header, padding, arrays."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np

from scenes.clip import Agents, CausalFactor, ChainOfCausation, Clip, RoadMap, Sign, Signals
from scenes.decisions import Direction, FactorKind, Lateral, Longitudinal

_PREFIX = struct.Struct("<4sII4x")
_MAGIC = b"AR1C"
_ALIGN = 8


class RecordError(ValueError):
    """A record that is not one, or not whole."""


def pack_clip(clip: Clip) -> bytes:
    """The clip as one record; cameras are left out. Raises ValueError for arrays of a kind that cannot be
    stored (anything but booleans, integers and floats)."""
    arrays: dict[str, np.ndarray] = {
        "ego_history": clip.ego_history,
        "ego_future": clip.ego_future,
        "actions": clip.actions,
        "sizes": clip.agents.sizes,
        "poses": clip.agents.poses,
        "valid": clip.agents.valid,
    }
    header: dict[str, Any] = {
        "clip_id": clip.clip_id,
        "source": clip.source,
        "t0": clip.t0,
        "ego_size": clip.ego_size,
        "agent_ids": clip.agents.ids,
        "agent_classes": clip.agents.classes,
        "label": None if clip.label is None else asdict(clip.label),
        "road": None,
        "signal_ids": None,
    }
    if clip.road is not None:
        road = clip.road
        header["road"] = {
            "lane_widths": road.lane_widths,
            "boundary_kinds": road.boundary_kinds,
            "signs": [asdict(sign) for sign in road.signs],
        }
        for name in ("lanes", "boundaries", "drivable", "crosswalks", "stop_lines"):
            arrays |= _pack(name, getattr(road, name))
    if clip.signals is not None:
        header["signal_ids"] = clip.signals.ids
        arrays |= {
            "signal_positions": clip.signals.positions,
            "signal_yaws": clip.signals.yaws,
            "signal_states": clip.signals.states,
        }
    return _assemble(header, arrays)


def unpack_clip(record: bytes | np.ndarray) -> Clip:
    """The clip of a record, without cameras; its arrays are read-only views of `record`.

    Raises RecordError when the bytes are cut, altered or of another format."""
    header, arrays = _disassemble(np.frombuffer(record, np.uint8).data)
    road, signals = None, None
    if header["road"] is not None:
        stored = header["road"]
        road = RoadMap(
            lanes=_unpack("lanes", arrays),
            lane_widths=tuple(stored["lane_widths"]),
            boundaries=_unpack("boundaries", arrays),
            boundary_kinds=tuple(stored["boundary_kinds"]),
            drivable=_unpack("drivable", arrays),
            crosswalks=_unpack("crosswalks", arrays),
            stop_lines=_unpack("stop_lines", arrays),
            signs=tuple(Sign(s["id"], s["kind"], tuple(s["position"]), s["yaw"]) for s in stored["signs"]),
        )
    if header["signal_ids"] is not None:
        signals = Signals(
            ids=tuple(header["signal_ids"]),
            positions=arrays["signal_positions"],
            yaws=arrays["signal_yaws"],
            states=arrays["signal_states"],
        )
    return Clip(
        clip_id=header["clip_id"],
        source=header["source"],
        t0=header["t0"],
        cameras=None,
        ego_history=arrays["ego_history"],
        ego_future=arrays["ego_future"],
        actions=arrays["actions"],
        ego_size=tuple(header["ego_size"]),
        agents=Agents(
            ids=tuple(header["agent_ids"]),
            classes=tuple(header["agent_classes"]),
            sizes=arrays["sizes"],
            poses=arrays["poses"],
            valid=arrays["valid"],
        ),
        road=road,
        signals=signals,
        label=None if header["label"] is None else _label(header["label"]),
    )


def _label(stored: dict[str, Any]) -> ChainOfCausation:
    def choice(kind: type, value: str | None) -> Any:
        return None if value is None else kind(value)

    factors = (CausalFactor(**{**f, "kind": FactorKind(f["kind"])}) for f in stored["factors"])
    return ChainOfCausation(
        text=stored["text"],
        longitudinal=choice(Longitudinal, stored["longitudinal"]),
        lateral=choice(Lateral, stored["lateral"]),
        direction=choice(Direction, stored["direction"]),
        factors=tuple(factors),
    )


def _pack(name: str, shapes: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Polylines or polygons [*, 2] end to end, with their offsets."""
    starts = np.cumsum([0] + [len(shape) for shape in shapes], dtype=np.int64)
    points = np.concatenate([np.zeros((0, 2)), *(np.asarray(shape, np.float64) for shape in shapes)])
    return {f"{name}.points": points, f"{name}.starts": starts}


def _unpack(name: str, arrays: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    points, starts = arrays[f"{name}.points"], arrays[f"{name}.starts"].tolist()
    return tuple(points[a:b] for a, b in pairwise(starts))


def _plain(value: Any) -> Any:
    """A numpy scalar as the Python number it is."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} of type {type(value).__name__} cannot be stored in a clip record")


def _assemble(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> bytes:
    table, chunks, offset = [], [], 0
    for name, array in arrays.items():
        array = np.asarray(array)
        if array.dtype.kind not in "biuf":
            raise ValueError(
                f"clip {header['clip_id']!r}: {name} has dtype {array.dtype}, which is not numeric"
            )
        raw = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        table.append((name, array.dtype.newbyteorder("<").str, array.shape, offset))
        padding = -len(raw) % _ALIGN
        chunks.append(raw + bytes(padding))
        offset += len(raw) + padding
    text = json.dumps({**header, "arrays": table}, allow_nan=False, default=_plain).encode()
    text += b" " * (-len(text) % _ALIGN)
    body = b"".join((text, *chunks))
    return _PREFIX.pack(_MAGIC, len(text), _checksum(len(text), body)) + body


def _checksum(length: int, body: bytes | memoryview) -> int:
    return zlib.crc32(body, zlib.crc32(length.to_bytes(4, "little")))


def _disassemble(record: memoryview) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    if len(record) < _PREFIX.size:
        raise RecordError(f"a clip record of {len(record)} bytes is cut short; rebuild the store")
    magic, length, checksum = _PREFIX.unpack_from(record)
    if magic != _MAGIC:
        raise RecordError("not a clip record; the index and the records are of different stores: rebuild it")
    body = record[_PREFIX.size :]
    if length > len(body) or _checksum(length, body) != checksum:
        raise RecordError("a clip record is cut short or altered (checksum differs); rebuild the store")
    header = json.loads(bytes(body[:length]))
    data = body[length:]
    arrays = {}
    for name, dtype, shape, offset in header["arrays"]:
        array = np.frombuffer(data, dtype, int(np.prod(shape)), offset).reshape(shape)
        array.flags.writeable = False
        arrays[name] = array
    return header, arrays
