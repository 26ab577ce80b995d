"""Frames of an mp4 by time, through PyAV.

Role: opens a clip's video once and decodes only what is asked for, from the key frame before it. Invariant: the
frame for a time is the last one at or before it, as in the devkit's reader; a video whose frames and time
stamps do not match one to one is refused."""

from __future__ import annotations

import io
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from scenes.physical_ai.errors import DamagedInputError, DatasetError, OutsideInputError

STALE_US = 120_000
"""Oldest that a frame may be at the time it stands for: cameras run at 30 Hz, miniatures at 10 Hz."""


def pyav() -> ModuleType:
    """The av module. Raises DatasetError naming the extra that brings it."""
    try:
        import av
    except ModuleNotFoundError as error:
        raise DatasetError("reading videos needs PyAV: pip install 'ar1-rl[physical-ai]'") from error
    return av


class Video:
    """An mp4 and the time of each of its frames.

    times_us: [n] int64, strictly increasing, in display order. Use as a context manager."""

    def __init__(self, data: bytes, times_us: np.ndarray, what: str) -> None:
        self._av, self._what, self.times_us = pyav(), what, times_us
        try:
            self._container = self._av.open(io.BytesIO(data))
            if not self._container.streams.video:
                raise DamagedInputError(f"{what} holds no video stream")
            self._stream = self._container.streams.video[0]
            self._stream.thread_count = 1
            self._pts = self._display_times()
        except self._av.FFmpegError as error:
            raise DamagedInputError(f"{what} is no readable video: {error}") from error
        if len(self._pts) != len(times_us):
            raise DamagedInputError(f"{what} has {len(self._pts)} frames, but {len(times_us)} time stamps")

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def frames(self, wanted_us: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
        """RGB frames [k, h, w, 3] uint8 for times [k] in any order, scaled bicubically to size (width, height).

        Raises OutsideInputError for a time without a fresh frame, DamagedInputError when decoding fails."""
        at = np.searchsorted(self.times_us, wanted_us, side="right") - 1
        age = np.where(at >= 0, wanted_us - self.times_us[np.maximum(at, 0)], STALE_US + 1)
        if age.max() > STALE_US:
            worst = int(np.argmax(age))
            raise OutsideInputError(
                f"{self._what} has no frame within {STALE_US / 1e6:.2f} s before {wanted_us[worst] / 1e6:.2f} s;"
                f" it lasts from {self.times_us[0] / 1e6:.2f} to {self.times_us[-1] / 1e6:.2f} s"
            )
        indices, places = np.unique(at, return_inverse=True)
        try:
            images = [self._rgb(frame, size) for frame in self._decode(self._pts[indices].tolist())]
        except self._av.FFmpegError as error:
            raise DamagedInputError(f"{self._what} cannot be decoded: {error}") from error
        if len(images) != len(indices):
            raise DamagedInputError(f"{self._what} ends before a frame that its index lists")
        return np.stack([images[place] for place in places])

    def _display_times(self) -> np.ndarray:
        """Presentation stamps in display order, and those of the key frames (kept for seeking)."""
        packets = [
            (packet.pts, packet.is_keyframe) for packet in self._container.demux(self._stream) if packet.size
        ]
        if any(pts is None for pts, _ in packets):
            raise DamagedInputError(f"{self._what} has a frame without a presentation time")
        self._keys = np.array(sorted(pts for pts, key in packets if key), np.int64)
        return np.array(sorted(pts for pts, _ in packets), np.int64)

    def _decode(self, wanted: list[int]) -> Iterator[Any]:
        """Decoded frames of the presentation stamps `wanted` (ascending); goes on from where it is when no key
        frame lies between."""
        at, current = 0, None
        decoded: Iterator[Any] = iter(())
        while at < len(wanted):
            key = self._key_before(wanted[at])
            if key != current:
                self._container.seek(wanted[at], stream=self._stream, backward=True)
                current, decoded = key, self._container.decode(self._stream)
            for frame in decoded:
                if frame.pts == wanted[at]:
                    yield frame
                    at += 1
                    break
                if frame.pts is not None and frame.pts > wanted[at]:
                    raise DamagedInputError(f"{self._what} lost the frame at {wanted[at]} while decoding")
            else:
                return

    def _key_before(self, pts: int) -> int:
        return int(np.searchsorted(self._keys, pts, side="right"))

    def _rgb(self, frame: Any, size: tuple[int, int] | None) -> np.ndarray:
        if size is None:
            return frame.to_ndarray(format="rgb24")
        scaled = frame.reformat(width=size[0], height=size[1], format="rgb24", interpolation="BICUBIC")
        return scaled.to_ndarray()
