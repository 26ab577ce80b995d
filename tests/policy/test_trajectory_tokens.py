"""Codecs against a slow implementation written from the facts (no numpy vectorisation, torch's rounding)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from policy.trajectory_tokens import FutureCodec, HistoryCodec, history_xyz
from scenes.dynamics import integrate

RELEASE = FutureCodec()


def slow_future(actions: np.ndarray, codec: FutureCodec) -> list[int]:
    """Row-major, one value at a time, in torch float32."""
    bins = []
    for row in torch.tensor(actions, dtype=torch.float32):
        for axis in range(2):
            scaled = (row[axis] - torch.tensor(codec.mean[axis])) / torch.tensor(codec.std[axis])
            low, high = torch.tensor(codec.low[axis]), torch.tensor(codec.high[axis])
            value = (scaled - low) / (high - low) * (codec.bins - 1)
            bins.append(int(value.round().clamp(0, codec.bins - 1)))
    return bins


def slow_history(xyz: np.ndarray, codec: HistoryCodec) -> list[int]:
    bins, last = [], torch.zeros(3)
    for point in torch.tensor(xyz, dtype=torch.float32):
        for axis in range(3):
            low, high = torch.tensor(codec.low[axis]), torch.tensor(codec.high[axis])
            value = (point[axis] - last[axis] - low) / (high - low) * (codec.bins - 1)
            bins.append(int(value.round().clamp(0, codec.bins - 1)))
        last = point
    return bins


ACTIONS = arrays(np.float64, (64, 2), elements=st.floats(-12, 12, width=32))


@settings(max_examples=40, deadline=None)
@given(ACTIONS)
def test_future_bins_equal_the_slow_rules(actions: np.ndarray) -> None:
    assert RELEASE.encode(actions).tolist() == slow_future(actions, RELEASE)


def test_edges_and_half_way_values_follow_the_release() -> None:
    zero = RELEASE.encode(np.zeros((64, 2)))
    assert set(zero.tolist()) == {1500}, "1499.5 rounds half to even, to 1500"
    assert RELEASE.encode(np.full((1, 2), -99.0)).tolist() == [0, 0]
    assert RELEASE.encode(np.full((1, 2), 99.0)).tolist() == [2999, 2999]
    assert RELEASE.decode(np.array([0, 2999])).tolist() == [[-10.0, 10.0]], "end points are inclusive"


@settings(max_examples=30, deadline=None)
@given(arrays(np.int64, (128,), elements=st.integers(0, 2999)))
def test_decode_then_encode_returns_the_bins(bins: np.ndarray) -> None:
    assert RELEASE.encode(RELEASE.decode(bins)).tolist() == bins.tolist()


@settings(max_examples=30, deadline=None)
@given(arrays(np.float64, (16, 3), elements=st.floats(-60, 60, width=32)))
def test_history_bins_equal_the_slow_rules(xyz: np.ndarray) -> None:
    codec = HistoryCodec()
    assert codec.encode(xyz).tolist() == slow_history(xyz, codec)


def test_first_history_delta_is_from_the_origin_and_clamps() -> None:
    xyz = np.zeros((16, 3))
    xyz[:, 0] = np.linspace(-15, 0, 16)
    bins = HistoryCodec().encode(xyz)
    assert bins[0] == 0
    assert bins[3] == round((1 + 4) / 8 * 999)
    assert len(bins) == 48


def test_carried_error_keeps_a_gentle_drive_on_its_line() -> None:
    plain = FutureCodec(bins=256, low=(-6.0, -0.2), high=(4.0, 0.2))
    carried = FutureCodec(bins=256, low=(-6.0, -0.2), high=(4.0, 0.2), carry_error=True)
    actions = np.stack([np.full(64, 0.011), np.full(64, 0.0007)], axis=1)
    truth = integrate(actions, np.float64(12.0))

    def drift(codec: FutureCodec) -> float:
        driven = integrate(codec.decode(codec.encode(actions)).astype(np.float64), np.float64(12.0))
        return float(np.abs(driven[-1, :2] - truth[-1, :2]).max())

    assert drift(carried) < 0.25 * drift(plain)


def test_lost_values_are_refused() -> None:
    with pytest.raises(ValueError, match="non-finite"):
        RELEASE.encode(np.full((64, 2), np.nan))
    with pytest.raises(ValueError, match="non-finite"):
        HistoryCodec().encode(np.full((16, 3), np.inf))
    with pytest.raises(ValueError, match="bins must come in pairs"):
        RELEASE.decode(np.array([0, 3000]))
    with pytest.raises(ValueError, match="bins must come in pairs"):
        RELEASE.decode(np.array([0, 1, 2]))


def test_history_is_flat_ground() -> None:
    history = np.arange(64, dtype=float).reshape(16, 4)
    assert history_xyz(history)[:, 2].tolist() == [0.0] * 16
