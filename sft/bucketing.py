"""Order of examples in which a batch holds like-long ones, so that little of it is padding.

Invariants: every example comes once an epoch; the order depends on lengths, batch size, seed and epoch alone, so
that a resumed stage sees the rest of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

POOL_BATCHES = 50
"""Batches that are sorted together: enough for like lengths, few enough that partners differ every epoch."""


def bucketed_order(lengths: np.ndarray, batch_size: int, rng: np.random.Generator) -> np.ndarray:
    """[N] example indices: shuffled, sorted by length within pools of batches, then whole batches shuffled.

    lengths: [N] tokens. Whole batches come in random order, because long-to-short within a pool would make the
    loss swing with the pool. Examples beyond the last whole batch come last.
    """
    shuffled = rng.permutation(len(lengths))
    whole = len(shuffled) // batch_size * batch_size
    pool = POOL_BATCHES * batch_size
    batches: list[np.ndarray] = []
    for first in range(0, whole, pool):
        part = shuffled[first : min(first + pool, whole)]
        part = part[np.argsort(lengths[part], kind="stable")]
        batches += np.split(part, len(part) // batch_size)
    order = rng.permutation(len(batches))
    return np.concatenate([*(batches[index] for index in order), shuffled[whole:]])


def padding_share(lengths: np.ndarray, order: np.ndarray, batch_size: int) -> float:
    """Share of padding among all tokens when examples [N tokens each] are batched in that order."""
    parts = [lengths[order[first : first + batch_size]] for first in range(0, len(order), batch_size)]
    return 1.0 - float(lengths.sum()) / float(sum(len(part) * part.max() for part in parts))


class LengthBuckets(Sampler[int]):
    """Sampler over `bucketed_order`; batch_size is the global one. set_epoch is called by the data loader."""

    def __init__(self, lengths: np.ndarray, batch_size: int, seed: int) -> None:
        if len(lengths) < batch_size:
            raise ValueError(f"{len(lengths)} examples do not fill one batch of {batch_size}")
        self._lengths, self._batch_size, self._seed = lengths, batch_size, seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng((self._seed, self._epoch))
        yield from bucketed_order(self._lengths, self._batch_size, rng).tolist()
