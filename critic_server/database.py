"""One SQLite file for everything that the critic's processes share: answers, counters, rate limits, canary.

Role: a reward server scores in several processes, is restarted, and runs beside others; what they must agree
on (what was answered, spent and asked this minute) lives in one file in WAL mode, every change in one
transaction. Without a path it lives in memory and is one process's own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BUSY_S = 10.0
TABLES = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, judge TEXT NOT NULL, prompt TEXT NOT NULL, created REAL NOT NULL,
    behaviour REAL NOT NULL, causes REAL NOT NULL, expected INTEGER NOT NULL, explanation TEXT NOT NULL,
    raw TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, usd REAL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counters (
    judge TEXT NOT NULL, name TEXT NOT NULL, value REAL NOT NULL, PRIMARY KEY (judge, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, level REAL NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS canary (
    grader TEXT NOT NULL, row INTEGER NOT NULL, total REAL NOT NULL, PRIMARY KEY (grader, row)
) WITHOUT ROWID;
"""


def open_database(path: str | Path | None) -> sqlite3.Connection:
    """The database, made where it is missing; autocommit, so use `transaction` for more than one statement.

    Raises ValueError when the file is something else than a critic's database."""
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(":memory:" if path is None else path, timeout=BUSY_S, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.executescript(TABLES)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise ValueError(
            f"{path} is no usable critic cache ({error}); name another file or delete it"
        ) from error
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All or nothing, alone among writers; waits up to BUSY_S for others."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
