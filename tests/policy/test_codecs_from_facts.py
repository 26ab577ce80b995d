"""Trajectory tokens against an implementation written from the release's facts alone: plain loops over numbers.

Facts (release code as recorded, sections "History (48 tokens)" and "Future (128 tokens)"): float32 throughout;
future bin = round((a - min) / (max - min) * (bins - 1)) clamped, interleaved a0, k0, a1, k1 …; decoding
bin / (bins - 1) * (max - min) + min; rounding half to even; history = first differences with a zero row before the
oldest pose, mapped to [0, 1], times bins - 1, rounded, clamped, step-major x, y, z. Nothing here shares code with
the codecs: each value is rounded to float32 by struct, and to the even neighbour by hand.
"""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from policy.trajectory_tokens import FutureCodec, HistoryCodec

RELEASE_STATISTICS = {
    "mean": (0.02902694707164455, 0.0002692167976330542),
    "std": (0.6810426736454882, 0.026148280660833106),
}
CODECS = (
    FutureCodec(),
    FutureCodec(**RELEASE_STATISTICS),
    FutureCodec(bins=2),
    FutureCodec(bins=256, low=(-6.0, -0.2), high=(4.0, 0.2)),
    FutureCodec(bins=1001, low=(-9.8, -0.33), high=(9.8, 0.33), **RELEASE_STATISTICS),
)


def single(value: float) -> float:
    """The nearest float32 (ties to even), as a Python number; infinite beyond its range."""
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)


def to_even(value: float) -> float:
    """Round half to even."""
    below = math.floor(value) if math.isfinite(value) else value
    if not math.isfinite(value):
        return value
    rest = value - below
    if rest != 0.5:
        return float(below + (rest > 0.5))
    return float(below if below % 2 == 0 else below + 1)


def bin_of(value: float, low: float, high: float, bins: int) -> int:
    """One value's bin: every operation rounds to float32. Sums, products and quotients of two float32 numbers
    computed in double and rounded once are the float32 results (double has more than 2 x 24 + 2 bits)."""
    low, high = single(low), single(high)
    unit = single(single(single(value) - low) / single(high - low))
    scaled = to_even(single(unit * single(bins - 1)))
    return int(min(max(scaled, 0.0), bins - 1.0))


def future_bins(actions: list[tuple[float, float]], codec: FutureCodec) -> list[int]:
    out = []
    for step in actions:
        for axis in range(2):
            normal = single(single(single(step[axis]) - single(codec.mean[axis])) / single(codec.std[axis]))
            out.append(bin_of(normal, codec.low[axis], codec.high[axis], codec.bins))
    return out


def future_actions(bins: list[int], codec: FutureCodec) -> list[list[float]]:
    out = []
    for at in range(0, len(bins), 2):
        pair = []
        for axis in range(2):
            low, high = single(codec.low[axis]), single(codec.high[axis])
            unit = single(single(bins[at + axis]) / single(codec.bins - 1))
            normal = single(single(unit * single(high - low)) + low)
            pair.append(single(single(normal * single(codec.std[axis])) + single(codec.mean[axis])))
        out.append(pair)
    return out


def history_bins(xyz: list[tuple[float, float, float]], codec: HistoryCodec) -> list[int]:
    out, last = [], (0.0, 0.0, 0.0)
    for point in xyz:
        here = tuple(single(value) for value in point)
        for axis in range(3):
            out.append(bin_of(single(here[axis] - last[axis]), codec.low[axis], codec.high[axis], codec.bins))
        last = here
    return out


def neighbours(value: float) -> list[float]:
    """A number and the float32 numbers right beside it."""
    near = np.float32(value)
    return [
        float(np.nextafter(near, np.float32(-np.inf))),
        float(near),
        float(np.nextafter(near, np.float32(np.inf))),
    ]


def boundaries(codec: FutureCodec, axis: int) -> list[float]:
    """Actions on, just below and just above every half-way point between bins, and around the ends."""
    step = (codec.high[axis] - codec.low[axis]) / (codec.bins - 1)
    middles = [codec.low[axis] + (k + 0.5) * step for k in range(-1, codec.bins)]
    return [v for m in middles for v in neighbours(m * codec.std[axis] + codec.mean[axis])]


ANY = st.floats(width=32, allow_nan=False, allow_infinity=False)
DRIVEN = st.floats(-12.0, 12.0)
SMALL = st.floats(-1e-6, 1e-6)
VALUE = DRIVEN | SMALL | ANY | st.sampled_from([0.0, -0.0, 10.0, -10.0, 1e-45, 1e30, -1e30])
PAIRS = st.lists(st.tuples(VALUE, VALUE), min_size=1, max_size=64)
CODEC = st.sampled_from(CODECS)


@settings(max_examples=200)
@given(PAIRS, CODEC)
@example([(0.0, 0.0)], FutureCodec())
def test_any_action_has_the_bin_of_the_facts(actions: list[tuple[float, float]], codec: FutureCodec) -> None:
    with np.errstate(over="ignore"):
        assert codec.encode(np.array(actions)).tolist() == future_bins(actions, codec)


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: f"{codec.bins} bins, std {codec.std[0]:.2g}")
def test_every_half_way_point_goes_where_the_facts_say(codec: FutureCodec) -> None:
    accelerations, curvatures = boundaries(codec, 0), boundaries(codec, 1)
    actions = list(zip(accelerations, curvatures, strict=True))
    assert codec.encode(np.array(actions)).tolist() == future_bins(actions, codec)


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: f"{codec.bins} bins, std {codec.std[0]:.2g}")
def test_every_bin_decodes_to_the_facts_last_bit(codec: FutureCodec) -> None:
    bins = [value for k in range(codec.bins) for value in (k, codec.bins - 1 - k)]
    ours = codec.decode(np.array(bins))
    assert ours.dtype == np.float32
    truth = np.array(future_actions(bins, codec), np.float32)
    assert ours.tobytes() == truth.tobytes()


@settings(max_examples=100)
@given(st.lists(st.integers(0, 2999), min_size=128, max_size=128))
def test_any_128_tokens_decode_to_the_facts_last_bit(bins: list[int]) -> None:
    codec = FutureCodec(**RELEASE_STATISTICS)
    truth = np.array(future_actions(bins, codec), np.float32)
    assert codec.decode(np.array(bins)).tobytes() == truth.tobytes()


POINT = st.tuples(VALUE, VALUE, VALUE)


@settings(max_examples=200)
@given(st.lists(POINT, min_size=16, max_size=16))
def test_any_history_has_the_bins_of_the_facts(xyz: list[tuple[float, float, float]]) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        ours = HistoryCodec().encode(np.array(xyz)).tolist()
    assert ours == history_bins(xyz, HistoryCodec())


def test_history_half_way_points_go_where_the_facts_say() -> None:
    codec = HistoryCodec()
    for axis in range(3):
        step = (codec.high[axis] - codec.low[axis]) / (codec.bins - 1)
        for k in range(-1, codec.bins):
            for value in neighbours(codec.low[axis] + (k + 0.5) * step):
                point = [0.0, 0.0, 0.0]
                point[axis] = value
                xyz = [tuple(point)] + [(0.0, 0.0, 0.0)] * 15
                assert codec.encode(np.array(xyz)).tolist() == history_bins(xyz, codec)  # type: ignore[arg-type]


def test_facts_spelt_out() -> None:
    """Numbers that the facts state, on both sides."""
    release = FutureCodec()
    for bins_of in (lambda a: release.encode(np.array(a)).tolist(), lambda a: future_bins(a, release)):
        assert bins_of([(0.0, 0.0)]) == [1500, 1500]
        assert bins_of([(-10.0, 10.0), (-99.0, 99.0)]) == [0, 2999, 0, 2999]
    driving = [(-15.0 + t, 0.0, 0.0) for t in range(16)]
    for bins in (HistoryCodec().encode(np.array(driving)).tolist(), history_bins(driving, HistoryCodec())):
        assert len(bins) == 48
        assert bins[0] == 0, "the first difference is the oldest pose itself and clamps"
        assert bins[3] == 624
