"""The only answer a judge may give, and how it is read.

Invariant: a grade comes from JSON that fits the schema, or there is none (AnswerError names the fault); nothing
is guessed from prose. A reasoning model's thoughts are put aside first.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from critic_server.scale import HIGHEST

PARTS = ("behaviour", "causes")
_THOUGHT = re.compile(r"^.*</think(?:ing)?>", re.DOTALL)
_FENCE = re.compile(r"^```(?:json)?\s*(.*?)\s*```$", re.DOTALL)


class AnswerError(ValueError):
    """The judge's answer does not follow the schema."""


@dataclass(frozen=True)
class Answer:
    """behaviour, causes: 0 to 5; expected: whether they are expected values instead of the digits written."""

    behaviour: float
    causes: float
    explanation: str
    expected: bool = False


def schema(explain: bool) -> dict[str, Any]:
    """Strict JSON schema, as `response_format.json_schema` wants it. explain: demand an explanation before
    the grades (chain of thought for a model that does not reason by itself; costs tokens)."""
    grade = {"type": "integer", "enum": list(range(HIGHEST + 1))}
    properties: dict[str, Any] = {"explanation": {"type": "string"}} if explain else {}
    properties |= dict.fromkeys(PARTS, grade)
    return {
        "name": "grade",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        },
    }


def read_answer(content: str, explain: bool = True) -> Answer:
    """The grades in a message's content; AnswerError says what is wrong with it."""
    text = _THOUGHT.sub("", content).strip()
    if text.startswith("<think"):
        raise AnswerError("the answer ended within its reasoning; raise max_tokens")
    fenced = _FENCE.match(text)
    text = fenced[1] if fenced else text
    try:
        found = json.loads(text, object_pairs_hook=_unique)
    except (json.JSONDecodeError, RecursionError) as error:
        raise AnswerError(f"no JSON: {error}; began {text[:80]!r}") from error
    if not isinstance(found, dict):
        raise AnswerError(f"a {type(found).__name__} instead of an object")
    wanted = {*PARTS, "explanation"} if explain else set(PARTS)
    if found.keys() != wanted:
        raise AnswerError(f"fields {sorted(found)} instead of {sorted(wanted)}")
    for part in PARTS:
        if type(found[part]) is not int or not 0 <= found[part] <= HIGHEST:
            raise AnswerError(f"{part} {found[part]!r} is not an integer from 0 to {HIGHEST}")
    why = found.get("explanation", "")
    if not isinstance(why, str):
        raise AnswerError("explanation is no text")
    return Answer(float(found["behaviour"]), float(found["causes"]), why)


def expected_value(part: str, tokens: Sequence[tuple[str, Sequence[tuple[str, float]]]]) -> float | None:
    """Mean grade of a part under the probabilities of its digit, renormalised over 0 to 5; None where the
    tokens do not show that digit on its own.

    tokens: of the whole answer in order, each with its alternatives as (token, log-probability)."""
    text = "".join(token for token, _ in tokens)
    found = list(re.finditer(rf'"{part}"\s*:\s*(\d)', text))
    if not found:
        return None
    start = 0
    for token, alternatives in tokens:
        if start <= found[-1].start(1) < start + len(token):
            return _mean_digit(token, alternatives)
        start += len(token)
    return None


def _mean_digit(token: str, alternatives: Sequence[tuple[str, float]]) -> float | None:
    digits = {str(grade) for grade in range(HIGHEST + 1)}
    if token.strip() not in digits:
        return None
    weights: dict[str, float] = {}
    for other, logprob in alternatives:
        if other.strip() in digits:
            weights[other.strip()] = weights.get(other.strip(), 0.0) + math.exp(logprob)
    mass = sum(weights.values())
    return sum(int(digit) * weight for digit, weight in weights.items()) / mass if mass > 0 else None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise AnswerError("a field is given twice")
    return found
