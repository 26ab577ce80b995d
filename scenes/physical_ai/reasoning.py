"""Reasoning events: which moments of a clip have a Chain-of-Causation sentence.

Role: gives every event of every clip; whether a moment can be read is judged where the motion is known.
Invariant: an event that cannot be used is listed with its reason. Names of columns beside `events` are not
relied upon; the sentence is found under either name that releases gave it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from scenes.physical_ai.errors import DatasetError, InputError, MissingInputError
from scenes.physical_ai.files import Files
from scenes.physical_ai.layout import REASONING_FILE
from scenes.physical_ai.parquet import id_column, read_table

TEXT_KEYS = ("cot", "coc")
TIME_KEY = "event_start_timestamp"


@dataclass(frozen=True)
class Event:
    """One reasoning event. t0_us: its moment in the clip's clock; text: the sentence."""

    t0_us: int
    text: str


@dataclass
class Reasoning:
    """events: by clip, in order of time; problems: (clip, moment or None, reason) of what cannot be used."""

    events: dict[str, list[Event]] = field(default_factory=dict)
    problems: list[tuple[str, int | None, str]] = field(default_factory=list)


def read_reasoning(files: Files) -> Reasoning:
    """All events of a data set; none when it has no reasoning file. Raises DatasetError for a broken file."""
    try:
        with files.open(REASONING_FILE) as file:
            table = read_table(file, REASONING_FILE)
        ids = table[id_column(table.column_names, REASONING_FILE)].to_pylist()
    except MissingInputError:
        return Reasoning()
    except InputError as error:
        raise DatasetError(f"{files.name}: {error}") from error
    if "events" not in table.column_names:
        raise DatasetError(f"{REASONING_FILE} has no column events; it has {', '.join(table.column_names)}")
    found = Reasoning()
    for clip_id, value in zip(ids, table["events"].to_pylist(), strict=True):
        _collect(found, str(clip_id), value)
    for events in found.events.values():
        events.sort(key=lambda event: event.t0_us)
    return found


def _collect(found: Reasoning, clip_id: str, value: Any) -> None:
    try:
        events = json.loads(value) if isinstance(value, str | bytes) else value
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        found.problems.append((clip_id, None, f"its reasoning events are no JSON: {error}"))
        return
    if events is None:
        return
    if not isinstance(events, list):
        found.problems.append((clip_id, None, f"its reasoning events are a {type(events).__name__}, no list"))
        return
    kept = found.events.setdefault(clip_id, [])
    for number, entry in enumerate(events):
        problem, t0 = _problem(entry), None
        if problem is None:
            event = Event(int(entry[TIME_KEY]), _text(entry) or "")
            t0 = event.t0_us
            if all(other.t0_us != event.t0_us for other in kept):
                kept.append(event)
                continue
            problem = f"overlaps another event at {t0 / 1e6:.2f} s; the first counts"
        found.problems.append((clip_id, t0, f"reasoning event {number} {problem}"))


def _problem(entry: Any) -> str | None:
    """Why an entry is no event."""
    if not isinstance(entry, dict):
        return f"is a {type(entry).__name__}, no object"
    time = entry.get(TIME_KEY)
    if isinstance(time, bool) or not isinstance(time, int | float) or time != time or abs(time) > 2**52:
        return f"has no usable {TIME_KEY}: {time!r}"
    if _text(entry) is None:
        return f"has no sentence under {' or '.join(TEXT_KEYS)}"
    return None


def _text(entry: dict[str, Any]) -> str | None:
    for key in TEXT_KEYS:
        text = entry.get(key)
        if isinstance(text, str) and text.strip():
            return text.strip()
    return None
