"""Clips on disk: written once, opened in milliseconds, images memory-mapped.

A store is a folder: `manifest.json` and `shards/<n>/` with `frames.bin` (uint8 [m, C, F, h, w, 3]),
`records.bin` (scenes.store.record), `offsets.npy` ([m+1] int64) and `ids.npy`. Clips are in the order of
writing."""

from scenes.store.manifest import StoreError
from scenes.store.reader import ClipStore
from scenes.store.writer import ClipStoreWriter, merge_stores

__all__ = ["ClipStore", "ClipStoreWriter", "StoreError", "merge_stores"]
