"""The batched detector gives each drive the segments that it gets alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.meta_action_batch import lateral_batch, longitudinal_batch
from rewards.meta_actions import lateral_segments, longitudinal_segments
from scenes.dynamics import integrate


def drives(seed: int, count: int, steps: int, noise: float) -> np.ndarray:
    """States [count, steps + 1, 4] of smooth random actions with white noise, some braking into reverse."""
    random = np.random.default_rng(seed)
    knots = random.normal(0.0, (1.5, 0.03), (count, 5, 2))
    at = np.linspace(0.0, 4.0, steps)
    smooth = np.stack(
        [np.stack([np.interp(at, np.arange(5), k[:, i]) for i in (0, 1)], axis=-1) for k in knots]
    )
    actions = smooth + random.normal(0.0, (noise, 0.02 * noise), smooth.shape)
    speed = random.uniform(0.0, 12.0, count)
    start = np.zeros((count, 1, 4))
    start[:, 0, 3] = speed
    return np.concatenate([start, integrate(actions, speed)], axis=1)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 2, 3, 5, 9, 30, 64]), st.sampled_from([0.0, 0.1, 1.0]))
def test_a_batch_is_its_rows_one_by_one(seed, steps, noise):
    states = drives(seed, 12, steps, noise)
    assert longitudinal_batch(states) == [tuple(longitudinal_segments(s)) for s in states]
    assert lateral_batch(states) == [tuple(lateral_segments(s)) for s in states]


def test_the_sample_holds_every_action_and_many_short_segments():
    states = np.concatenate([drives(seed, 200, 64, noise) for seed in range(3) for noise in (0.0, 0.3)])
    longitudinal, lateral = longitudinal_batch(states), lateral_batch(states)
    assert len({s.action for row in longitudinal for s in row}) == 7
    assert len({s.action for row in lateral for s in row}) >= 6
    assert np.mean([len(row) for row in longitudinal]) > 2.0


def test_standing_still_is_one_segment_on_each_axis():
    states = np.zeros((3, 65, 4))
    assert [[s.action for s in row] for row in longitudinal_batch(states)] == [["stop"]] * 3
    assert [[s.action for s in row] for row in lateral_batch(states)] == [["go_straight"]] * 3


@pytest.mark.parametrize("batch", [longitudinal_batch, lateral_batch])
def test_no_rows_are_no_segments(batch):
    assert batch(np.zeros((0, 65, 4))) == []
