"""Has the judge changed? A frozen set, graded afresh every k batches and compared with its first grades.

Role: an endpoint may swap its model or its sampling behind the same name, and every reward of a run would shift
with it. Invariant: the canary never answers from the cache and never fills it; a judge that cannot be asked
gives no drift instead of a drift of 0.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING

from critic_server.labelled_set import read_labelled
from critic_server.verdict import Verdict

if TYPE_CHECKING:
    from critic_server.panel import Panel

log = logging.getLogger("ar1.critic")
ALARM = 0.5


class Canary:
    """Counts batches of one panel. drift: mean absolute change of the total (0 to 5) against the first time
    that this panel graded the set with this database; None until it was measured twice."""

    def __init__(self, panel: Panel, every: int) -> None:
        """every: batches between two measurements, from 1; 0 never measures."""
        if every < 0:
            raise ValueError(f"canary_every {every} must be from 0 (0: never)")
        self._panel, self._every, self._batches = panel, every, 0
        self.drift: float | None = None
        self._questions = [row.question for row in read_labelled("canary")] if every else []

    def due(self) -> bool:
        """Count a batch; whether the set is to be graded with it (with the first, then every k-th)."""
        self._batches += 1
        return self._every > 0 and (self._batches - 1) % self._every == 0

    async def measure(self) -> None:
        """Grade the set afresh and update `drift`."""
        verdicts = await self._panel.ask(self._questions, fresh=True)
        self.drift = self._compare(self._panel.connection, self._panel.name, verdicts)

    def metrics(self) -> dict[str, float]:
        """batches, and drift once it is known."""
        known = {} if self.drift is None else {"drift": self.drift}
        return {"batches": float(self._batches), **known}

    def _compare(
        self, connection: sqlite3.Connection, grader: str, verdicts: Sequence[Verdict]
    ) -> float | None:
        totals = {row: v.total for row, v in enumerate(verdicts) if v.total is not None}
        if len(totals) < len(verdicts) / 2:
            log.warning("canary: only %d of %d were graded; drift unknown", len(totals), len(verdicts))
            return self.drift
        found = connection.execute("SELECT row, total FROM canary WHERE grader = ?", (grader,)).fetchall()
        first = dict(found)
        connection.executemany(
            "INSERT OR IGNORE INTO canary VALUES (?, ?, ?)",
            [(grader, row, total) for row, total in totals.items()],
        )
        both = [abs(total - first[row]) for row, total in totals.items() if row in first]
        if not both:
            log.info("canary: first grades of %s kept, %d traces", grader, len(totals))
            return None
        drift = sum(both) / len(both)
        level = logging.WARNING if drift > ALARM else logging.INFO
        log.log(level, "canary: %s drifts by %.3f of 5 on %d frozen traces", grader, drift, len(both))
        return drift
