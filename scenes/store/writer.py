"""Writing a clip store, and merging several into one.

Invariant: a store is complete or absent. It is written in a hidden folder beside its path and renamed at
the end."""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from scenes.cameras import CameraRig
from scenes.clip import Clip
from scenes.store.manifest import FILES, StoreError, write_manifest
from scenes.store.reader import ClipStore
from scenes.store.record import pack_clip


class ClipStoreWriter:
    """Writes one store of one shard: append clips, then close. A writer that is not closed leaves nothing at
    `path`; used as a context manager it closes on success and discards on an exception.

        with ClipStoreWriter("runs/clips", default_rig()) as writer:
            writer.append(with_cameras(clip, default_rig()))
    """

    def __init__(self, path: str | Path, rig: CameraRig) -> None:
        self._path, self._rig = Path(path), rig
        if self._path.exists():
            raise StoreError(f"{self._path} exists; choose another path or delete it first")
        self._aside = self._path.with_name(f".{self._path.name}.writing-{os.getpid()}")
        self._shard = self._aside / "shards" / "0"
        self._shard.mkdir(parents=True)
        self._files = {name: (self._shard / name).open("wb") for name in FILES[:2]}
        self._checksums = dict.fromkeys(FILES[:2], 0)
        self._ids: dict[str, None] = {}
        self._offsets = [0]

    def append(self, clip: Clip) -> None:
        """Add a clip whose cameras are pictures of the writer's rig (scenes.render.with_cameras draws
        them)."""
        if clip.clip_id in self._ids:
            raise StoreError(f"clip {clip.clip_id!r} is in {self._path} already; ids must be unique")
        frames = _checked_frames(clip, self._rig)
        record = pack_clip(clip)
        self._write("frames.bin", frames.tobytes())
        self._write("records.bin", record)
        self._offsets.append(self._offsets[-1] + len(record))
        self._ids[clip.clip_id] = None

    def close(self) -> None:
        """Finish the store and give it its name. Raises StoreError when no clip was appended."""
        if not self._ids:
            raise StoreError(f"no clip was appended to {self._path}; an empty store would be read as a fault")
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
            file.close()
        np.save(self._shard / "offsets.npy", np.array(self._offsets, np.int64))
        np.save(self._shard / "ids.npy", np.array(list(self._ids), np.str_))
        shard: dict[str, Any] = {"folder": "shards/0", "clips": len(self._ids), "files": {}}
        for name in FILES:
            file_path = self._shard / name
            checksum = self._checksums.get(name, zlib.crc32(file_path.read_bytes()))
            shard["files"][name] = {"bytes": file_path.stat().st_size, "crc32": checksum}
        write_manifest(self._aside, self._rig, [shard])
        os.rename(self._aside, self._path)

    def discard(self) -> None:
        """Drop what was written."""
        for file in self._files.values():
            file.close()
        shutil.rmtree(self._aside, ignore_errors=True)

    def __enter__(self) -> ClipStoreWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.discard()
            return
        try:
            self.close()
        except BaseException:
            self.discard()
            raise

    def _write(self, name: str, data: bytes) -> None:
        self._files[name].write(data)
        self._checksums[name] = zlib.crc32(data, self._checksums[name])


def merge_stores(path: str | Path, parts: Sequence[str | Path]) -> ClipStore:
    """One store of the clips of `parts`, in that order, without copying images (hard links; a copy where
    the file system has none). The parts stay and may be deleted. Raises StoreError for differing rigs or
    repeated ids."""
    path = Path(path)
    if path.exists():
        raise StoreError(f"{path} exists; choose another path or delete it first")
    stores = [ClipStore.open(part) for part in parts]
    if not stores:
        raise StoreError(f"no parts to merge into {path}")
    ids = [clip_id for store in stores for clip_id in store.ids]
    if len(set(ids)) != len(ids):
        twice = next(clip_id for clip_id in ids if ids.count(clip_id) > 1)
        raise StoreError(f"clip {twice!r} is in more than one part; give each builder its own seeds")
    if any(store.rig != stores[0].rig for store in stores):
        raise StoreError(f"the parts of {path} have different camera rigs; build them with one")
    aside = path.with_name(f".{path.name}.merging-{os.getpid()}")
    shards: list[dict[str, Any]] = []
    try:
        for store in stores:
            for shard in store.shards:
                folder = f"shards/{len(shards)}"
                (aside / folder).mkdir(parents=True)
                for name in FILES:
                    _link(store.path / shard["folder"] / name, aside / folder / name)
                shards.append({**shard, "folder": folder})
        write_manifest(aside, stores[0].rig, shards)
        os.rename(aside, path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return ClipStore.open(path)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # Another device, or a file system without links.
        shutil.copyfile(source, target)


def _checked_frames(clip: Clip, rig: CameraRig) -> np.ndarray:
    shape = (len(rig.cameras), rig.frames, rig.height, rig.width, 3)
    cameras = clip.cameras
    if cameras is None:
        raise StoreError(f"clip {clip.clip_id!r} has no images; draw them with scenes.render.with_cameras")
    if cameras.names != rig.names or cameras.frames.shape != shape or cameras.frames.dtype != np.uint8:
        raise StoreError(
            f"clip {clip.clip_id!r} has {cameras.frames.dtype} images {cameras.frames.shape}"
            f" of {cameras.names};"
            f" the store's rig takes uint8 {shape} of {rig.names}"
        )
    return np.ascontiguousarray(cameras.frames)
