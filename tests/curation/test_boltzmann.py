"""The curator: divergence, draws, and a state that resumes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.boltzmann import BoltzmannCurator, CuratorConfig, disagreement

POOL = [f"clip-{i}" for i in range(40)]


def test_agreement_is_zero_and_disagreement_is_the_kl() -> None:
    rewards, own = np.array([0.0, 1.0, 2.0]), np.array([-3.0, -2.0, -1.0])
    assert disagreement(rewards, own, beta=1.0, likelihood_beta=1.0) == pytest.approx(0.0, abs=1e-12)
    p = np.exp(2 * rewards) / np.exp(2 * rewards).sum()
    q = np.exp(-own) / np.exp(-own).sum()
    expected = float((p * np.log(p / q)).sum())
    assert disagreement(rewards, own, 2.0, -1.0) == pytest.approx(expected)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 0)), min_size=2, max_size=16))
def test_never_negative_and_blind_to_shifts(rows: list[tuple[float, float]]) -> None:
    rewards, own = np.array(rows).T
    value = disagreement(rewards, own, 2.0, 8.0)
    assert value >= 0
    assert disagreement(rewards + 3, own - 1, 2.0, 8.0) == pytest.approx(value, abs=1e-6)


def test_lost_values_are_refused() -> None:
    with pytest.raises(ValueError, match="non-finite"):
        disagreement(np.array([0.0, np.nan]), np.zeros(2), 1, 1)
    with pytest.raises(ValueError, match="length above 1"):
        disagreement(np.zeros(1), np.zeros(1), 1, 1)


def test_clips_in_disagreement_come_back_sooner() -> None:
    curator = BoltzmannCurator(POOL, CuratorConfig(uniform_share=0.25), seed=0)
    for index, clip in enumerate(POOL):
        curator.observe(clip, 3.0 if index < 4 else 0.1)
    counts = dict.fromkeys(POOL, 0)
    for _ in range(100):
        draw = curator.choose(8)
        assert len(set(draw.clip_ids)) == 8
        assert sum(draw.uniform) == 2
        for clip in draw.clip_ids:
            counts[clip] += 1
    hot = np.mean([counts[clip] for clip in POOL[:4]])
    cold = np.mean([counts[clip] for clip in POOL[4:]])
    assert hot > 3 * cold
    assert min(counts.values()) > 0, "the uniform share must reach every clip"


def test_a_resumed_curator_draws_what_an_uninterrupted_one_would() -> None:
    first = BoltzmannCurator(POOL, CuratorConfig(), seed=5)
    for step in range(6):
        for clip in first.choose(8).clip_ids:
            first.observe(clip, (int(clip[5:]) % 7) / 7 + step)
    state = json.loads(json.dumps(first.state_dict()))
    second = BoltzmannCurator(POOL, CuratorConfig(), seed=99)
    second.load_state_dict(state)
    for _ in range(5):
        assert first.choose(8) == second.choose(8)


def test_state_of_another_pool_is_refused() -> None:
    state = BoltzmannCurator(POOL, CuratorConfig(), 0).state_dict()
    with pytest.raises(ValueError, match="another pool"):
        BoltzmannCurator(POOL[:-1], CuratorConfig(), 0).load_state_dict(state)
    with pytest.raises(ValueError, match="enlarge the pool"):
        BoltzmannCurator(POOL, CuratorConfig(), 0).choose(41)
