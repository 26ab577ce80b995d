"""What became of every clip of a data set, moment by moment.

Invariant: a clip of the index is in the report at least once; nothing is dropped without a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["read", "noted", "refused"]


@dataclass(frozen=True)
class Entry:
    """clip_id: of the data set; t0_s: moment in the clip's clock, None for the clip as a whole; status: "read"
    for a clip that was given, "noted" for something odd about one that was, "refused"; reason: why, or for
    "read" nothing; error_m: largest distance of the fitted motion from the recorded one, where it was fitted."""

    clip_id: str
    t0_s: float | None
    status: Status
    reason: str = ""
    error_m: float | None = None


@dataclass
class ReadReport:
    """entries: in reading order."""

    entries: list[Entry] = field(default_factory=list)

    def add(
        self, clip_id: str, t0_us: int | None, status: Status, reason: str = "", error_m: float | None = None
    ) -> None:
        """Add one entry; t0_us: moment in microseconds, or None."""
        t0_s = None if t0_us is None else t0_us / 1e6
        self.entries.append(Entry(clip_id, t0_s, status, reason, error_m))

    @property
    def read(self) -> int:
        """Clips that were given."""
        return sum(entry.status == "read" for entry in self.entries)

    @property
    def refused(self) -> int:
        """Clips or moments that were not."""
        return sum(entry.status == "refused" for entry in self.entries)

    @property
    def worst_m(self) -> float:
        """Largest position error of any clip that was given, m."""
        errors = [e.error_m for e in self.entries if e.status == "read" and e.error_m is not None]
        return max(errors, default=0.0)

    def reasons(self) -> Counter[str]:
        """How often each reason occurs, with what differs from clip to clip (numbers, ids) left out."""
        return Counter(_kind(entry) for entry in self.entries if entry.status != "read")

    def lines(self) -> Iterable[str]:
        """One line for every clip that was refused or noted."""
        for entry in self.entries:
            if entry.status != "read":
                moment = "" if entry.t0_s is None else f" at {entry.t0_s:.2f} s"
                error = "" if entry.error_m is None else f" ({entry.error_m:.2f} m)"
                yield f"{entry.status}: {entry.clip_id or '(no clip)'}{moment}: {entry.reason}{error}"

    def as_json(self) -> list[dict[str, Any]]:
        """Entries as plain objects."""
        return [asdict(entry) for entry in self.entries]

    @classmethod
    def from_json(cls, entries: list[dict[str, Any]]) -> ReadReport:
        """A report that was stored. Raises TypeError for foreign entries."""
        return cls([Entry(**entry) for entry in entries])


def _kind(entry: Entry) -> str:
    words = entry.reason.replace(entry.clip_id, "*") if entry.clip_id else entry.reason
    return f"{entry.status}: " + " ".join(
        "#" if any(c.isdigit() for c in word) else word for word in words.split()
    )
