"""Requests and tokens a minute, shared by every process that uses one critic database.

A token bucket per judge and unit is one row: its level and when it was true. Taking more than there is makes a
debt and says how long to wait, so that callers queue in the order in which they asked, across processes.
Invariant: over any span of m minutes at most m · limit + one burst is let through. A burst is ten seconds'
worth, at least one request.
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass

from critic_server.database import transaction

BURST_MIN = 1 / 6


@dataclass(frozen=True)
class Limits:
    """Per minute; None is no limit."""

    requests: float | None = None
    tokens: float | None = None


class RateLimit:
    """The two buckets of one judge."""

    def __init__(self, connection: sqlite3.Connection, judge: str, limits: Limits) -> None:
        for unit, limit in (("rpm", limits.requests), ("tpm", limits.tokens)):
            if limit is not None and not limit > 0:
                raise ValueError(f"{unit} {limit} must be above 0; leave it out for no limit")
        self._connection, self._judge, self._limits = connection, judge, limits

    def take(self, tokens: int, now: float | None = None) -> float:
        """Book one request of about this many tokens; returns the seconds to wait before making it."""
        return self._book(1.0, float(tokens), time.time() if now is None else now)

    def give_back(self, requests: int, tokens: int, now: float | None = None) -> None:
        """Correct a booking: the request was not made, or it took fewer tokens (negative: more)."""
        self._book(-float(requests), -float(tokens), time.time() if now is None else now)

    def _book(self, requests: float, tokens: float, now: float) -> float:
        units = (("rpm", self._limits.requests, requests), ("tpm", self._limits.tokens, tokens))
        asked = [
            (f"{self._judge}/{unit}", limit, amount) for unit, limit, amount in units if limit is not None
        ]
        if not asked:
            return 0.0
        with transaction(self._connection):
            return max(self._one(name, limit, amount, now) for name, limit, amount in asked)

    def _one(self, name: str, limit: float, amount: float, now: float) -> float:
        most = max(limit * BURST_MIN, 1.0)
        row = self._connection.execute("SELECT level, at FROM buckets WHERE name = ?", (name,)).fetchone()
        level, at = row if row is not None else (most, now)
        # A wall clock may step back; the level then just stays.
        level = min(most, level + max(now - at, 0.0) * limit / 60) - amount
        self._connection.execute(
            "INSERT OR REPLACE INTO buckets VALUES (?, ?, ?)", (name, min(level, most), max(now, at))
        )
        return max(0.0, -level * 60 / limit)
