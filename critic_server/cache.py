"""Answers that were paid for once are never paid for again.

Invariant: the key covers everything that may change an answer (model, sampling parameters, prompt wording,
schema, texts, image contents, repeat number); only answers that were read are kept, never failures.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from critic_server.answer import Answer
from critic_server.scale import total
from critic_server.verdict import Verdict
from rewards.score import Status


def answer_key(request: Mapping[str, Any], sample: int) -> str:
    """sha256 over a request's fields in canonical JSON, every image by its own sha256. sample: number of the
    repeat, where a question is to be asked more than once."""
    packed = json.dumps({"request": _hashed(request), "sample": sample}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(packed.encode()).hexdigest()


def _hashed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _hashed(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_hashed(part) for part in value]
    if isinstance(value, str) and value.startswith("data:image/"):
        return "image:" + hashlib.sha256(value.encode()).hexdigest()
    return value


class AnswerCache:
    """Answers by key, in the critic's database."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, key: str) -> Verdict | None:
        """The verdict as it was given, marked cached and free of charge; None where there is none."""
        row = self._connection.execute(
            "SELECT behaviour, causes, expected, explanation FROM answers WHERE key = ?", (key,)
        ).fetchone()
        if row is None:
            return None
        behaviour, causes, expected, explanation = row
        grade = total(behaviour, causes)
        return Verdict(Status.OK, explanation, behaviour, causes, grade, cached=True, expected=bool(expected))

    def put(
        self,
        key: str,
        judge: str,
        prompt: str,
        answer: Answer,
        raw: str,
        usage: tuple[int, int, float | None],
    ) -> None:
        """Keep an answer; the first one stays where two processes asked at once.

        raw: the message as it came; usage: tokens in, tokens out, USD (None: price unknown)."""
        graded = (answer.behaviour, answer.causes, int(answer.expected), answer.explanation)
        self._connection.execute(
            "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (key, judge, prompt, time.time(), *graded, raw, *usage),
        )

    def __len__(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM answers").fetchone()[0])
