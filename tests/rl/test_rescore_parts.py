"""The pieces of a rescoring: columns, ranks, moments, the worst, plans, processes."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from example_run import make_clip, make_step
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scored_run import write_scored_run

from policy.config_file import ConfigError
from rl.advantages import Combine
from rl.group_scoring import view
from rl.ledger import LedgerWriter, part_path, read_part
from rl.rescoring.columns import read_groups
from rl.rescoring.disagreements import Disagreement, Worst
from rl.rescoring.moments import PairMoments
from rl.rescoring.plan import Changes, make_plan, parse_steps, parse_weights
from rl.rescoring.processes import run_tasks
from rl.rescoring.ranks import rank_agreement, sign_flips
from rl.rollout import Fate, Group

CLIPS = [make_clip(number) for number in range(9)]
VALUES = st.floats(-5, 5).map(lambda x: round(x, 1))


def test_light_groups_hold_what_the_full_reader_gives(tmp_path: Path) -> None:
    writer = LedgerWriter(tmp_path / "run")
    empty = Group("g-cancelled", 1, CLIPS[0].clip_id, 2, (), Fate.CANCELLED, "job stopped")
    writer.append(1, [*make_step(1, CLIPS), empty])
    path = part_path(writer.run, 1)
    for full, light in zip(read_part(path), read_groups(path), strict=True):
        assert replace(full, rollouts=()) == replace(light, rollouts=())
        for a, b in zip(full.rollouts, light.rollouts, strict=True):
            seen, want = view(b), view(a)
            for name in ("actions", "states"):
                np.testing.assert_array_equal(getattr(seen, name), getattr(want, name))
            assert replace(seen, actions=None, states=None) == replace(want, actions=None, states=None)
            assert (a.total, a.advantage, a.shares, a.fate, a.seed) == (
                b.total,
                b.advantage,
                b.shares,
                b.fate,
                b.seed,
            )
            assert [(s.reward, s.value, s.status, s.explanation, s.version) for s in a.scores] == [
                (s.reward, s.value, s.status, s.explanation, s.version) for s in b.scores
            ]


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    path = tmp_path / "part-00000001.parquet"
    path.write_bytes(b"PAR1 no parquet")
    with pytest.raises(ValueError, match="part-00000001"):
        read_groups(path)


@settings(deadline=None, max_examples=50)
@given(arrays(float, (3, 6), elements=VALUES), arrays(float, (3, 6), elements=VALUES), st.integers(0, 5))
def test_ranks_agree_with_scipy_whatever_is_missing(a: np.ndarray, b: np.ndarray, lost: int) -> None:
    holed = a.copy()
    holed[0, lost] = np.nan
    tau, rho = rank_agreement(holed, b)
    for row in range(3):
        both = np.isfinite(holed[row])
        x, y = holed[row][both], b[row][both]
        if len(set(x)) < 2 or len(set(y)) < 2:
            assert np.isnan(tau[row])
            continue
        assert tau[row] == pytest.approx(stats.kendalltau(x, y).statistic)
        assert rho[row] == pytest.approx(stats.spearmanr(x, y).statistic)


def test_a_flip_is_a_change_of_side_and_rounding_is_none() -> None:
    old = np.array([1.0, -1.0, 1e-9, 0.5, np.nan])
    new = np.array([-1.0, 2.0, -1e-9, 0.1, 1.0])
    assert sign_flips(old, new).tolist() == [True, True, False, False, False]


@settings(deadline=None, max_examples=50)
@given(arrays(float, (2, 20), elements=st.floats(-100, 100)), st.integers(1, 19))
def test_moments_of_parts_add_up_to_those_of_the_whole(pair: np.ndarray, cut: int) -> None:
    old, new = pair
    whole = PairMoments.of(old, new)
    added = PairMoments() + PairMoments.of(old[:cut], new[:cut]) + PairMoments.of(old[cut:], new[cut:])
    assert added.count == whole.count == 20
    for name in ("old_mean", "new_mean", "old_square", "new_square", "product", "moved"):
        assert getattr(added, name) == pytest.approx(getattr(whole, name), rel=1e-9, abs=1e-8)


def test_a_small_spread_on_a_large_mean_keeps_its_correlation() -> None:
    old = 1e9 + np.arange(50.0)
    parts = [PairMoments.of(old[i : i + 7], -old[i : i + 7]) for i in range(0, 50, 7)]
    assert sum(parts, PairMoments()).correlation() == pytest.approx(-1.0)
    assert PairMoments.of(np.ones(5), np.arange(5.0)).correlation() is None


def test_only_the_worst_are_kept() -> None:
    def found(distance: float) -> Disagreement:
        return Disagreement(distance, 1, "g", f"g/{distance}", "c", "", 0.0, distance, None, None, "", "")

    worst = Worst(3)
    for distances in ([1.0, 5.0], [4.0, 0.5, 3.0], [2.0]):
        worst.add(found(d) for d in distances)
    assert [d.distance for d in worst.kept] == [5.0, 4.0, 3.0]
    assert worst.threshold() == 3.0


def test_a_plan_changes_only_what_was_asked(tmp_path: Path, clip_store: Path) -> None:
    run = write_scored_run(tmp_path / "scored", CLIPS, clip_store, steps=1, groups=1)
    plan = make_plan(
        run.path, Changes(["trajectory", "mine=my.py:f"], {"trajectory": {"ade": 2.0}}, {"mine": 0.5})
    )
    rewards = {reward.name: reward for reward in plan.rewards}
    assert list(rewards) == ["trajectory", "consistency", "reasoning", "mine"]
    assert rewards["trajectory"].args == {"jerk": 0.1, "ade": 2.0}
    assert rewards["consistency"].gate is not None
    assert plan.asked == ("trajectory", "mine")
    assert plan.weights == {"trajectory": 1.0, "consistency": 0.7, "reasoning": 0.3, "mine": 0.5}
    assert plan.clip_stores == (clip_store,)
    other = make_plan(run.path, Changes(["trajectory=consistency"], combine=Combine.NORMALISE_THEN_SUM))
    assert other.rewards[0].args == {}, "another reward does not get the first one's options"
    assert other.advantage.combine is Combine.NORMALISE_THEN_SUM
    assert make_plan(run.path, Changes(["new=consistency"])).weights["new"] == 0.0, (
        "a shadow, until it has a weight"
    )


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (Changes(["trajectry"]), "did you mean 'trajectory'"),
        (Changes(["trajectory="]), "is not name=source"),
        (Changes(weights={"nobody": 1.0}), "the run has"),
        (Changes(weights={"trajectory": 0, "consistency": 0, "reasoning": 0}), "every weight is 0"),
        (Changes(options={"reasoning": {"strict": False}}), "add --reward reasoning"),
    ],
)
def test_a_plan_that_cannot_work_is_refused(
    tmp_path: Path, clip_store: Path, changes: Changes, complaint: str
) -> None:
    run = write_scored_run(tmp_path / "scored", CLIPS, clip_store, steps=1, groups=1)
    with pytest.raises((LookupError, ValueError), match=complaint):
        make_plan(run.path, changes)


def test_a_run_without_clips_or_config_says_what_is_needed(tmp_path: Path) -> None:
    run = write_scored_run(tmp_path / "scored", CLIPS, None, steps=1, groups=1)
    assert make_plan(run.path, Changes()).asked == (), "combining anew needs no clip"
    with pytest.raises(LookupError, match="--clips"):
        make_plan(run.path, Changes(["trajectory"]))
    run.config.unlink()
    with pytest.raises(ConfigError, match="no configuration"):
        make_plan(run.path, Changes())
    with pytest.raises(FileNotFoundError, match="is no run"):
        make_plan(tmp_path / "nowhere", Changes())


def test_weights_and_steps_are_read_or_refused() -> None:
    assert parse_weights("a=1, b=-0.5") == {"a": 1.0, "b": -0.5}
    assert parse_weights(None) == {}
    assert [parse_steps(text) for text in (None, "3:9", "3:", ":9", "4")] == [
        *((1, None), (3, 9), (3, None), (1, 9), (4, 4)),
    ]
    for text in ("a", "a=x", "=1"):
        with pytest.raises(ValueError, match="name=number"):
            parse_weights(text)
    for text in ("x:3", "9:3"):
        with pytest.raises(ValueError, match="steps"):
            parse_steps(text)


class Square:
    """A task that counts, fails, hangs or dies on demand."""

    def __call__(self, task: int | str) -> int:
        if task == "fail":
            raise KeyError("no such clip")
        if task == "hang":
            time.sleep(600)
        if task == "die":
            os._exit(9)
        return int(task) ** 2


def squares(tasks: list[int | str], deadline_s: float = 60.0) -> list[int]:
    return list(run_tasks(Square, tasks, 2, deadline_s, lambda task: f"task {task}"))


@pytest.mark.process
def test_results_come_in_order() -> None:
    assert squares(list(range(20))) == [number**2 for number in range(20)]
    assert squares([]) == []


@pytest.mark.process
@pytest.mark.parametrize(
    ("fault", "error", "complaint"),
    [
        ("fail", LookupError, "no such clip"),
        ("hang", TimeoutError, "task hang was not done within 5 s"),
        ("die", ChildProcessError, r"working on task die died \(exit 9\)"),
    ],
)
def test_a_task_that_fails_hangs_or_dies_is_named(fault: str, error: type[Exception], complaint: str) -> None:
    with pytest.raises(error, match=complaint):
        squares([1, 2, fault, 3], deadline_s=5.0 if fault == "hang" else 60.0)
