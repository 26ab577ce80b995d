"""The world's own texts are read exactly as they were before the parser learnt free text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import product

import pytest

from rewards.intent import parse_intent
from scenes.decisions import Direction, Lateral, Longitudinal
from scenes.world.phrasing import (
    CLAUSE_CONNECTORS,
    CLEAR_CLAUSES,
    CLEAR_NOUNS,
    DEFAULT_LATERAL,
    DEFAULT_LONGITUDINAL,
    FACTOR_CLAUSES,
    FACTOR_NOUNS,
    LATERAL_PHRASES,
    LONGITUDINAL_PHRASES,
    NOUN_CONNECTOR,
)

# SHA-256 over text, decisions, side, speed words and conflicts of all 232,056 texts, by the first parser.
BEFORE = "56f98cdc9663c85dbcc5066529e901af1ac269175a3f18a858e8760dfb736d04"


def manoeuvres(longitudinal: Longitudinal, lateral: Lateral, side: Direction) -> Iterator[str]:
    """Every wording of two decisions, as the world words them: defaults go unmentioned beside others."""
    paths = [phrase.replace("{direction}", side) for phrase in LATERAL_PHRASES[lateral]]
    speeds = LONGITUDINAL_PHRASES[longitudinal]
    if lateral is DEFAULT_LATERAL and longitudinal is not DEFAULT_LONGITUDINAL:
        yield from speeds
    elif longitudinal is DEFAULT_LONGITUDINAL and lateral is not DEFAULT_LATERAL:
        yield from paths
    else:
        yield from (f"{path} and {speed}" for path, speed in product(paths, speeds))


def reasons() -> list[str]:
    """Every connector with every cause, each once."""
    nouns = [phrase for phrases in FACTOR_NOUNS.values() for phrase in phrases]
    clauses = [phrase for phrases in FACTOR_CLAUSES.values() for phrase in phrases]
    sided = [(CLAUSE_CONNECTORS, clause.replace("{direction}", s)) for clause in clauses for s in Direction]
    sided += [((NOUN_CONNECTOR,), noun.replace("{direction}", s)) for noun in nouns for s in Direction]
    sided += [(CLAUSE_CONNECTORS, clause) for clause in CLEAR_CLAUSES]
    sided += [((NOUN_CONNECTOR,), noun) for noun in CLEAR_NOUNS]
    return list(dict.fromkeys(f"{c} {cause}" for connectors, cause in sided for c in connectors))


def texts() -> Iterator[str]:
    why = reasons()
    for longitudinal, lateral, side in product(Longitudinal, Lateral, Direction):
        for done in manoeuvres(longitudinal, lateral, side):
            for reason in why:
                text = f"{done} {reason}."
                yield text[0].upper() + text[1:]


@pytest.mark.slow
def test_every_text_of_the_world_is_read_as_before():
    digest = hashlib.sha256()
    count = 0
    for text in texts():
        i = parse_intent(text)
        count += 1
        digest.update(
            json.dumps([text, i.longitudinal, i.lateral, i.direction, i.speed, i.conflicts]).encode()
        )
    assert (count, digest.hexdigest()) == (232_056, BEFORE)


def test_the_world_speaks_of_one_time_and_commits_to_all_it_says():
    for number, text in enumerate(texts()):
        if number % 101 == 0:
            intent = parse_intent(text)
            assert (len(intent.steps), intent.ignored, intent.conflicts) == (1, (), ()), text
            assert (intent.steps[0].event, intent.steps[0].timing) == (None, None), text
