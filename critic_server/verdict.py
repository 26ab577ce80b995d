"""What is asked of a grader and what it says.

Invariant: a verdict holds both grades and their total, or none of them and the status that says why; a failure
is never a low grade.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rewards.score import Status
from scenes.clip import ChainOfCausation


@dataclass(frozen=True)
class Question:
    """text: the policy's trace, untrusted; label: the reference; images: PNG files (front camera), or none."""

    text: str
    label: ChainOfCausation
    images: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """behaviour, causes, total: 0 to 5. expected: read as expected values off token probabilities. attempts:
    requests made for it (0: cached, or shared with the same question of the batch); tokens in and out; usd:
    None where the price is unknown; disagreement: largest minus smallest total of an ensemble; flags: what is
    suspicious about the trace."""

    status: Status
    explanation: str
    behaviour: float | None = None
    causes: float | None = None
    total: float | None = None
    attempts: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float | None = 0.0
    cached: bool = False
    expected: bool = False
    disagreement: float = 0.0
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        graded = self.status is Status.OK
        if any((part is not None) != graded for part in (self.behaviour, self.causes, self.total)):
            raise ValueError(
                f"verdict with status {self.status} and total {self.total}: grades and OK go together"
            )


class Grader(Protocol):
    """Rubric, judge or ensemble, as calibration and red team see them."""

    name: str

    def grade(
        self, questions: Sequence[Question], *, sample: int = 0, swapped: bool = False
    ) -> list[Verdict]:
        """One verdict a question, in order. sample: tells repeats apart, so that no cache answers them;
        swapped: the graded trace before the reference."""
        ...
