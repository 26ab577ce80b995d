"""Tasks over killable processes, results in order.

Role: what a pool of the standard library does not do: a task that hangs, or takes its process with it, ends the
run with an error that names it, and no process outlives the call.
Invariant: results come in the order of the tasks, so that sums over them are the same in every run; at most
`AHEAD` tasks a process are unfinished or waiting to be taken.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext
from typing import Any, TypeVar

from rewards.batch import Guard, blame

AHEAD = 3
"""Enough that a fast process is not idle while a slow one holds up the order."""
EXIT_S = 5.0

T = TypeVar("T")
R = TypeVar("R")


class _Process:
    """One process and the task that it works on."""

    def __init__(self, context: SpawnContext, make: Callable[[], Callable[[Any], Any]]) -> None:
        self.pipe, child = context.Pipe()
        self._process = context.Process(target=_serve, args=(child, make), daemon=True)
        self._process.start()
        child.close()
        self.index: int | None = None
        self.end = 0.0

    def give(self, index: int, task: object, deadline_s: float) -> None:
        self.index, self.end = index, time.monotonic() + deadline_s
        with suppress(BrokenPipeError, ConnectionResetError):  # it died while idle: `take` will say so
            self.pipe.send(task)

    def take(self, what: str) -> Any:
        """The task's result; raises what the task raised, ChildProcessError when its process died."""
        try:
            result, error = self.pipe.recv()
        except (EOFError, ConnectionResetError) as lost:
            self._process.join(EXIT_S)
            code = self._process.exitcode
            raise ChildProcessError(
                f"the process working on {what} died (exit {code}); a reward took it along or memory ran out"
            ) from lost
        self.index = None
        if error is not None:
            raise error
        return result

    def stop(self) -> None:
        self._process.kill()
        self._process.join(EXIT_S)
        self.pipe.close()


def run_tasks(
    make: Callable[[], Callable[[T], R]],
    tasks: Sequence[T],
    processes: int,
    deadline_s: float,
    name: Callable[[T], str],
) -> Iterator[R]:
    """Yield `make()(task)` of each task, in order. make: called once in each process; it, the tasks and the
    results are pickled between these processes alone.

    Raises what a task raises, TimeoutError for a task that takes longer than deadline_s (the first of a process
    includes its start), ChildProcessError for one whose process died; `name` says which."""
    context = multiprocessing.get_context("spawn")
    workers = [_Process(context, make) for _ in range(min(processes, len(tasks)))]
    done: dict[int, R] = {}
    given = taken = 0
    try:
        while taken < len(tasks):
            for worker in workers:
                if worker.index is None and given < min(len(tasks), taken + AHEAD * len(workers)):
                    worker.give(given, tasks[given], deadline_s)
                    given += 1
            busy = {worker.pipe: worker for worker in workers if worker.index is not None}
            first = min(busy.values(), key=lambda worker: worker.end)
            ready = wait(list(busy), max(first.end - time.monotonic(), 0.0))
            if not ready:
                late = name(tasks[first.index or 0])
                raise TimeoutError(
                    f"{late} was not done within {deadline_s:g} s; raise --deadline, or mend it"
                )
            for pipe in ready:
                worker = busy[pipe]  # type: ignore[index]
                index = worker.index
                assert index is not None
                done[index] = worker.take(name(tasks[index]))
            while taken in done:
                yield done.pop(taken)
                taken += 1
    finally:
        for worker in workers:
            worker.stop()


def _serve(pipe: Connection, make: Callable[[], Callable[[Any], Any]]) -> None:
    """Answer tasks with (result, None) or (None, what was raised) until the pipe closes or the parent kills."""
    guard = Guard()
    made: list[Callable[[Any], Any]] = []

    def call(task: Any) -> Any:
        if not made:
            made.append(make())
        return made[0](task)

    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        result, error = guard.call(partial(call, task))
        pipe.send((result, None if error is None else _portable(error)))


def _portable(error: BaseException) -> Exception:
    """An error that any process can unpickle: the nearest plain kind, with what it said and where."""
    for kind in (TimeoutError, FileNotFoundError, LookupError, ValueError, OSError):
        if isinstance(error, kind):
            return kind(str(error.args[0]) if error.args else type(error).__name__)
    return RuntimeError(blame(error))
