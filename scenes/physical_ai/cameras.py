"""Camera frames of a clip's moments: what the policy sees.

Role: each camera's video is unpacked and opened once for all moments of its clip. Invariant: frames are those of
the rig's cameras in its order, at its times, scaled to its size."""

from __future__ import annotations

import numpy as np

from scenes.cameras import CameraRig
from scenes.clip import Cameras
from scenes.physical_ai.chunks import Chunks
from scenes.physical_ai.errors import InputError, OutsideInputError
from scenes.physical_ai.layout import CAMERA_FEATURES
from scenes.physical_ai.parquet import increasing, microseconds, read_table
from scenes.physical_ai.video import Video


def read_cameras(
    chunks: Chunks, clip_id: str, rig: CameraRig, moments_us: list[int]
) -> list[Cameras | InputError]:
    """The cameras of each moment, or why that moment has none. Raises InputError when a camera is unusable as
    a whole."""
    shape = (len(rig.cameras), rig.frames, rig.height, rig.width, 3)
    frames = [np.empty(shape, np.uint8) for _ in moments_us]
    failed: dict[int, InputError] = {}
    offsets = np.round(rig.times * 1e6).astype(np.int64)
    for at, name in enumerate(rig.names):
        feature = CAMERA_FEATURES[name]
        with _open(chunks, clip_id, feature) as video:
            for moment, t0_us in enumerate(moments_us):
                if moment in failed:
                    continue
                try:
                    frames[moment][at] = video.frames(t0_us + offsets, (rig.width, rig.height))
                except OutsideInputError as error:
                    failed[moment] = error
    return [
        failed[i] if i in failed else Cameras(rig.names, frames[i], rig.times) for i in range(len(moments_us))
    ]


def _open(chunks: Chunks, clip_id: str, feature: str) -> Video:
    what = f"{clip_id}.{feature}"
    table = read_table(
        chunks.member(clip_id, feature, "frame_timestamps"), f"{what}.timestamps", ("timestamp",)
    )
    times = microseconds(table, "timestamp", f"{what}.timestamps")
    increasing(times, f"{what}.timestamps")
    return Video(chunks.member(clip_id, feature, "video"), times, what)
