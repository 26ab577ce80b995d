"""Length buckets: every example once, whole batches of like lengths, an order that can be gone on with."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sft.bucketing import LengthBuckets, bucketed_order, padding_share

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=300).map(np.array)


@given(LENGTHS, st.integers(1, 16), st.integers(0, 5))
def test_every_example_comes_once(lengths: np.ndarray, batch: int, seed: int) -> None:
    order = bucketed_order(lengths, batch, np.random.default_rng(seed))
    assert sorted(order.tolist()) == list(range(len(lengths)))


def test_padding_share_by_hand() -> None:
    lengths = np.array([1, 3, 2, 2])
    assert padding_share(lengths, np.array([0, 1, 2, 3]), 2) == pytest.approx(2 / 10)
    assert padding_share(lengths, np.array([2, 3, 0, 1]), 4) == pytest.approx(4 / 12)


def test_buckets_pad_less_and_keep_batches_in_random_order() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(8, 36, 1600)
    order = bucketed_order(lengths, 16, rng)
    assert padding_share(lengths, order, 16) < 0.2 * padding_share(lengths, np.arange(1600), 16)
    longest = lengths[order].reshape(100, 16).max(1)
    assert abs(np.corrcoef(longest[:-1], longest[1:])[0, 1]) < 0.3, "a long batch says nothing of the next"


def test_an_epochs_order_depends_on_its_number_alone() -> None:
    lengths = np.random.default_rng(1).integers(1, 30, 64)
    first, again = LengthBuckets(lengths, 8, seed=3), LengthBuckets(lengths, 8, seed=3)
    list(first)
    first.set_epoch(1)
    again.set_epoch(1)
    assert list(first) == list(again)
    again.set_epoch(0)
    assert list(first) != list(again)


def test_too_few_examples_for_a_batch_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fill one batch"):
        LengthBuckets(np.ones(3, int), 4, seed=0)
