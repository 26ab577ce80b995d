"""Rewards in force: what a change does, what is refused, what a resumed job knows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl.reward_config import GateConfig, RewardConfig
from rl.reward_plan import ChangeKind, ChangeRefusedError, RewardChange, RewardPlan, scheduled
from rl.reward_requests import RewardRequests
from rl.run_registry import RunRegistry

PLAN = RewardPlan(
    (
        RewardConfig(name="a", source="trajectory"),
        RewardConfig(name="b", source="reasoning", weight=0.5, gate=GateConfig(reward="c", at_least=0.4)),
        RewardConfig(name="c", source="consistency", shadow=True, weight=2.0, on_failure="fail_job"),
    )
)


def change(kind: str, name: str, value: float | str | None = None) -> RewardChange:
    return RewardChange(ChangeKind(kind), name, value)


def test_a_shadow_weighs_nothing_and_its_failures_stop_nothing() -> None:
    assert PLAN.weights(1) == {"a": 1.0, "b": 0.5, "c": 0.0}
    assert PLAN.at(1)[2].on_failure == "drop_rollout"
    promoted = PLAN.apply(change("promote", "c"))
    assert promoted.weights(1)["c"] == 2.0
    assert promoted.at(1)[2].on_failure == "fail_job"
    assert promoted.revision == 1


def test_set_swap_add_and_remove() -> None:
    plan = PLAN.apply(change("set", "a", 3)).apply(change("swap", "a", "my.py:f"))
    assert (plan["a"].weight, plan["a"].source) == (3.0, "my.py:f")
    plan = plan.apply(RewardChange(ChangeKind.ADD, "d", "x.py:g", weight=0.2))
    assert plan["d"].shadow
    assert plan.weights(9)["d"] == 0.0
    assert plan.apply(change("promote", "d")).weights(9)["d"] == 0.2
    assert [reward.name for reward in plan.apply(change("remove", "d")).rewards] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (change("set", "z", 1.0), "the run has a, b, c"),
        (change("set", "a", "much"), "a weight is a number"),
        (change("promote", "a"), "is no shadow"),
        (change("add", "a", "x.py:f"), "use `ar1 reward swap`"),
        (change("remove", "c"), "b is gated by c"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(wanted: RewardChange, why: str) -> None:
    before = PLAN.state_dict()
    with pytest.raises(ChangeRefusedError, match=why):
        PLAN.apply(wanted)
    assert PLAN.state_dict() == before


def test_the_last_weight_cannot_be_taken_away() -> None:
    plan = PLAN.apply(change("set", "b", 0.0))
    with pytest.raises(ChangeRefusedError, match="nothing could be learned"):
        plan.apply(change("set", "a", 0.0))


def test_a_plan_survives_json() -> None:
    plan = PLAN.apply(change("set", "a", 3))
    assert RewardPlan.from_state_dict(json.loads(json.dumps(plan.state_dict()))) == plan


def test_a_schedule_scales_the_weight() -> None:
    reward = RewardConfig(name="a", source="a", weight=2.0, schedule=((10, 0.0), (20, 1.0), (30, 0.5)))
    plan = RewardPlan((reward,))
    assert [plan.weights(step)["a"] for step in (1, 10, 15, 20, 25, 30, 99)] == [0, 0, 1, 2, 1.5, 1, 1]
    with pytest.raises(ValueError, match="must ascend"):
        RewardConfig(name="a", source="a", schedule=((5, 1.0), (5, 2.0)))


POINTS = st.lists(
    st.tuples(st.integers(0, 500), st.floats(0, 10)), min_size=1, max_size=6, unique_by=lambda p: p[0]
)


@given(POINTS, st.integers(0, 600))
def test_a_schedule_stays_between_its_points(points: list[tuple[int, float]], step: int) -> None:
    ordered = tuple(sorted(points))
    value = scheduled(ordered, step)
    assert min(f for _, f in ordered) - 1e-9 <= value <= max(f for _, f in ordered) + 1e-9
    assert all(scheduled(ordered, at) == pytest.approx(factor) for at, factor in ordered)


def test_requests_are_answered_once_and_come_back_at_their_step(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has not started"):
        RewardRequests(tmp_path)
    RunRegistry(tmp_path)
    requests = RewardRequests(tmp_path)
    first, second = change("set", "a", 2.0), change("set", "z", 2.0)
    requests.ask(first)
    requests.ask(second)
    open_ones = requests.due(4)
    assert [request.change for request in open_ones] == [first, second]
    requests.applied(open_ones[0], 4)
    requests.refuse(open_ones[1], "no such reward")
    assert requests.due(5) == []
    again = requests.due(4)
    assert [request.change for request in again] == [first], (
        "a resumed job repeats what counted from step 4 on"
    )
    assert [request.refused for request in requests.all()] == [None, "no such reward"]
