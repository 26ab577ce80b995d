"""Which groups a report shows.

Invariant: chosen by stated rules from the whole run, never by hand, so that two reports compare.
"""

from __future__ import annotations

from typing import Any

from rl.dashboard.group_index import GroupQuery
from rl.dashboard.run_view import RunView

PAIRS = 3
EVERY_GROUP = 1_000_000


def choose_groups(view: RunView) -> list[dict[str, Any]]:
    """Groups worth a look, by rule: [{title, note, groups [(step, group_id)]}].

    The first clips, by first appearance, that the run saw in its first and again in its last third; then among
    the last fifth of the steps the highest, the lowest and the most spread mean total, over the whole run the
    largest disagreement and the most missing scores.
    """
    rows = view.index.page(GroupQuery(sort="step", descending=False), 0, EVERY_GROUP)["groups"]
    rows = [row for row in rows if row["total"] is not None]
    if not rows:
        return []
    first, last = rows[0]["step"], rows[-1]["step"]
    span = max(last - first, 1)
    early = [row for row in rows if row["step"] <= first + span / 3]
    late = {row["clip_id"]: row for row in rows if row["step"] > last - span / 3}
    chosen: list[dict[str, Any]] = []
    before = {row["clip_id"]: row for row in reversed(early)}
    for row in early:
        clip = row["clip_id"]
        if len(chosen) < PAIRS and clip in late and before[clip] is row and late[clip] is not row:
            note = f"step {row['step']} and step {late[clip]['step']}, the same clip"
            chosen.append(_entry(f"Then and now: {clip}", note, row, late[clip]))
    recent = [row for row in rows if row["step"] > last - span / 5] or rows
    known = [row for row in rows if row["disagreement"] is not None]
    missing = max(rows, key=lambda row: row["missing"])
    chosen.append(_entry("Best", "highest mean total, last fifth", max(recent, key=lambda r: r["total"])))
    chosen.append(_entry("Worst", "lowest mean total, last fifth", min(recent, key=lambda r: r["total"])))
    chosen.append(_entry("Widest", "most spread totals, last fifth", max(recent, key=lambda r: r["std"])))
    if known:
        widest = max(known, key=lambda row: row["disagreement"])
        chosen.append(_entry("Disagreement", "largest disagreement of the run", widest))
    if missing["missing"]:
        chosen.append(_entry("Missing", "most missing scores of the run", missing))
    return chosen


def _entry(title: str, note: str, *rows: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "note": note, "groups": [(row["step"], row["group_id"]) for row in rows]}
