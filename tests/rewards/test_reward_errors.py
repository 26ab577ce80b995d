"""What carries a failure: small, picklable, with its status, through processes and over the wire's reading."""

from __future__ import annotations

import pickle
from concurrent.futures import ProcessPoolExecutor

import grpc
import pytest

from rewards.errors import MOST_CHARS, RewardError
from rewards.failure import failure_of
from rewards.rate_limit import PUSHBACK
from rewards.score import Status
from rewards.worker_pool import WorkerLostError

CODE = grpc.StatusCode


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.process
def test_errors_cross_a_process_pool_with_all_they_say() -> None:
    with ProcessPoolExecutor(1) as pool:
        for error in (
            RewardError("judge is out of reach", Status.INFRASTRUCTURE, "reasoning"),
            RewardError("x" * 10**6, Status.DATA),
            WorkerLostError("ended by SIGKILL", from_outside=True),
        ):
            with pytest.raises(type(error)) as raised:
                pool.submit(_raise, error).result(timeout=60)
            back = raised.value
            assert str(back) == str(error)
            assert {name: vars(back)[name] for name in vars(error)} == vars(error)
            assert len(pickle.dumps(error)) < MOST_CHARS + 500


def test_a_reward_error_is_never_ok() -> None:
    with pytest.raises(ValueError, match="cannot be ok"):
        RewardError("fine", Status.OK)


def call_error(code: grpc.StatusCode, details: str = "", *trailing: tuple[str, str]) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailing), details)


@pytest.mark.parametrize(
    ("code", "details", "status", "passing", "blames"),
    [
        (CODE.UNAVAILABLE, "connection refused", Status.INFRASTRUCTURE, True, True),
        (CODE.CANCELLED, "", Status.INFRASTRUCTURE, True, True),
        (CODE.UNAVAILABLE, "Ssl: CERTIFICATE_VERIFY_FAILED", Status.REFUSED, False, False),
        (CODE.RESOURCE_EXHAUSTED, "too many calls", Status.INFRASTRUCTURE, True, False),
        (CODE.RESOURCE_EXHAUSTED, "Received message larger than max", Status.DATA, False, False),
        (CODE.UNAUTHENTICATED, "", Status.REFUSED, False, False),
        (CODE.NOT_FOUND, "", Status.REFUSED, False, False),
        (CODE.INVALID_ARGUMENT, "", Status.REWARD_BUG, False, False),
        (CODE.UNKNOWN, "", Status.REWARD_BUG, False, False),
    ],
)
def test_each_code_means_one_thing(code, details, status, passing, blames) -> None:
    failure = failure_of(call_error(code, details), 5.0)
    assert (failure.status, failure.passing, failure.blames) == (status, passing, blames)
    assert code.name in failure.why


def test_a_try_with_hardly_any_time_says_nothing_about_its_server() -> None:
    late = call_error(CODE.DEADLINE_EXCEEDED)
    assert [failure_of(late, granted).blames for granted in (0.1, 2.0)] == [False, True]


def test_a_busy_server_is_asked_again_when_it_says() -> None:
    for told, pause_s in (("250", 0.25), ("-1", 0.0), ("soon", 0.0)):
        busy = call_error(CODE.RESOURCE_EXHAUSTED, "rate limit", (PUSHBACK, told))
        assert failure_of(busy, 1.0).pause_s == pause_s
