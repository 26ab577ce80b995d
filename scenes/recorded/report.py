"""What became of every window of a recording.

Invariant: windows = accepted + left out + refused; nothing is dropped without being counted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class FileReport:
    """Counts of one file. accepted: clips that were or will be yielded; left_out: by the filter that left
    them out; refused: by reason; worst_m: largest position error of an accepted window; refused_m: of a
    refused one."""

    name: str
    windows: int = 0
    accepted: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    worst_m: float = 0.0
    refused_m: float = 0.0


@dataclass
class ReadReport:
    """One entry a file, in reading order; filled when the first clip of read_commonroad is asked for."""

    files: list[FileReport] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        """Clips of all files."""
        return sum(file.accepted for file in self.files)

    @property
    def worst_m(self) -> float:
        """Largest position error of any accepted clip, m."""
        return max((file.worst_m for file in self.files), default=0.0)

    def table(self) -> str:
        """A text table: file, windows, accepted, worst error, and what was refused or left out and why."""
        rows = [("file", "windows", "accepted", "worst error m", "refused or left out")]
        for file in self.files:
            reasons = [f"{count} {why}" for why, count in (file.refused + file.left_out).most_common()]
            if file.refused:
                reasons.append(f"worst refused error {file.refused_m:.2f} m")
            figures = (str(file.windows), str(file.accepted), f"{file.worst_m:.3f}")
            rows.append((file.name, *figures, "; ".join(reasons) or "none"))
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        return "\n".join(
            "  ".join((row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in (1, 2, 3)), row[4]))
            for row in rows
        )
