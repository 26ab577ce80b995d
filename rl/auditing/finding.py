"""A sign of reward hacking, with what it rests on and the rollouts to look at.

Invariant: a finding names numbers and rollouts; it accuses nobody. A person reads the texts and decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from rl.auditing.columns import AuditColumns

WITNESSES = 5


class Severity(StrEnum):
    """NOTICE: worth knowing, common in healthy runs. WARNING: look before you trust the curve. ALERT: a known
    signature of a reward that is being gamed."""

    NOTICE = "notice"
    WARNING = "warning"
    ALERT = "alert"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


@dataclass(frozen=True)
class Witness:
    """One rollout behind a finding."""

    step: int
    rollout_id: str
    clip_id: str
    text: str
    values: Mapping[str, float | None]


@dataclass(frozen=True)
class Finding:
    """sign: which test; what: one sentence; evidence: its numbers by name; rollouts: to look at."""

    sign: str
    severity: Severity
    what: str
    evidence: Mapping[str, float]
    rollouts: tuple[Witness, ...]

    def row(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "severity": self.severity.value}


def witnesses(
    columns: AuditColumns, rows: np.ndarray, order: np.ndarray | None = None
) -> tuple[Witness, ...]:
    """Up to five of the rows [N] bool, largest `order` [N] first, from different texts where there are some."""
    found = np.flatnonzero(rows)
    if order is not None:
        found = found[np.argsort(-order[found], kind="stable")]
    _, first = np.unique(columns.text[found], return_index=True)
    fresh = np.sort(first)[:WITNESSES]
    rest = np.setdiff1d(np.arange(len(found)), fresh)
    chosen = [*found[fresh], *found[rest]][:WITNESSES]
    return tuple(_witness(columns, int(row)) for row in chosen)


def _witness(columns: AuditColumns, row: int) -> Witness:
    values = {name: float(column[row]) for name, column in columns.values.items()}
    return Witness(
        step=int(columns.step[row]),
        rollout_id=columns.ids[row],
        clip_id=columns.clips[columns.clip[row]],
        text=columns.texts[columns.text[row]][:2000],
        values={name: value if np.isfinite(value) else None for name, value in values.items()},
    )
