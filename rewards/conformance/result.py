"""How a check ends: passed, failed with the breach, or skipped with the reason.

Invariant: a check says that the contract is broken only by raising BreachError, and that it has nothing to
test only by raising NotApplicableError; both carry a sentence for the server's author.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class CheckResult:
    """reward: the one that was checked, "" for a check of the server; detail: what was seen, what is broken,
    or why the check was skipped; seconds: how long it took."""

    check: str
    reward: str
    outcome: Outcome
    detail: str
    seconds: float


class BreachError(Exception):
    """The server broke the contract; the text says how and what the contract asks for."""


class NotApplicableError(Exception):
    """There is nothing to check here; the text says why."""


def require(condition: bool, breach: str) -> None:
    """Raise BreachError with the text unless the condition holds."""
    if not condition:
        raise BreachError(breach)
