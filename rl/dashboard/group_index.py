"""One row a group over a whole run, to list, filter and sort groups without reading rollouts again.

Invariant: parts never change, so each is read once and remembered; a resumed run that moved parts aside is
noticed and read anew.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from rl.ledger import LedgerReader, parts

PART_BATCH = 64

_SUMMARIES = """
WITH rollouts AS (SELECT * FROM ledger),
scores AS (SELECT step, group_id, unnest(scores) AS s FROM rollouts),
rewards AS (
  SELECT step, group_id, s.reward AS reward, avg(s.value) AS mean, stddev_pop(s.value) AS std,
         count(*) - count(s.value) AS missing
  FROM scores GROUP BY ALL),
by_group AS (
  SELECT step, group_id, sum(missing)::BIGINT AS missing,
         list({'reward': reward, 'mean': mean, 'std': std, 'missing': missing} ORDER BY reward) AS rewards
  FROM rewards GROUP BY ALL)
SELECT step, group_id, any_value(clip_id) AS clip_id, any_value(version) AS version,
       any_value(group_fate) AS fate, any_value(group_fate_reason) AS fate_reason,
       any_value(disagreement) AS disagreement, count(rollout_id) AS size,
       avg(total) AS total, stddev_pop(total) AS std, max(total) - min(total) AS spread,
       list(total ORDER BY index) FILTER (rollout_id IS NOT NULL) AS totals,
       count(*) FILTER (NOT valid) AS invalid, avg(len(token_ids)) AS length,
       coalesce(any_value(by_group.missing), 0) AS missing,
       any_value(by_group.rewards) AS rewards
FROM rollouts LEFT JOIN by_group USING (step, group_id) GROUP BY ALL ORDER BY step, group_id
"""

SORTS = ("step", "total", "std", "spread", "disagreement", "missing", "invalid", "length")


@dataclass(frozen=True)
class GroupQuery:
    """Which groups, and in which order. sort: one of SORTS, or "reward:<name>" (its mean) or
    "std:<name>" (its spread); fate, step, clip: only those."""

    sort: str = "step"
    descending: bool = True
    fate: str | None = None
    step: int | None = None
    clip: str | None = None
    only_missing: bool = False

    def where(self) -> tuple[str, list[Any]]:
        """SQL condition and its parameters."""
        conditions, values = ["true"], []
        for column, wanted in (("fate", self.fate), ("step", self.step), ("clip_id", self.clip)):
            if wanted is not None:
                conditions.append(f"{column} = ?")
                values.append(wanted)
        if self.only_missing:
            conditions.append("missing + invalid > 0")
        return " AND ".join(conditions), values

    def order(self) -> tuple[str, list[Any]]:
        """SQL order, complete so that neighbours are stable. Raises ValueError for an unknown sort."""
        way = "DESC" if self.descending else "ASC"
        kind, _, reward = self.sort.partition(":")
        if reward and kind in ("reward", "std"):
            field = "mean" if kind == "reward" else "std"
            key = f"list_filter(rewards, lambda r: r.reward = ?)[1].{field}"
            return f"{key} {way} NULLS LAST, step DESC, group_id", [reward]
        if self.sort not in SORTS:
            raise ValueError(
                f"cannot sort groups by {self.sort!r}; use {', '.join(SORTS)}, reward:<name>, std:<name>"
            )
        return f"{self.sort} {way} NULLS LAST, step DESC, group_id", []


class GroupIndex:
    """Summaries of the groups of a run, refreshed at each call with the parts that are new."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self._known: dict[int, tuple[int, int]] = {}
        self._duckdb = duckdb.connect(":memory:")
        self._lock = threading.Lock()

    def page(self, query: GroupQuery, offset: int, limit: int) -> dict[str, Any]:
        """{"count": groups that match, "groups": rows offset … offset+limit}."""
        condition, values = query.where()
        order, keys = query.order()
        if not self._refreshed():
            return {"count": 0, "groups": []}
        with self._duckdb.cursor() as cursor:
            counted = cursor.execute(f"SELECT count(*) FROM summaries WHERE {condition}", values).fetchall()
            rows: pa.Table = cursor.sql(
                f"SELECT * FROM summaries WHERE {condition} ORDER BY {order} LIMIT ? OFFSET ?",
                params=[*values, *keys, limit, offset],
            ).to_arrow_table()
        return {"count": counted[0][0], "groups": rows.to_pylist()}

    def neighbours(self, query: GroupQuery, step: int, group_id: str) -> dict[str, Any]:
        """Place of a group in a query's order: {"position": 0-based or None, "count", "previous", "next"},
        the last two {step, group_id} or None."""
        condition, values = query.where()
        order, keys = query.order()
        empty = {"position": None, "count": 0, "previous": None, "next": None}
        if not self._refreshed():
            return empty
        with self._duckdb.cursor() as cursor:
            found = cursor.execute(
                "WITH ranked AS (SELECT step, group_id, row_number() OVER w - 1 AS position, "
                "lag({'step': step, 'group_id': group_id}) OVER w AS previous, "
                "lead({'step': step, 'group_id': group_id}) OVER w AS next, count(*) OVER () AS count "
                f"FROM summaries WHERE {condition} WINDOW w AS (ORDER BY {order})) "
                "SELECT position, count, previous, next FROM ranked WHERE step = ? AND group_id = ?",
                [*keys, *values, step, group_id],
            ).fetchone()
        return empty if found is None else dict(zip(empty, found, strict=True))

    def same_clip(self, clip_id: str) -> list[dict[str, Any]]:
        """Groups of one clip over the run, by step: {step, group_id, total, fate}."""
        rows = self.page(GroupQuery(sort="step", descending=False, clip=clip_id), 0, 500)["groups"]
        return [{key: row[key] for key in ("step", "group_id", "total", "fate")} for row in rows]

    def _refreshed(self) -> bool:
        """Bring the table `summaries` up to date; False while the run has no parts."""
        with self._lock:
            now = {step: _stamp(path) for step, path in parts(self.run_dir).items()}
            if any(now.get(step) != stamp for step, stamp in self._known.items()):
                self._known = {}
            if not self._known:
                self._duckdb.execute("DROP TABLE IF EXISTS summaries")
            fresh = [step for step in now if step not in self._known]
            for start in range(0, len(fresh), PART_BATCH):
                batch = fresh[start : start + PART_BATCH]
                self._duckdb.register("fresh", LedgerReader(self.run_dir).query(_SUMMARIES, steps=batch))
                self._duckdb.execute("CREATE TABLE IF NOT EXISTS summaries AS FROM fresh LIMIT 0")
                self._duckdb.execute("INSERT INTO summaries FROM fresh")
                self._duckdb.unregister("fresh")
                self._known |= {step: now[step] for step in batch}
            return bool(self._known)


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns
