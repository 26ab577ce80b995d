"""Loads clips ahead in worker processes and hands them out from shared memory.

Role: makes the G-fold use of a clip cost one load: a clip is decoded and preprocessed once, and every rollout of
its group, in any process of the machine, maps the same memory. Invariants: memory is bounded (a load does not
start before there is room, a leased clip is never evicted); every wait has a deadline; a worker that dies or hangs
costs its clip, named in the error, and no other.

    with Prefetcher(load, workers=2) as clips:
        clips.prefetch(ids_of_the_next_step)
        with clips.get(clip_id, timeout_s=60.0) as arrays:
            ...
"""

from __future__ import annotations

import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from scenes.prefetch.blocks import map_block
from scenes.prefetch.crew import Crew, Outcome
from scenes.prefetch.errors import ClipFailedError, PrefetchError, PrefetchTimeoutError
from scenes.prefetch.folder import new_folder
from scenes.prefetch.worker import Load


@dataclass
class _Block:
    """A loaded clip. arrays: its memory, mapped when it is first handed out and once for all of this process;
    leases: users that hold it."""

    path: Path
    size: int
    arrays: Mapping[str, np.ndarray] | None = None
    leases: int = 0

    @property
    def read(self) -> bool:
        """Whether it was handed out before."""
        return self.arrays is not None


@dataclass
class _Counts:
    loads: int = 0
    hits: int = 0
    misses: int = 0
    failures: int = 0
    evictions: int = 0
    waited_s: float = field(default=0.0)


class Lease:
    """A clip's arrays, kept in memory until released. As a context manager it gives the arrays."""

    def __init__(self, path: Path, arrays: Mapping[str, np.ndarray], release: Callable[[], None]) -> None:
        """path: block of the clip; arrays: its memory; release: tells the owner, at most once."""
        self.path, self.arrays, self._release = path, arrays, release
        self._held = True

    def release(self) -> None:
        """Let the clip be evicted; twice is once."""
        if self._held:
            self._held = False
            self._release()

    def __enter__(self) -> Mapping[str, np.ndarray]:
        return self.arrays

    def __exit__(self, *_: object) -> None:
        self.release()


class Prefetcher:
    """load: arrays of a clip by id (picklable; an attribute `warm()` is called once in each worker); workers:
    loading processes; capacity_bytes: most that loaded clips may take (one clip may always be loaded; until one
    was, each worker may be at one of unknown size); load_timeout_s: how long one load may take before its worker
    is killed; folder: where blocks lie (default: shared memory). Thread-safe."""

    def __init__(
        self,
        load: Load,
        workers: int = 1,
        capacity_bytes: int = 1 << 30,
        load_timeout_s: float = 120.0,
        folder: Path | None = None,
    ) -> None:
        if workers < 1 or capacity_bytes < 1 or load_timeout_s <= 0.0:
            raise ValueError(
                f"{workers} workers, {capacity_bytes} bytes, {load_timeout_s} s a load: all must be positive"
            )
        self._capacity = capacity_bytes
        self._folder = new_folder(folder)
        self._changed = threading.Condition()
        self._blocks: OrderedDict[str, _Block] = OrderedDict()
        self._queue: OrderedDict[str, bool] = OrderedDict()  # clip id: demanded, else ahead
        self._failed: dict[str, str] = {}
        self._largest, self._number, self._closed = 0, 0, False
        self._counts = _Counts()
        self._crew = Crew(load, workers, load_timeout_s)
        self._thread = threading.Thread(target=self._serve, name="prefetch", daemon=True)
        self._thread.start()

    def prefetch(self, clip_ids: Iterable[str]) -> None:
        """Load these clips ahead, in order, as room allows. Clips that failed before are tried again."""
        with self._changed:
            for clip_id in clip_ids:
                self._failed.pop(clip_id, None)
                if clip_id not in self._blocks and clip_id not in self._crew.loading:
                    self._queue.setdefault(clip_id, False)
        self._crew.wake()

    def get(self, clip_id: str, timeout_s: float = 120.0) -> Lease:
        """The clip's arrays, loaded first when they are not there.

        Raises ClipFailedError when it cannot be loaded, PrefetchTimeoutError after timeout_s, PrefetchError when
        the prefetcher is closed or its workers do not start."""
        began = time.monotonic()
        with self._changed:
            known = clip_id in self._blocks
            self._counts.hits += known
            self._counts.misses += not known
            while (block := self._blocks.get(clip_id)) is None:
                self._refuse(clip_id)
                if clip_id not in self._crew.loading and not self._queue.get(clip_id):
                    self._queue[clip_id] = True
                    self._queue.move_to_end(clip_id, last=False)
                    self._crew.wake()
                left = began + timeout_s - time.monotonic()
                if left <= 0.0 or not self._changed.wait(left):
                    why = self._waiting(clip_id)
                    raise PrefetchTimeoutError(f"clip {clip_id} was not there in {timeout_s:g} s: {why}")
            block.arrays = map_block(block.path) if block.arrays is None else block.arrays
            block.leases += 1
            self._blocks.move_to_end(clip_id)
            self._counts.waited_s += time.monotonic() - began
            return Lease(block.path, block.arrays, partial(self._release, clip_id))

    def metrics(self) -> dict[str, float]:
        """Loads, hits and misses of get, failures, evictions, worker deaths, seconds waited, bytes in memory."""
        with self._changed:
            return {
                **vars(self._counts),
                "deaths": self._crew.deaths,
                "resident_bytes": self._resident,
                "resident_clips": len(self._blocks),
            }

    def close(self) -> None:
        """End the workers and remove the blocks; arrays that are still mapped stay valid."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        self._crew.wake()
        self._thread.join(10.0)
        self._crew.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Prefetcher:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    @property
    def _resident(self) -> int:
        return sum(block.size for block in self._blocks.values())

    def _release(self, clip_id: str) -> None:
        with self._changed:
            self._blocks[clip_id].leases -= 1
        self._crew.wake()

    def _refuse(self, clip_id: str) -> None:
        if self._closed:
            raise PrefetchError("the prefetcher is closed")
        if self._crew.broken:
            raise PrefetchError(f"loading processes do not start: {self._crew.broken}")
        if clip_id in self._failed:
            raise ClipFailedError(f"clip {clip_id}: {self._failed[clip_id]}")

    def _waiting(self, clip_id: str) -> str:
        if clip_id in self._crew.loading:
            return "it is being loaded"
        leased = [name for name, block in self._blocks.items() if block.leases]
        return (
            f"{self._resident} of {self._capacity} bytes are taken, {len(leased)} clips are leased"
            f" ({', '.join(leased[:4])}); release them or raise capacity_bytes"
        )

    def _serve(self) -> None:
        """The dispatcher: takes in what workers report, makes room, gives out work."""
        while True:
            outcomes = self._crew.wait()
            with self._changed:
                for outcome in outcomes:
                    self._take(outcome)
                if self._closed:
                    return
                self._give()
                self._changed.notify_all()

    def _take(self, outcome: Outcome) -> None:
        self._crew.loading.discard(outcome.clip_id)
        if outcome.error is not None:
            self._failed[outcome.clip_id] = outcome.error
            self._counts.failures += 1
            return
        self._counts.loads += 1
        self._largest = max(self._largest, outcome.size)
        self._blocks[outcome.clip_id] = _Block(outcome.path, outcome.size)

    def _give(self) -> None:
        while self._queue and self._crew.idle:
            clip_id, demanded = next(iter(self._queue.items()))
            if clip_id in self._blocks or clip_id in self._crew.loading:
                del self._queue[clip_id]
                continue
            if not self._room(demanded):
                return
            del self._queue[clip_id]
            self._number += 1
            self._crew.start(clip_id, self._folder / f"{self._number}.block")

    def _room(self, demanded: bool) -> bool:
        """Whether another load may start, after evicting what may go: clips that were read, oldest first, and for a
        clip that somebody waits for also clips that were loaded ahead, the last first."""
        wanted = self._largest * (len(self._crew.loading) + 1)
        read = [name for name, block in self._blocks.items() if not block.leases and block.read]
        ahead = [name for name, block in self._blocks.items() if not block.leases and not block.read]
        for name in read + (ahead[::-1] if demanded else []):
            if self._resident + wanted <= self._capacity:
                break
            self._blocks.pop(name).path.unlink(missing_ok=True)
            self._counts.evictions += 1
        return self._resident + wanted <= self._capacity or not (self._blocks or self._crew.loading)
