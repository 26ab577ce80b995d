"""Labelled sets of traces: a policy's trace, the reference, and the grades that it should get.

File format: JSON Lines, one object a row: trace; reference {text, longitudinal, lateral, direction, causes};
behaviour and causes, the reference grades 0 to 5; kind, what was done to the trace; source, where the row comes
from. Shipped: "calibration", "canary", "red_team" (rows of the last also name the family of the attack in
`kind`, and hold the honest wrong trace of the same scene in `honest`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from critic_server.scale import total
from critic_server.verdict import Question
from scenes.clip import CausalFactor, ChainOfCausation
from scenes.decisions import Direction, FactorKind, Lateral, Longitudinal

SHIPPED = ("calibration", "canary", "red_team")


@dataclass(frozen=True)
class Row:
    """behaviour, causes: the grades that the trace should get; honest: see the module."""

    question: Question
    behaviour: float
    causes: float
    kind: str
    source: str
    honest: str = ""

    @property
    def total(self) -> float:
        """The grade that the trace should get, 0 to 5."""
        return total(self.behaviour, self.causes)


def read_labelled(name: str | Path) -> list[Row]:
    """A shipped set by name, or a file. ValueError names the line that is wrong; FileNotFoundError."""
    shipped = str(name) in SHIPPED
    source = files("critic_server") / "labelled" / f"{name}.jsonl" if shipped else Path(name)
    rows = []
    for number, line in enumerate(source.read_text(encoding="utf-8").splitlines(), 1):
        try:
            rows.append(_row(json.loads(line)))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{name}, line {number}: {type(error).__name__}: {error}") from error
    if not rows:
        raise ValueError(f"{name} holds no rows")
    return rows


def _row(found: Mapping[str, Any]) -> Row:
    label = reference_label(found["reference"])
    behaviour, causes = float(found["behaviour"]), float(found["causes"])
    total(behaviour, causes)
    question = Question(str(found["trace"]), label)
    honest = str(found.get("honest", ""))
    return Row(question, behaviour, causes, str(found["kind"]), str(found["source"]), honest)


def reference_label(found: Mapping[str, Any]) -> ChainOfCausation:
    """The label of a row's reference. ValueError or KeyError for unknown decisions or causes."""
    direction = found["direction"]
    return ChainOfCausation(
        str(found["text"]),
        Longitudinal(found["longitudinal"]),
        Lateral(found["lateral"]),
        Direction(direction) if direction else None,
        tuple(CausalFactor(FactorKind(kind), kind, "front_wide", 0, 0) for kind in found["causes"]),
    )
