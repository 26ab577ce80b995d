"""The language of labels: complete, small, and free of ambiguity between decisions."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from scenes.decisions import Direction, FactorKind, Lateral, Longitudinal
from scenes.world.phrasing import (
    CONNECTORS,
    FACTOR_CLAUSES,
    FACTOR_NOUNS,
    LATERAL_PHRASES,
    LONGITUDINAL_PHRASES,
    sentence,
    vocabulary,
)


def test_tables_cover_every_decision_and_factor_with_three_phrasings():
    assert set(LONGITUDINAL_PHRASES) == set(Longitudinal)
    assert set(LATERAL_PHRASES) == set(Lateral)
    assert set(FACTOR_CLAUSES) == set(FACTOR_NOUNS) == set(FactorKind)
    for table in (LONGITUDINAL_PHRASES, LATERAL_PHRASES):
        assert min(len(phrases) for phrases in table.values()) >= 3
    assert all(len(FACTOR_CLAUSES[kind]) + len(FACTOR_NOUNS[kind]) >= 5 for kind in FactorKind)


def test_no_manoeuvre_phrase_serves_two_decisions_or_holds_a_connector():
    phrases = list(itertools.chain(*LONGITUDINAL_PHRASES.values(), *LATERAL_PHRASES.values()))
    assert len(set(phrases)) == len(phrases)
    for phrase in phrases:
        assert not any(re.search(rf"\b{connector}\b", phrase) for connector in CONNECTORS), phrase


def test_vocabulary_is_small_and_covers_sentences():
    words = set(vocabulary())
    assert len(words) < 350
    rng = np.random.default_rng(0)
    for longitudinal, lateral in itertools.product(Longitudinal, Lateral):
        text = sentence(longitudinal, lateral, Direction.RIGHT, [FactorKind.CONES, FactorKind.CURVE], rng)
        assert {word.lower().rstrip(".") for word in text.split()} <= words


def test_sentences_are_short_and_vary():
    rng = np.random.default_rng(1)
    texts = [
        sentence(longitudinal, lateral, Direction.LEFT, [kind], rng)
        for longitudinal, lateral, kind in itertools.product(Longitudinal, Lateral, FactorKind)
    ]
    lengths = [len(text.split()) for text in texts]
    assert min(lengths) >= 6
    assert max(lengths) <= 22
    same = {sentence(Longitudinal.YIELD, None, None, [FactorKind.PEDESTRIAN], rng) for _ in range(60)}
    assert len(same) >= 15


def test_defaults_are_named_only_together():
    rng = np.random.default_rng(2)
    for _ in range(30):
        both = sentence(None, None, None, [], rng).lower()
        assert any(both.startswith(p) for p in LATERAL_PHRASES[Lateral.LANE_KEEPING])
        assert any(p in both for p in LONGITUDINAL_PHRASES[Longitudinal.SET_SPEED_TRACKING])
        alone = sentence(Longitudinal.YIELD, None, None, [FactorKind.PEDESTRIAN], rng).lower()
        assert any(alone.startswith(p) for p in LONGITUDINAL_PHRASES[Longitudinal.YIELD])


def test_missing_direction_and_too_many_factors_are_refused():
    rng = np.random.default_rng(3)
    with pytest.raises(ValueError, match="direction"):
        sentence(None, Lateral.TURN, None, [FactorKind.ROUTE_TURN], rng)
    with pytest.raises(ValueError, match="two factors"):
        sentence(None, None, None, [FactorKind.CONES, FactorKind.CURVE, FactorKind.CYCLIST], rng)
