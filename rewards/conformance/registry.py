"""The named checks.

Role: a check is an async function that returns what it saw and raises what `rewards.conformance.result`
names; `server_check` and `reward_check` enter it here. Its docstring's first line is the rule it checks.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rewards.conformance.subject import ServerUnderTest, Subject

    ServerCheck = Callable[[ServerUnderTest], Awaitable[str]]
    RewardCheck = Callable[[Subject], Awaitable[str]]


@dataclass(frozen=True)
class Check:
    """name: "subject/rule"; rule: one sentence; family: the module that it is in; exactly one of on_server
    and on_reward is set."""

    name: str
    rule: str
    family: str
    on_server: ServerCheck | None = None
    on_reward: RewardCheck | None = None


CHECKS: dict[str, Check] = {}


def server_check(name: str) -> Callable[[ServerCheck], ServerCheck]:
    """Register a check that runs once for the server."""

    def register(function: ServerCheck) -> ServerCheck:
        _add(Check(name, _rule(function), function.__module__, on_server=function))
        return function

    return register


def reward_check(name: str) -> Callable[[RewardCheck], RewardCheck]:
    """Register a check that runs once for each reward."""

    def register(function: RewardCheck) -> RewardCheck:
        _add(Check(name, _rule(function), function.__module__, on_reward=function))
        return function

    return register


def _rule(function: Callable[..., object]) -> str:
    return (inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " ")


def _add(check: Check) -> None:
    if check.name in CHECKS:
        raise ValueError(f"two checks are called {check.name!r}")
    CHECKS[check.name] = check
