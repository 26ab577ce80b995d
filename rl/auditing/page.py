"""The report of an audit as one HTML file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rl.plain_page import Raw, grid, lines, page, table, text, tiles

COLOURS = {"notice": "muted", "warning": "warn", "alert": "bad"}


def audit_page(report: Mapping[str, Any]) -> str:
    """The whole document."""
    first, last = report["steps"]
    findings = report["findings"]
    counts = {name: sum(f["severity"] == name for f in findings) for name in ("alert", "warning", "notice")}
    sections: list[tuple[str, str]] = [
        ("", tiles({"rollouts": report["rollouts"], **{f"{k}s": v for k, v in counts.items()}}))
    ]
    if report["not_judged"]:
        sections.append(("Not judged", Raw(f'<div class="card warn">{text(report["not_judged"])}</div>')))
    for finding in findings:
        sections.append((finding["sign"], _finding(finding)))
    flagged = {finding["sign"] for finding in findings}
    rows = [
        {
            "sign": name,
            "result": report["skipped"].get(name) or ("found" if name in flagged else "nothing found"),
        }
        for name in report["signs"]
    ]
    if not report["not_judged"]:
        sections.append(("Signs", table(rows)))
    curves = grid([lines(name, {name: points}) for name, points in report["curves"].items()])
    sections.append(("Means by step", curves))
    return page(f"Reward audit: {report['run']}", f"steps {first} to {last}", sections)


def _finding(finding: Mapping[str, Any]) -> Raw:
    head = (
        f'<p><b class="{COLOURS[finding["severity"]]}">{finding["severity"]}</b> {text(finding["what"])}</p>'
    )
    evidence = table([dict(finding["evidence"])])
    rows = [
        {
            "step": rollout["step"],
            "rollout": rollout["rollout_id"],
            "clip": rollout["clip_id"],
            "text": rollout["text"],
            **rollout["values"],
        }
        for rollout in finding["rollouts"]
    ]
    return Raw(head + evidence + table(rows))
