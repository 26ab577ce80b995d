"""Reading a clip store.

Invariant: what is handed out is read-only; images are views of the mapped file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from scenes.cameras import Camera, CameraRig
from scenes.clip import Cameras, Clip
from scenes.store.frames import ShardedFrames
from scenes.store.manifest import FILES, StoreError, checksum_of, read_manifest
from scenes.store.record import RecordError, unpack_clip


class ClipStore(Sequence[Clip]):
    """A read-only store: `store[i]` is a clip whose images are views of the mapped file. Open one with
    ClipStore.open; it may be sent to other processes, which map the files again."""

    def __init__(self, path: Path, rig: CameraRig, shards: list[dict[str, Any]]) -> None:
        self.path, self.rig, self.shards = path, rig, shards
        counts = [shard["clips"] for shard in shards]
        self._starts = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        shape = (len(rig.cameras), rig.frames, rig.height, rig.width, 3)
        folders = [path / shard["folder"] for shard in shards]
        self.frames = ShardedFrames(
            [
                np.memmap(folder / "frames.bin", np.uint8, "r", shape=(count, *shape))
                for folder, count in zip(folders, counts, strict=True)
            ]
        )
        self._records = [np.memmap(folder / "records.bin", np.uint8, "r") for folder in folders]
        self._offsets = [np.load(folder / "offsets.npy", allow_pickle=False) for folder in folders]

    @classmethod
    def open(cls, path: str | Path) -> ClipStore:
        """Map a store. Checks the manifest and the sizes of all files, not their contents (see verify).
        Raises StoreError for a missing, truncated or foreign store."""
        path = Path(path)
        manifest = read_manifest(path)
        rig = manifest["rig"]
        cameras = tuple(Camera(**{**c, "position": tuple(c["position"])}) for c in rig["cameras"])
        for shard in manifest["shards"]:
            for name in FILES:
                file_path, expected = path / shard["folder"] / name, shard["files"][name]["bytes"]
                found = file_path.stat().st_size if file_path.is_file() else None
                if found != expected:
                    state = "is missing" if found is None else f"has {found} bytes instead of {expected}"
                    raise StoreError(
                        f"{file_path} {state}: the store is damaged; delete {path} and rebuild it"
                    )
        return cls(path, CameraRig(**{**rig, "cameras": cameras}), manifest["shards"])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: int) -> Clip:  # type: ignore[override]
        """The clip at `index` (negative counts from the end). Raises StoreError when its record is
        damaged."""
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(f"clip {index} of a store of {len(self)}")
        shard = int(np.searchsorted(self._starts, at, side="right")) - 1
        first, last = self._offsets[shard][at - self._starts[shard] :][:2]
        try:
            clip = unpack_clip(self._records[shard][first:last])
        except RecordError as error:
            raise StoreError(f"clip {at} of {self.path}: {error}") from error
        return replace(clip, cameras=Cameras(self.rig.names, self.frames[at], self.rig.times))

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Clip ids in order."""
        folders = [self.path / shard["folder"] for shard in self.shards]
        return tuple(str(i) for folder in folders for i in np.load(folder / "ids.npy", allow_pickle=False))

    def index(self, clip_id: object, start: int = 0, stop: int | None = None) -> int:
        """Position of a clip by id. Raises KeyError for an unknown one."""
        at = self._positions.get(str(clip_id))
        if at is None or not start <= at < (len(self) if stop is None else stop):
            raise KeyError(f"no clip {clip_id!r} in {self.path}, which holds {len(self)}")
        return at

    def verify(self) -> None:
        """Read every file and compare checksums. Raises StoreError for the first that differs."""
        for shard in self.shards:
            for name in FILES:
                file_path = self.path / shard["folder"] / name
                if checksum_of(file_path) != shard["files"][name]["crc32"]:
                    raise StoreError(f"{file_path} has changed since it was written; rebuild {self.path}")

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {clip_id: at for at, clip_id in enumerate(self.ids)}

    def __reduce__(self) -> tuple[Any, ...]:
        return ClipStore.open, (self.path,)
