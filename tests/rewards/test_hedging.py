"""When a second request is due, and that it stays rare; where a reward is served."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.address import RewardAddress
from rewards.hedging import HedgeConfig, Hedger


@settings(deadline=None)
@given(st.lists(st.floats(0.0, 100.0), max_size=300), st.floats(0.5, 0.99))
def test_the_delay_is_the_nearest_rank_of_the_last_answers(seconds: list[float], quantile: float) -> None:
    hedger = Hedger(HedgeConfig(quantile=quantile, samples=20, window=50))
    for value in seconds:
        hedger.observe(value)
    delay, recent = hedger.delay_s(), seconds[-50:]
    if len(seconds) < 20:
        assert delay is None
    else:
        assert delay in recent
        assert sum(value <= delay for value in recent) >= math.ceil(quantile * len(recent))
        assert sum(value < delay for value in recent) < math.ceil(quantile * len(recent))


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=400), st.floats(0.01, 1.0))
def test_second_requests_stay_within_their_share(slow: list[bool], share: float) -> None:
    hedger = Hedger(HedgeConfig(most_share=share))
    for due in slow:
        hedger.first += 1
        if due and hedger.affordable():
            hedger.sent += 1
        assert hedger.sent <= share * hedger.first
    if all(slow):
        assert hedger.sent >= math.floor(share * len(slow)) - 1


@pytest.mark.parametrize("wrong", [{"quantile": 1.0}, {"most_share": 0.0}, {"samples": 0}, {"samples": 300}])
def test_impossible_hedging_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        HedgeConfig(**wrong)  # type: ignore[arg-type]


def test_addresses_name_one_server_or_several() -> None:
    one = RewardAddress.parse("grpc://10.0.0.7:50051/safety")
    assert (one.servers, one.reward) == (("10.0.0.7:50051",), "safety")
    two = RewardAddress.parse("grpc://h1:1,[::1]:2/pkg/name")
    assert (two.servers, two.reward) == (("h1:1", "[::1]:2"), "pkg/name")


@pytest.mark.parametrize(
    "url",
    [
        "h:1/x",
        "grpc://h:1",
        "grpc://h/x",
        "grpc://h:1,/x",
        "grpc://:1/x",
        "grpc://h:99999/x",
        "grpc://h:1,h:1/x",
    ],
)
def test_a_malformed_address_names_the_fix(url: str) -> None:
    with pytest.raises(ValueError, match=r"write grpc://host:port/name|give each replica once"):
        RewardAddress.parse(url)
