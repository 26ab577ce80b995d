"""What judges cost, and the stop before they cost too much.

Invariants: a request's most likely worst cost is booked before it is made and corrected by what it used, so
that processes asking at once cannot pass the limit together by more than the estimate's error; a request whose
end nobody saw stays booked, because it may have been billed. The sum is over the life of the critic's database:
a restart is no fresh allowance.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from critic_server.database import transaction

PER = 1e6


class BudgetError(RuntimeError):
    """The next request could pass the limit; it was not made."""


@dataclass(frozen=True)
class Price:
    """USD per million tokens."""

    input: float
    output: float
    cached_input: float

    def cost(self, prompt: int, completion: int, cached: int = 0) -> float:
        """USD of a request. cached: how many of the prompt's tokens the service had cached."""
        fresh = max(prompt - cached, 0)
        return (fresh * self.input + cached * self.cached_input + completion * self.output) / PER


FREE = Price(0.0, 0.0, 0.0)


def read_prices(path: str | Path | None) -> dict[str, Price]:
    """Prices by model name from YAML; the shipped table without a path. ValueError names a bad entry."""
    source = Path(path) if path is not None else files("critic_server") / "prices.yaml"
    found = yaml.safe_load(source.read_text(encoding="utf-8")) or {}
    if not isinstance(found, dict):
        raise ValueError(f"{source}: a price table is a mapping of model names")
    return {str(model): _price(source, str(model), entry) for model, entry in found.items()}


def _price(source: Any, model: str, entry: Any) -> Price:
    if entry is None:
        return FREE
    known = {"input", "output", "cached_input"}
    if not isinstance(entry, Mapping) or not {"input", "output"} <= entry.keys() <= known:
        raise ValueError(f"{source}: {model} needs input and output (and may have cached_input), or null")
    values = {name: entry[name] for name in entry}
    if any(isinstance(v, bool) or not isinstance(v, int | float) or not v >= 0 for v in values.values()):
        raise ValueError(f"{source}: {model}: prices are numbers from 0, USD per million tokens")
    return Price(
        float(values["input"]), float(values["output"]), float(values.get("cached_input", values["input"]))
    )


class Spending:
    """Counters of one judge in the critic's database, and the limit on the sum of all judges' USD."""

    def __init__(
        self, connection: sqlite3.Connection, judge: str, price: Price | None, max_usd: float | None
    ) -> None:
        if max_usd is not None and not max_usd >= 0:
            raise ValueError(f"max_usd {max_usd} must be from 0; leave it out for no limit")
        if max_usd is not None and price is None:
            raise ValueError(
                f"max_usd cannot be held: no price is known for {judge!r}. Add it to a price table "
                "(prices: FILE.yaml), with null for a local model"
            )
        self._connection, self._judge, self.price, self._max_usd = connection, judge, price, max_usd

    def book(self, prompt: int, completion: int) -> float:
        """Book a request before it is made; returns the USD booked. BudgetError past the limit."""
        usd = 0.0 if self.price is None else self.price.cost(prompt, completion)
        with transaction(self._connection):
            spent = spent_usd(self._connection)
            if self._max_usd is not None and usd > 0 and spent + usd > self._max_usd:
                raise BudgetError(
                    f"max_usd: {spent:.6f} of {self._max_usd:g} USD are spent and this request may cost "
                    f"{usd:.6f}; raise --max-usd to go on"
                )
            self._add({"usd": usd})
        return usd

    def settle(self, booked: float, prompt: int, completion: int, cached: int) -> float | None:
        """Correct a booking by what was used; returns its cost, None where the price is unknown."""
        usd = None if self.price is None else self.price.cost(prompt, completion, cached)
        counts = {"requests": 1, "prompt_tokens": prompt, "completion_tokens": completion}
        self.count(counts | {"usd": (usd or 0.0) - booked})
        return usd

    def cancel(self, booked: float) -> None:
        """Undo a booking: the service refused or failed before it answered."""
        self.count({"requests": 1, "faults": 1, "usd": -booked})

    def count(self, changes: Mapping[str, float]) -> None:
        """Add to the judge's counters."""
        with transaction(self._connection):
            self._add(changes)

    def _add(self, changes: Mapping[str, float]) -> None:
        self._connection.executemany(
            "INSERT INTO counters VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value",
            [(self._judge, name, float(value)) for name, value in changes.items() if value],
        )


def spent_usd(connection: sqlite3.Connection) -> float:
    """USD booked and billed over the life of the database, all judges."""
    row = connection.execute("SELECT total(value) FROM counters WHERE name = 'usd'").fetchone()
    return max(float(row[0]), 0.0)


def counters(connection: sqlite3.Connection) -> dict[str, dict[str, float]]:
    """{judge: {requests, faults, hits, shared, repairs, prompt_tokens, completion_tokens, usd}} so far."""
    found: dict[str, dict[str, float]] = {}
    for judge, name, value in connection.execute(
        "SELECT judge, name, value FROM counters ORDER BY judge, name"
    ):
        found.setdefault(judge, {})[name] = value
    return found
