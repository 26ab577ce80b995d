"""What changes while a run lives: its phase, its events, its facts.

Role: `run.sqlite`, the small mutable companion of the append-only ledger.
Invariant: the job writes, everybody else opens read-only; WAL lets both happen at once.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from rl.run_directory import RunDirectory

BUSY_TIMEOUT_S = 10.0
_TABLES = """
CREATE TABLE IF NOT EXISTS state (
  id INTEGER PRIMARY KEY CHECK (id = 1), phase TEXT NOT NULL, step INTEGER NOT NULL, total INTEGER,
  message TEXT NOT NULL, updated REAL NOT NULL);
CREATE TABLE IF NOT EXISTS events (
  id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Phase(StrEnum):
    """Where a run stands."""

    STARTING = "starting"
    TRAINING = "training"
    PAUSED = "paused"
    EVALUATING = "evaluating"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"


class EventKind(StrEnum):
    """What an event is: news, something to look at, something broken, or a person's note."""

    INFO = "info"
    WARNING = "warning"
    ALERT = "alert"
    NOTE = "note"


@dataclass(frozen=True)
class RunState:
    """step of total optimiser batches (total None: not known); updated: Unix time of the last write, s."""

    phase: Phase
    step: int
    total: int | None
    message: str
    updated: float


@dataclass(frozen=True)
class RunEvent:
    """One line of the run's diary. time: Unix time, s."""

    time: float
    kind: EventKind
    text: str


class RunRegistry:
    """The state, events and facts of one run.

    The job opens it for writing, `RunRegistry(run_dir)`; readers with `read_only=True`, which never creates
    the file and raises FileNotFoundError when there is none. Facts are JSON values by name, such as
    `clip_stores` (paths of the clip stores that the run draws from) and `versions`.
    """

    def __init__(self, run_dir: Path | str, read_only: bool = False) -> None:
        self.path = RunDirectory(Path(run_dir)).registry
        self.read_only = read_only
        if read_only and not self.path.is_file():
            raise FileNotFoundError(f"{self.path} is absent: the run has not started writing, or is no run")
        if not read_only:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._connected() as connection:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.executescript(_TABLES)

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        if self.read_only:
            connection = sqlite3.connect(
                f"{self.path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S
            )
        else:
            connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S)
        try:
            with connection:
                yield connection
        finally:
            connection.close()

    def set_state(self, phase: Phase, step: int, total: int | None, message: str = "") -> None:
        """Replace the state; `updated` becomes now."""
        with self._connected() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO state VALUES (1, ?, ?, ?, ?, ?)",
                (Phase(phase).value, step, total, message, time.time()),
            )

    def state(self) -> RunState | None:
        """The last state written, None before the first."""
        with self._connected() as connection:
            row = connection.execute("SELECT phase, step, total, message, updated FROM state").fetchone()
        return None if row is None else RunState(Phase(row[0]), *row[1:])

    def add_event(self, kind: EventKind, text: str) -> None:
        """Append one event, stamped now."""
        with self._connected() as connection:
            connection.execute(
                "INSERT INTO events (time, kind, text) VALUES (?, ?, ?)",
                (time.time(), EventKind(kind).value, text),
            )

    def events(self, limit: int = 200) -> list[RunEvent]:
        """The newest `limit` events, newest first."""
        with self._connected() as connection:
            rows = connection.execute(
                "SELECT time, kind, text FROM events ORDER BY id DESC LIMIT ?", (limit,)
            ).fetchall()
        return [RunEvent(row[0], EventKind(row[1]), row[2]) for row in rows]

    def set_fact(self, name: str, value: Any) -> None:
        """Record a JSON value under a name, replacing what was there."""
        with self._connected() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value, sort_keys=True))
            )

    def facts(self) -> dict[str, Any]:
        """All facts by name."""
        with self._connected() as connection:
            rows = connection.execute("SELECT name, value FROM facts ORDER BY name").fetchall()
        return {name: json.loads(value) for name, value in rows}
