"""The clips behind a run's ids, from the clip stores that it drew from.

Invariant: a store is opened once and only read; a clip that no store holds is an error that says which stores
were asked, never an empty picture.
"""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from scenes.clip import Clip


class ClipSource(Protocol):
    """What a clip store offers here: ids and clips by position."""

    @property
    def ids(self) -> Sequence[str]: ...

    def __getitem__(self, position: int) -> Clip: ...


class ClipLibrary:
    """Clips by id over several stores, given as folders or as opened sources; folders are opened when first
    asked, the first store that has an id wins."""

    def __init__(self, stores: Sequence[Path | str | ClipSource]) -> None:
        self._stores = list(stores)
        self._opened: list[tuple[ClipSource, dict[str, int]]] = []
        self._lock = threading.Lock()
        self._clip = lru_cache(maxsize=32)(self._find)

    def clip(self, clip_id: str) -> Clip:
        """The clip of an id. Raises LookupError when no store holds it, or what opening a store raises."""
        return self._clip(clip_id)

    def png(self, clip_id: str, camera: int, frame: int) -> bytes:
        """One camera image as PNG. Raises LookupError when the clip, its cameras or that image are absent."""
        return png(picture(self.clip(clip_id), camera, frame))

    def _find(self, clip_id: str) -> Clip:
        with self._lock:
            while len(self._opened) < len(self._stores):
                store = self._stores[len(self._opened)]
                source = _open(Path(store)) if isinstance(store, str | Path) else store
                self._opened.append((source, {name: at for at, name in enumerate(source.ids)}))
        for source, positions in self._opened:
            if clip_id in positions:
                return source[positions[clip_id]]
        asked = (
            ", ".join(str(s) for s in self._stores if isinstance(s, str | Path))
            or f"{len(self._stores)} given"
        )
        raise LookupError(
            f"no clip store holds {clip_id!r} (asked: {asked}); name the run's store with --clips"
        )


def _open(path: Path) -> ClipSource:
    # Imported when a store is first opened: the dashboard starts without the scene readers.
    from scenes.store import ClipStore

    return ClipStore.open(path)


def picture(clip: Clip, camera: int, frame: int) -> np.ndarray:
    """[h, w, 3] uint8. Raises LookupError when the clip has no such image."""
    if clip.cameras is None:
        raise LookupError(f"clip {clip.clip_id} has no camera images")
    frames = clip.cameras.frames
    if not (0 <= camera < frames.shape[0] and 0 <= frame < frames.shape[1]):
        raise LookupError(f"clip {clip.clip_id} has {frames.shape[0]} cameras of {frames.shape[1]} frames")
    return np.asarray(frames[camera, frame])


def png(pixels: np.ndarray) -> bytes:
    """[h, w, 3] uint8 as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", optimize=False, compress_level=3)
    return buffer.getvalue()


def png_uri(pixels: np.ndarray) -> str:
    """[h, w, 3] uint8 as a data URI."""
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode()
