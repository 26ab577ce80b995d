"""Pictures of a clip: what each camera of a rig sees at each history frame, pixel and instance.

Role: the public face of the renderer. Invariant: `instances` is exact, that is, a pixel carries the id of
what covers most of it after occlusion, so whatever a label names can be checked against what is visible.
Equal clips and rigs give equal pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from scenes.cameras import Camera, CameraRig
from scenes.clip import Cameras, Clip
from scenes.geometry import in_polygon
from scenes.render import palette
from scenes.render.cast_boxes import SAMPLES, cast_boxes
from scenes.render.cast_ground import cast_ground
from scenes.render.ground import Ground, build_ground
from scenes.render.parts import Boxes, collect
from scenes.render.windows import RANGE_M

_HORIZON = np.array(palette.HORIZON, np.float64)
_ZENITH = np.array(palette.SKY_ZENITH, np.float64)


@dataclass(frozen=True)
class Rendered:
    """frames: [C, F, h, w, 3] uint8 RGB; instances: [C, F, h, w] int16, -1 for sky and ground, else an
    index into names (agents, then signals, signs, "crosswalk:<i>", "stop_line:<i>"); cameras: C camera
    names."""

    frames: np.ndarray
    instances: np.ndarray
    names: tuple[str, ...]
    cameras: tuple[str, ...]


def render(clip: Clip, rig: CameraRig, paint_key: str | None = None) -> Rendered:
    """Draw the rig's cameras at its history frames; agents that are not valid at a frame are not drawn.

    paint_key: what colours are hashed with instead of the clip's id; clips of one drive share one, so that
    a car keeps its colour. Raises ValueError for an unknown class, sign or boundary kind, or an id used
    twice."""
    steps = rig.history_indices[-1] + 1
    parts = collect(clip, clip.clip_id if paint_key is None else paint_key, _hung_signals(clip), steps)
    poses = clip.ego_history[list(rig.history_indices), :3].astype(np.float64)
    ground = build_ground(clip.road, rig, poses, first_id=len(parts.names))
    shape = (len(rig.cameras), rig.frames, rig.height, rig.width)
    frames, instances = np.empty((*shape, 3), np.uint8), np.empty(shape, np.int16)
    canvas = _Canvas.of(rig)
    for f, (step, pose) in enumerate(zip(rig.history_indices, poses, strict=True)):
        boxes = parts.at(step)
        for c, camera in enumerate(rig.cameras):
            view = _camera_at(camera, pose, rig.width)
            canvas.draw(view, ground, boxes, frames[c, f], instances[c, f])
    return Rendered(frames, instances, parts.names + ground.names, rig.names)


def with_cameras(clip: Clip, rig: CameraRig, paint_key: str | None = None) -> Clip:
    """The clip with the rig's pictures as its cameras."""
    rendered = render(clip, rig, paint_key)
    return replace(clip, cameras=Cameras(rig.names, rendered.frames, rig.times))


def visible_pixels(rendered: Rendered) -> dict[str, tuple[str, int, int]]:
    """Best view of every instance that covers a pixel anywhere: camera name, frame index (0 is the oldest)
    and pixels covered. Of equal views the earliest camera, then the latest frame, wins."""
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


def _camera_at(camera: Camera, pose: np.ndarray, width: int) -> np.ndarray:
    """x, y, z, yaw, pitch, focal length px of a camera when the ego vehicle is at pose (x, y, yaw)."""
    x, y, z = camera.position
    cos, sin = math.cos(pose[2]), math.sin(pose[2])
    at = (pose[0] + cos * x - sin * y, pose[1] + sin * x + cos * y, z)
    return np.array((*at, pose[2] + camera.yaw, camera.pitch, camera.focal(width)))


def _hung_signals(clip: Clip) -> list[bool]:
    """Whether each signal stands where cars drive, and is therefore drawn hanging."""
    if clip.signals is None:
        return []
    hung = np.zeros(len(clip.signals.ids), bool)
    for polygon in clip.road.drivable if clip.road is not None and len(hung) else ():
        hung |= in_polygon(clip.signals.positions, polygon)
    return [bool(h) for h in hung]


@dataclass(frozen=True)
class _Canvas:
    """Scratch arrays of one view: depth of pixels; colour, depth and instance of samples; pixels a box
    touched."""

    depth: np.ndarray
    samples: tuple[np.ndarray, np.ndarray, np.ndarray]
    touched: np.ndarray

    @staticmethod
    def of(rig: CameraRig) -> _Canvas:
        h, w = rig.height, rig.width
        fine = (h * SAMPLES, w * SAMPLES)
        samples = np.empty((*fine, 3), np.uint8), np.empty(fine, np.float32), np.empty(fine, np.int16)
        return _Canvas(np.empty((h, w), np.float32), samples, np.empty((h, w), bool))

    def draw(
        self, camera: np.ndarray, ground: Ground, boxes: Boxes, rgb: np.ndarray, ids: np.ndarray
    ) -> None:
        textures = (ground.rgb, ground.ids, ground.levels)
        cast_ground(rgb, self.depth, ids, camera, RANGE_M, *textures, _ZENITH, _HORIZON)
        cast_boxes((rgb, self.depth, ids), self.samples, self.touched, camera, *boxes, _HORIZON)
