"""Pictures as an mp4, through PyAV.

Role: what the writer puts into camera chunks. Invariant: the same pictures give the same bytes (one encoder
thread, no time of day in the container)."""

from __future__ import annotations

import io
from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from scenes.physical_ai.video import pyav

QUALITY = "18"
"""Constant rate factor of x264: differences are hard to see."""
KEY_EVERY = 10
"""Frames from one key frame to the next."""


def encode(frames: Iterable[np.ndarray], rate: int, width: int, height: int, codec: str = "libx264") -> bytes:
    """H.264 in mp4 of RGB frames [h, w, 3] uint8, scaled to width x height (even numbers). Raises ValueError for
    odd sizes, DatasetError when PyAV is missing."""
    if width % 2 or height % 2:
        raise ValueError(f"video of {width}x{height}: H.264 in 4:2:0 needs even numbers")
    av = pyav()
    sink = io.BytesIO()
    with av.open(sink, "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, rate)
        stream.codec_context.thread_count = 1
        stream.codec_context.gop_size = KEY_EVERY
        stream.options = {"crf": QUALITY, "preset": "veryfast"}
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture = picture.reformat(width=width, height=height, format="yuv420p", interpolation="BICUBIC")
            picture.pts, picture.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return sink.getvalue()
