"""Advantages: baselines blind to missing scores, shares that sum to what is optimised."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rl.advantages import Combine, combine_group

FINITE = st.floats(-10, 10)


def test_sum_then_normalise_is_the_group_z_score() -> None:
    values = {"a": np.array([0.0, 1.0, 2.0, 3.0]), "b": np.array([1.0, 1.0, 0.0, 0.0])}
    result = combine_group(values, {"a": 1.0, "b": 2.0})
    totals = values["a"] + 2 * values["b"]
    assert result.totals.tolist() == totals.tolist()
    assert result.advantages == pytest.approx((totals - totals.mean()) / (totals.std() + 1e-4))


def test_normalise_then_sum_gives_each_reward_its_own_scale() -> None:
    values = {"small": np.array([0.0, 0.001]), "large": np.array([100.0, 0.0])}
    result = combine_group(values, {"small": 1.0, "large": 1.0}, Combine.NORMALISE_THEN_SUM)
    assert abs(result.shares["large"][0]) == pytest.approx(1.0, abs=1e-3)
    assert 0.5 < abs(result.shares["small"][1]) < 1.0, "0.0005 / (0.0005 + 1e-4)"


@given(arrays(float, (3, 6), elements=FINITE), st.sampled_from(list(Combine)), st.booleans())
def test_shares_sum_to_the_advantage_to_the_last_bit(table: np.ndarray, method: Combine, scale: bool) -> None:
    values = dict(zip("abc", table, strict=True))
    result = combine_group(values, {"a": 1.0, "b": 0.5, "c": 2.0}, method, scale)
    assert (sum(result.shares.values()) == result.advantages).all()
    assert result.advantages.mean() == pytest.approx(0.0, abs=1e-6)


@given(arrays(float, 6, elements=FINITE), st.integers(0, 5))
def test_a_missing_score_never_moves_a_siblings_baseline(values: np.ndarray, lost: int) -> None:
    holed = values.copy()
    holed[lost] = np.nan
    result = combine_group({"a": holed}, {"a": 1.0})
    alone = combine_group({"a": np.delete(values, lost)}, {"a": 1.0})
    assert np.isnan(result.advantages[lost])
    assert np.delete(result.advantages, lost).tolist() == alone.advantages.tolist()


def test_a_shadow_reward_neither_counts_nor_removes() -> None:
    values = {"a": np.array([0.0, 1.0]), "shadow": np.array([np.nan, 5.0])}
    result = combine_group(values, {"a": 1.0, "shadow": 0.0})
    assert np.isfinite(result.advantages).all()
    assert "shadow" not in result.shares


def test_no_weight_is_an_error() -> None:
    with pytest.raises(ValueError, match="no reward has a weight"):
        combine_group({"a": np.zeros(2)}, {"a": 0.0})
