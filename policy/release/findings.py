"""What is wrong, or merely worth knowing, with a checkpoint: one sentence each, with the fix in it.

Role: the common currency of reading, checking and converting. Invariant: an error means that a loader would
fail or, worse, go on with wrong numbers; a warning never does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SHOWN = 8


class CheckpointError(ValueError):
    """A checkpoint that cannot be used as it is; the message names tensor, key or file, and the fix."""


@dataclass(frozen=True)
class Finding:
    """One thing found. kind: short noun such as "missing tensor"; subject: the tensor, file or key it is about."""

    kind: str
    subject: str
    message: str
    error: bool = True

    def line(self) -> str:
        """One readable line."""
        return f"{self.kind}: {self.subject}: {self.message}"


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that forbid use."""
    return [finding for finding in findings if finding.error]


def refuse(findings: Iterable[Finding], what: str) -> None:
    """Raise CheckpointError when any finding is an error; the first few are spelt out."""
    found = errors(findings)
    if not found:
        return
    more = f"\n  … and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    lines = "\n  ".join(finding.line() for finding in found[:SHOWN])
    raise CheckpointError(f"{what} has {len(found)} errors:\n  {lines}{more}")
