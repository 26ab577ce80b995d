"""Requests to change a running job's rewards: asked by commands, answered by the job.

Role: one table of `run.sqlite`, the one place that somebody else than the job writes to.
Invariants: requests are answered in the order in which they were asked; an answer (applied at a step, or refused
with the reason) is never changed, but for a resumed job, which applies what came after its checkpoint again at the
same steps.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rl.reward_plan import RewardChange
from rl.run_directory import RunDirectory
from rl.run_registry import BUSY_TIMEOUT_S

_TABLE = """
CREATE TABLE IF NOT EXISTS reward_requests (
  id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, change TEXT NOT NULL, step INTEGER, refused TEXT);
"""


@dataclass(frozen=True)
class RewardRequest:
    """step: the first one it counted in, None while open or refused; refused: the reason, or None."""

    id: int
    time: float
    change: RewardChange
    step: int | None = None
    refused: str | None = None

    @property
    def open(self) -> bool:
        """Whether the job has not answered yet."""
        return self.step is None and self.refused is None


class RewardRequests:
    """The requests of one run. Raises FileNotFoundError for a run that has not started writing."""

    def __init__(self, run_dir: Path | str) -> None:
        self.path = RunDirectory(Path(run_dir)).registry
        if not self.path.is_file():
            raise FileNotFoundError(f"{self.path} is absent: the run has not started, or is no run")
        with self._connected() as connection:
            connection.executescript(_TABLE)

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S)
        try:
            with connection:
                yield connection
        finally:
            connection.close()

    def ask(self, change: RewardChange) -> int:
        """Append a request; returns its id."""
        with self._connected() as connection:
            row = (time.time(), json.dumps(change.to_json(), sort_keys=True))
            cursor = connection.execute("INSERT INTO reward_requests (time, change) VALUES (?, ?)", row)
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def all(self) -> list[RewardRequest]:
        """Every request, oldest first."""
        with self._connected() as connection:
            rows = connection.execute(
                "SELECT id, time, change, step, refused FROM reward_requests ORDER BY id"
            ).fetchall()
        return [RewardRequest(r[0], r[1], RewardChange.from_json(json.loads(r[2])), r[3], r[4]) for r in rows]

    def due(self, step: int) -> list[RewardRequest]:
        """What counts from `step` on: open requests, and, in a resumed job, those that were applied at it."""
        return [request for request in self.all() if request.open or request.step == step]

    def applied(self, request: RewardRequest, step: int) -> None:
        """Answer: in force from `step` on."""
        self._answer(request, step, None)

    def refuse(self, request: RewardRequest, reason: str) -> None:
        """Answer: not applied, and why."""
        self._answer(request, None, reason)

    def _answer(self, request: RewardRequest, step: int | None, refused: str | None) -> None:
        with self._connected() as connection:
            connection.execute(
                "UPDATE reward_requests SET step = ?, refused = ? WHERE id = ?", (step, refused, request.id)
            )
