"""The loading processes of a prefetcher: who is at which clip, who died, who takes too long.

Invariants: a worker has at most one clip; a dead or hung worker is replaced and its clip reported with the cause;
when workers die again and again before they are ready, `broken` says so instead of restarting for ever.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from scenes.prefetch.worker import Load, work

STARTS = 3
"""How often in a row a worker may die before it is ready."""
GRACE_S = 5.0


@dataclass(frozen=True)
class Outcome:
    """What became of a clip: its block and size, or why it failed."""

    clip_id: str
    path: Path
    size: int = 0
    error: str | None = None


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    ready: bool = False
    clip_id: str | None = None
    path: Path = Path()
    began: float = 0.0


class Crew:
    """Used by one dispatcher thread; `deaths` and `broken` may be read, and wake called, from others. `loading`:
    clips given out whose outcome was not taken in yet; its owner discards them, so that a clip is never between
    two states."""

    def __init__(self, load: Load, count: int, load_timeout_s: float) -> None:
        self._load, self._timeout_s = load, load_timeout_s
        self._context = multiprocessing.get_context("spawn")
        self._bell, self._ring = os.pipe()
        os.set_blocking(self._ring, False)
        self.loading: set[str] = set()
        self.deaths, self._unready = 0, 0
        self.broken: str | None = None
        self._workers = [self._start() for _ in range(count)]

    @property
    def idle(self) -> bool:
        """Whether a worker waits for work."""
        return any(worker.ready and worker.clip_id is None for worker in self._workers)

    def start(self, clip_id: str, path: Path) -> None:
        """Give a clip to an idle worker."""
        worker = next(w for w in self._workers if w.ready and w.clip_id is None)
        worker.clip_id, worker.path, worker.began = clip_id, path, time.monotonic()
        self.loading.add(clip_id)
        try:
            worker.connection.send_bytes(json.dumps({"clip": clip_id, "path": str(path)}).encode())
        except OSError:
            return  # It died just now: its sentinel tells, and the clip is reported then.

    def wake(self) -> None:
        """End the dispatcher's wait."""
        try:
            os.write(self._ring, b"!")
        except BlockingIOError:
            return  # It is rung already.
        except OSError:
            return  # Closed.

    def wait(self) -> list[Outcome]:
        """Sleep until a worker reports, dies or is late, or until woken; what became of clips meanwhile."""
        sources: list[Connection | int] = [self._bell]
        for worker in self._workers:
            sources += [worker.connection, worker.process.sentinel]
        due = [w.began + self._timeout_s for w in self._workers if w.clip_id is not None]
        until = max(0.0, min(due) - time.monotonic()) if due else None
        signalled = wait(sources, until)
        if self._bell in signalled:
            os.read(self._bell, 4096)
        outcomes = []
        for at, worker in enumerate(self._workers):
            outcomes += self._hear(worker)
            late = worker.clip_id is not None and time.monotonic() - worker.began >= self._timeout_s
            if late:
                worker.process.kill()
                worker.process.join(GRACE_S)
            if not worker.process.is_alive():
                outcomes += self._bury(worker, late)
                if self.broken is None:
                    self._workers[at] = self._start()
        if self.broken is not None:
            self._workers = [worker for worker in self._workers if worker.process.is_alive()]
        return outcomes

    def close(self) -> None:
        """End every worker."""
        for worker in self._workers:
            worker.connection.close()
        for worker in self._workers:
            worker.process.join(0.2)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join(GRACE_S)
        os.close(self._ring)
        os.close(self._bell)

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=work, args=(self._load, theirs), name="prefetch", daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _hear(self, worker: _Worker) -> list[Outcome]:
        """Everything a worker has said."""
        outcomes = []
        try:
            while worker.connection.poll():
                message = json.loads(worker.connection.recv_bytes())
                if "ready" in message:
                    worker.ready, self._unready = True, 0
                    continue
                clip_id, worker.clip_id = worker.clip_id, None
                if clip_id is not None:
                    outcomes.append(
                        Outcome(clip_id, worker.path, message.get("bytes", 0), message.get("error"))
                    )
        except (EOFError, OSError):
            worker.process.join(GRACE_S)  # Its end of the pipe is closed: it is about to be gone.
        return outcomes

    def _bury(self, worker: _Worker, late: bool) -> list[Outcome]:
        self.deaths += 1
        worker.connection.close()
        code = worker.process.exitcode
        if not worker.ready:
            self._unready += 1
            if self._unready >= STARTS:
                self.broken = (
                    f"{STARTS} of them ended with exit code {code} before they were ready; see their output"
                )
        if worker.clip_id is None:
            return []
        worker.path.with_suffix(".writing").unlink(missing_ok=True)
        error = (
            f"loading took longer than {self._timeout_s:g} s; its process was ended"
            if late
            else f"its loading process died with exit code {code}"
        )
        return [Outcome(worker.clip_id, worker.path, error=error)]
