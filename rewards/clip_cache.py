"""What is computed of a clip once and used for all its rollouts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from rewards.lru import Lru
from scenes.clip import Clip

V = TypeVar("V")
CLIPS = 64
"""Clips held; a scoring process holds as many (rewards.worker_pool)."""


class ClipCache(Generic[V]):
    """build(clip) for the clips asked for last. Invariant: a value belongs to the very clip object it was built
    of, so that another clip under the same id is built anew; clips are never changed in place."""

    def __init__(self, build: Callable[[Clip], V], clips: int = CLIPS) -> None:
        self._build = build
        # An id is a clip's own as long as the entry holds the clip.
        self._entries: Lru[int, tuple[Clip, V]] = Lru(clips)

    def get(self, clip: Clip) -> V:
        """The value of a clip."""
        entry = self._entries.get(id(clip))
        if entry is None:
            entry = clip, self._build(clip)
            self._entries.put(id(clip), entry)
        return entry[1]
