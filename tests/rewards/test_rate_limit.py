"""The token bucket keeps its rate and never starves a large batch."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.rate_limit import TokenBucket, pushback


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_let_in_then_the_rate_holds() -> None:
    clock = Clock()
    bucket = TokenBucket(10.0, clock=clock)
    assert [bucket.take(1) for _ in range(10)] == [0.0] * 10
    wait = bucket.take(1)
    assert wait == pytest.approx(0.1)
    clock.now += wait
    assert bucket.take(1) == 0.0


def test_a_batch_above_the_burst_is_let_in_and_paid_off() -> None:
    clock = Clock()
    bucket = TokenBucket(100.0, clock=clock)
    assert bucket.take(256) == 0.0
    assert bucket.take(1) == pytest.approx(1.57)
    clock.now += 1.57
    assert bucket.take(1) == 0.0


@settings(deadline=None)
@given(
    st.floats(0.5, 1000.0),
    st.lists(st.tuples(st.floats(0.0, 5.0), st.integers(1, 300)), min_size=1, max_size=60),
)
def test_the_rate_holds_and_who_waits_is_let_in(rate: float, asks: list[tuple[float, int]]) -> None:
    clock = Clock()
    bucket = TokenBucket(rate, clock=clock)
    let_in: list[tuple[float, int]] = []
    for pause, units in asks:
        clock.now += pause
        wait = bucket.take(units)
        if wait:
            clock.now += wait
            assert bucket.take(units) == 0.0, "who waits as told is let in"
        let_in.append((clock.now, units))
    # What was let in before the last batch has been paid for by then, up to one burst.
    before = sum(units for _, units in let_in[:-1])
    assert before <= rate * clock.now + bucket.burst + 1e-6


@pytest.mark.parametrize("rate", [0.0, -1.0])
def test_a_rate_that_lets_nothing_through_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="lets nothing through"):
        TokenBucket(rate)


def test_the_hint_is_in_milliseconds_and_absent_without_a_wait() -> None:
    assert pushback(0.25) == (("grpc-retry-pushback-ms", "250"),)
    assert pushback(0.0) == ()
