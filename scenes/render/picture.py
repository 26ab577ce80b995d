"""Pictures of a clip: what each camera of a rig sees at each history frame, pixel and instance.

Role: the public face of the renderer. Invariant: `instances` is exact, that is, a pixel carries the id of what
covers most of it after occlusion, so whatever a label names can be checked against what is visible. Equal clips
and rigs give equal pictures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from scenes.cameras import CameraRig
from scenes.clip import Cameras, Clip
from scenes.render import palette, raster, raycast
from scenes.render.ground import RANGE_M, Ground, build_ground, join
from scenes.render.parts import collect

SAMPLES = 2
"""Samples a pixel along each axis when boxes are cast: 2 keeps a far lamp or pedestrian from flickering."""

_EDGES = np.array([(a, a | bit) for bit in (1, 2, 4) for a in range(8) if not a & bit], np.int64)
_HORIZON = np.array(palette.HORIZON, np.float64)
_ZENITH = np.array(palette.SKY_ZENITH, np.float64)


@dataclass(frozen=True)
class Rendered:
    """frames: [C, F, h, w, 3] uint8 RGB; instances: [C, F, h, w] int16, -1 for sky and ground, else an index into
    names (agents, then signals, signs, "crosswalk:<i>", "stop_line:<i>"); cameras: C camera names."""

    frames: np.ndarray
    instances: np.ndarray
    names: tuple[str, ...]
    cameras: tuple[str, ...]


def render(clip: Clip, rig: CameraRig, paint_key: str | None = None) -> Rendered:
    """Draw the rig's cameras at its history frames; agents that are not valid at a frame are not drawn.

    paint_key: what colours are hashed with instead of the clip's id; clips of one drive share one, so that a car
    keeps its colour. Raises ValueError for an unknown class, sign or boundary kind, or an id used twice."""
    on_road = _signals_on_road(clip)
    steps = rig.history_indices[-1] + 1
    parts, owners = collect(clip, clip.clip_id if paint_key is None else paint_key, on_road, steps)
    poses = clip.ego_history[list(rig.history_indices), :3].astype(np.float64)
    ground = build_ground(clip.road, rig, poses, first_id=len(owners))
    count, shape = len(rig.cameras), (rig.height, rig.width)
    frames = np.empty((count, rig.frames, *shape, 3), np.uint8)
    instances = np.empty((count, rig.frames, *shape), np.int16)
    canvas = _Canvas.of(rig)
    for f, (step, pose) in enumerate(zip(rig.history_indices, poses, strict=True)):
        boxes = parts.at(step)
        for c, camera in enumerate(rig.cameras):
            x, y, z = camera.position
            cos, sin = np.cos(pose[2]), np.sin(pose[2])
            view = np.array(
                (
                    pose[0] + cos * x - sin * y,
                    pose[1] + sin * x + cos * y,
                    z,
                    pose[2] + camera.yaw,
                    camera.pitch,
                    camera.focal(rig.width),
                )
            )
            canvas.draw(view, ground, boxes, frames[c, f], instances[c, f])
    return Rendered(frames, instances, owners + ground.names, rig.names)


def with_cameras(clip: Clip, rig: CameraRig, paint_key: str | None = None) -> Clip:
    """The clip with the rig's pictures as its cameras."""
    rendered = render(clip, rig, paint_key)
    return replace(clip, cameras=Cameras(rig.names, rendered.frames, rig.times))


def visible_pixels(rendered: Rendered) -> dict[str, tuple[str, int, int]]:
    """Best view of every instance that covers a pixel anywhere: camera name, frame index (0 is the oldest) and
    pixels covered. Of equal views the earliest camera, then the latest frame, wins."""
    cameras, frames = rendered.instances.shape[:2]
    bins = len(rendered.names) + 1
    views = rendered.instances.reshape(cameras * frames, -1).astype(np.int64) + 1
    views += bins * np.arange(cameras * frames)[:, None]
    counts = np.bincount(views.ravel(), minlength=cameras * frames * bins).reshape(cameras, frames, bins)
    late_first = counts[:, ::-1, 1:].reshape(cameras * frames, bins - 1)
    best = late_first.argmax(axis=0) if bins > 1 else np.zeros(0, np.int64)
    return {
        name: (rendered.cameras[view // frames], frames - 1 - int(view) % frames, int(late_first[view, i]))
        for i, (name, view) in enumerate(zip(rendered.names, best, strict=True))
        if late_first[view, i] > 0
    }


def _signals_on_road(clip: Clip) -> list[bool]:
    if clip.signals is None:
        return []
    if clip.road is None or not clip.road.drivable:
        return [False] * len(clip.signals.ids)
    points, starts = join(clip.road.drivable)
    return [bool(raster.any_covers(points, starts, float(x), float(y))) for x, y in clip.signals.positions]


@dataclass(frozen=True)
class _Canvas:
    """Scratch arrays of one view, at pixels and at samples."""

    colour: np.ndarray
    depth: np.ndarray
    ids: np.ndarray
    fine_colour: np.ndarray
    fine_depth: np.ndarray
    fine_ids: np.ndarray

    @staticmethod
    def of(rig: CameraRig) -> _Canvas:
        def arrays(h: int, w: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            return np.empty((h, w, 3), np.float32), np.empty((h, w), np.float32), np.empty((h, w), np.int16)

        return _Canvas(*arrays(rig.height, rig.width), *arrays(rig.height * SAMPLES, rig.width * SAMPLES))

    def draw(
        self,
        view: np.ndarray,
        ground: Ground,
        boxes: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
        rgb: np.ndarray,
        ids: np.ndarray,
    ) -> None:
        pixels = (self.colour, self.depth, self.ids)
        samples = (self.fine_colour, self.fine_depth, self.fine_ids)
        textures = (ground.rgb, ground.ids, ground.levels)
        raycast.cast_ground(*pixels, view, RANGE_M, *textures, _ZENITH, _HORIZON)
        raycast.upsample(*pixels, *samples, SAMPLES)
        fine = view * np.array((1.0, 1.0, 1.0, 1.0, 1.0, SAMPLES))
        raycast.cast_boxes(*samples, fine, *boxes, _EDGES, _HORIZON)
        raycast.resolve(*samples, rgb, ids, SAMPLES)
