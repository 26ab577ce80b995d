"""Money and rates: what is booked, refused, shared between processes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from judged_clip import judge
from openai_stand_in import Reply, endpoint

from critic_server.database import open_database
from critic_server.rate_limit import Limits, RateLimit
from critic_server.spending import BudgetError, Price, Spending, read_prices, spent_usd
from rewards.score import Status

PRICE = Price(input=1.0, output=10.0, cached_input=0.1)


def test_a_price_is_per_million_tokens():
    assert PRICE.cost(1_000_000, 0) == 1.0
    assert PRICE.cost(1_000_000, 100_000, cached=500_000) == pytest.approx(0.5 + 0.05 + 1.0)


def test_cost_is_reported_and_the_limit_stops_with_a_reason(tmp_path):
    prices = tmp_path / "prices.yaml"
    prices.write_text("m: {input: 100.0, output: 1000.0}\n")
    file = str(tmp_path / "critic.sqlite")
    # 90 tokens in and 10 out cost 0.019 USD; a booking of 50 out and the prompt costs about 0.12
    options = {"cache": file, "prices": str(prices), "max_tokens": 50, "max_usd": 0.15, "concurrency": 1}
    with endpoint(Reply()) as service:
        scores = judge(service.url, *(f"Stop at line {i}." for i in range(8)), **options)
        asked = len(service.got)
        (later,) = judge(service.url, "Stop now.", **options)
        (kept,) = judge(service.url, "Stop at line 0.", **options)
    statuses = [s.status for s in scores]
    assert 1 <= asked < 8
    assert statuses == [Status.OK] * asked + [Status.REFUSED] * (8 - asked)
    assert scores[0].components["usd"] == pytest.approx(0.019)
    assert scores[-1].value is None
    assert "raise --max-usd" in scores[-1].explanation
    assert later.status is Status.REFUSED
    assert (kept.value, kept.cached) == (1.0, True)
    assert spent_usd(open_database(file)) == pytest.approx(0.019 * asked)


def test_a_limit_that_cannot_be_held_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no price is known for 'm'"):
        judge("http://127.0.0.1:9/v1", max_usd=1.0, cache=str(tmp_path / "c"))
    with pytest.raises(ValueError, match="max_usd needs a cache file"):
        judge("http://127.0.0.1:9/v1", max_usd=1.0)


@pytest.mark.parametrize(
    "text", ["- m", "m: {input: 1}", "m: {input: 1, output: x}", "m: {input: -1, output: 1}", "m: 3"]
)
def test_a_bad_price_table_names_what_is_wrong(text, tmp_path):
    file = tmp_path / "prices.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"prices\.yaml"):
        read_prices(file)


def test_the_shipped_table_knows_the_local_model_as_free():
    assert read_prices(None)["smollm2-135m-instruct"].cost(10**6, 10**6) == 0.0


def test_bookings_of_unfinished_requests_count():
    connection = open_database(None)
    spending = Spending(connection, "m", PRICE, max_usd=0.002)
    booked = spending.book(1000, 0)
    spending.book(900, 0)
    with pytest.raises(BudgetError, match="may cost"):
        spending.book(200, 0)
    spending.cancel(booked)
    spending.book(200, 0)
    assert spent_usd(connection) == pytest.approx(0.0011)


def test_a_bucket_lets_a_burst_through_and_then_its_rate():
    limit = RateLimit(open_database(None), "m", Limits(requests=60))
    waits = [limit.take(0, now=1000.0) for _ in range(14)]
    assert waits == pytest.approx([0.0] * 10 + [1.0, 2.0, 3.0, 4.0])
    assert limit.take(0, now=1005.0) == pytest.approx(0.0)
    assert limit.take(0, now=900.0) == pytest.approx(1.0)  # the clock stepped back: nothing is gained


def test_tokens_are_limited_and_corrected():
    limit = RateLimit(open_database(None), "m", Limits(tokens=6000))
    assert limit.take(1000, now=1.0) == 0.0
    assert limit.take(500, now=1.0) == pytest.approx(5.0)
    limit.give_back(0, 400, now=1.0)
    assert limit.take(0, now=1.0) == pytest.approx(1.0)


def test_a_turn_beyond_the_deadline_is_missing_not_waited_for():
    with endpoint(Reply()) as service:
        scores = judge(service.url, "Stop.", "Halt.", rpm=1.0, deadline_s=2.0, concurrency=1)
        assert len(service.got) == 1
    assert [s.status for s in scores] == [Status.OK, Status.DEADLINE]
    assert "rate limit" in scores[1].explanation


@pytest.mark.parametrize("limits", [Limits(requests=0), Limits(tokens=-1)])
def test_a_rate_of_nothing_is_refused(limits):
    with pytest.raises(ValueError, match="must be above 0"):
        RateLimit(open_database(None), "m", limits)


SPENDER = """
import sys
from critic_server.database import open_database
from critic_server.rate_limit import Limits, RateLimit
from critic_server.spending import BudgetError, Price, Spending
connection = open_database(sys.argv[1])
spending = Spending(connection, "m", Price(1.0, 1.0, 1.0), max_usd=0.0001)
limit = RateLimit(connection, "m", Limits(requests=600))
booked = waits = 0
for _ in range(100):
    waits = max(waits, limit.take(0, now=1000.0))
    try:
        spending.book(1, 0)
        booked += 1
    except BudgetError:
        pass
print(f"[{booked}, {waits}]")
"""


@pytest.mark.process
def test_processes_share_one_allowance(tmp_path):
    command = [sys.executable, "-c", SPENDER, str(tmp_path / "critic.sqlite")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    told = [json.loads(process.communicate(timeout=60)[0]) for process in running]
    # 0.0001 USD buy 100 tokens, whoever asks; the 300th request of 600 a minute waits for 200 to pass
    assert sum(booked for booked, _ in told) == 100
    assert max(waits for _, waits in told) == pytest.approx(20.0)
