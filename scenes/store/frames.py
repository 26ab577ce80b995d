"""Images of several shards as one read-only array.

Role: what `ClipStore.frames` is. Invariant: indexing by a number gives a view of a mapped file; by a slice or
an array of numbers, a copy in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np


class ShardedFrames:
    """Shards [m_k, C, F, h, w, 3] uint8 seen as [M, C, F, h, w, 3]."""

    def __init__(self, shards: Sequence[np.ndarray]) -> None:
        self._shards = tuple(shards)
        self._starts = np.cumsum([0, *(len(shard) for shard in shards)])

    @property
    def shape(self) -> tuple[int, ...]:
        """[M, C, F, h, w, 3]."""
        return (len(self), *self._shards[0].shape[1:])

    @property
    def dtype(self) -> np.dtype:
        """uint8."""
        return self._shards[0].dtype

    def __len__(self) -> int:
        return int(self._starts[-1])

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice | np.ndarray | list[int]) -> np.ndarray: ...
    def __getitem__(self, index: int | slice | np.ndarray | list[int]) -> np.ndarray:
        """[C, F, h, w, 3] of one clip, or [n, C, F, h, w, 3] of several. Raises IndexError outside the
        store."""
        if isinstance(index, slice):
            index = np.arange(*index.indices(len(self)))
        if not isinstance(index, int | np.integer):
            wanted = np.asarray(index, np.int64)
            out = np.empty((len(wanted), *self.shape[1:]), self.dtype)
            for i, at in enumerate(wanted):
                out[i] = self[int(at)]
            return out
        at = int(index) + len(self) if index < 0 else int(index)
        if not 0 <= at < len(self):
            raise IndexError(f"clip {index} of {len(self)}")
        shard = int(np.searchsorted(self._starts, at, side="right")) - 1
        return np.asarray(self._shards[shard][at - self._starts[shard]])
