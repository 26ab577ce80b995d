"""The circuit breaker as a state machine: what holds for every history of calls and pauses."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.breaker import Breaker, BreakerConfig, State


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def fail(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        permit = breaker.admit()
        assert permit is not None
        breaker.settle(permit, False)


def test_it_opens_after_failures_in_a_row_probes_once_and_closes_after_a_success() -> None:
    clock = Clock()
    breaker = Breaker(BreakerConfig(failures=3, cool_down_s=2.0), clock)
    fail(breaker, 2)
    ok = breaker.admit()
    assert ok is not None
    breaker.settle(ok, True)
    fail(breaker, 2)
    assert breaker.state is State.CLOSED
    fail(breaker)
    assert (breaker.state, breaker.due_s(), breaker.admit()) == (State.OPEN, 2.0, None)
    clock.now += 2.0
    probe = breaker.admit()
    assert probe is not None
    assert probe.probe
    assert (breaker.state, breaker.due_s(), breaker.admit()) == (State.HALF_OPEN, math.inf, None)
    breaker.settle(probe, True)
    assert (breaker.state, breaker.due_s()) == (State.CLOSED, 0.0)
    assert breaker.metrics() == {"state": 0.0, "openings": 1.0, "probes": 1.0}


def test_the_cool_down_doubles_with_failed_probes_up_to_its_most_and_starts_again_after_a_success() -> None:
    clock = Clock()
    breaker = Breaker(BreakerConfig(failures=1, cool_down_s=1.0, most_s=5.0), clock)
    waits = []
    for _ in range(5):
        fail(breaker)
        waits.append(breaker.due_s())
        clock.now += breaker.due_s()
    assert waits == [1.0, 2.0, 4.0, 5.0, 5.0]
    probe = breaker.admit()
    assert probe is not None
    breaker.settle(probe, True)
    fail(breaker)
    assert breaker.due_s() == 1.0


def test_a_share_of_failures_opens_it_too() -> None:
    breaker = Breaker(BreakerConfig(failures=99, share=0.5, window=10), Clock())
    for n in range(200):
        permit = breaker.admit()
        assert permit is not None
        breaker.settle(permit, n % 2 == 0)
    assert breaker.state is State.CLOSED, "half is not more than half"
    fail(breaker)
    assert breaker.state is State.OPEN


def test_stragglers_from_before_an_opening_neither_close_nor_reopen_it() -> None:
    clock = Clock()
    breaker = Breaker(BreakerConfig(failures=1), clock)
    old = [breaker.admit() for _ in range(3)]
    assert None not in old
    breaker.settle(old[0], False)
    breaker.settle(old[1], True)
    assert breaker.state is State.OPEN
    clock.now += 1.0
    probe = breaker.admit()
    breaker.settle(old[2], False)
    assert breaker.state is State.HALF_OPEN
    breaker.settle(probe, True)
    assert breaker.state is State.CLOSED


def test_an_abandoned_probe_lets_the_next_call_probe_at_once() -> None:
    clock = Clock()
    breaker = Breaker(BreakerConfig(failures=1), clock)
    fail(breaker)
    clock.now += 1.0
    breaker.settle(breaker.admit(), None)
    assert breaker.state is State.OPEN
    again = breaker.admit()
    assert again is not None
    assert again.probe


@pytest.mark.parametrize("wrong", [{"failures": 0}, {"share": 0.0}, {"cool_down_s": 0.0}, {"most_s": 0.5}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        BreakerConfig(**wrong)  # type: ignore[arg-type]


STEPS = st.lists(
    st.one_of(
        st.just("admit"),
        st.tuples(st.sampled_from([True, False, None]), st.integers(0, 50)),
        st.floats(0.0, 40.0, allow_nan=False),
    ),
    max_size=120,
)
CONFIGS = st.builds(
    BreakerConfig,
    failures=st.integers(1, 6),
    share=st.floats(0.1, 1.0),
    window=st.integers(1, 12),
    cool_down_s=st.floats(0.1, 5.0),
    most_s=st.floats(5.0, 60.0),
)


@settings(deadline=None)
@given(CONFIGS, STEPS)
def test_whatever_happens(config: BreakerConfig, steps: list) -> None:
    """Nothing passes an open breaker before its time; at most one probe is under way; it never stays shut: once
    the longest cool-down is over and no probe is under way, a call is admitted."""
    clock, held = Clock(), []
    breaker = Breaker(config, clock)
    for step in steps:
        state, due = breaker.state, breaker.due_s()
        if step == "admit":
            permit = breaker.admit()
            assert (permit is None) == (due > 0)
            if permit is not None:
                held.append(permit)
                assert permit.probe == (state is State.OPEN)
                assert breaker.state is (State.CLOSED if state is State.CLOSED else State.HALF_OPEN)
        elif isinstance(step, tuple) and held:
            permit = held.pop(step[1] % len(held))
            breaker.settle(permit, step[0])
            if state is State.OPEN:
                assert breaker.state is State.OPEN, "only a probe's outcome may end an opening"
            if state is State.HALF_OPEN and not permit.probe:
                assert breaker.state is State.HALF_OPEN
            if state is State.CLOSED and step[0] is not False:
                assert breaker.state is State.CLOSED
        elif isinstance(step, float):
            clock.now += step
        assert 0.0 <= breaker.due_s() <= config.most_s or breaker.state is State.HALF_OPEN
    for permit in held:
        breaker.settle(permit, None)
    clock.now += config.most_s
    assert breaker.admit() is not None
