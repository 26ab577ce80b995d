"""Rewards of a running job: shadowed, promoted, weighted anew, swapped, without a restart and through a kill."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_job import Small
from test_job import kill_tree, start, wait_for

from rl.advantages import combine_group
from rl.group_scoring import score_values
from rl.ledger import LedgerReader, part_path, parts, rewards_of
from rl.reward_plan import RewardPlan
from rl.run_directory import RunDirectory
from rl.run_registry import RunRegistry

pytestmark = [pytest.mark.process, pytest.mark.slow]
Ar1 = Callable[..., subprocess.CompletedProcess[str]]

GENTLE = '''
def gentle(rollouts, clips):
    """Little acceleration."""
    return [None if r.actions is None else -float(abs(r.actions[:, 0]).mean()) for r in rollouts]
'''


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    (row,) = json.loads(done.stdout)
    return dict(row)


def assert_combined_as_logged(run: Path, step: int) -> None:
    """The totals and advantages of a step follow, bit for bit, from its scores and the rewards it says it had."""
    told = RewardPlan.from_state_dict(rewards_of(part_path(RunDirectory(run), step)))
    for group in LedgerReader(run).groups(step):
        assert group.weights == told.weights(step)
        names = list(group.weights)
        scores = {n: [next(s for s in r.scores if s.reward == n) for r in group.rollouts] for n in names}
        result = combine_group(score_values(scores, told.at(step)), told.weights(step))
        logged = [r.total for r in group.rollouts]
        np.testing.assert_array_equal(result.totals, np.array(logged, float))
        np.testing.assert_array_equal(result.advantages, [r.advantage for r in group.rollouts])


def test_a_new_reward_from_shadow_to_promoted_through_a_kill(small: Small, ar1: Ar1, tmp_path: Path) -> None:
    made = json.loads(ar1("reward", "new", "progress", "--into", tmp_path / "mine", "--json").stdout)
    source = str(made["source"])
    assert source == f"{tmp_path}/mine/progress/progress.py:Progress"
    other = tmp_path / "gentle.py"
    other.write_text(GENTLE)
    config = small.job("live", steps=40, checkpoint_every=50)
    run = small.run("live")
    process = start(config)
    wait_for(lambda: part_path(RunDirectory(run), 1).exists(), process, config)

    added = answer(ar1("reward", "add", run, f"progress={source}", "--weight", "0.5", "--json"))
    shadowed = int(str(added["step"]))
    refused = ar1("reward", "promote", run, "trajectory", code=1)
    assert "is no shadow" in refused.stdout
    broken = ar1("reward", "swap", run, f"progress={source}Absent", code=1)
    assert "refused" in broken.stdout, "a source that does not load must leave the old one in place"
    promoted = int(str(answer(ar1("reward", "promote", run, "progress", "--json"))["step"]))
    weighed = int(str(answer(ar1("reward", "set", run, "consistency=0.25", "--json"))["step"]))
    swapped = int(str(answer(ar1("reward", "swap", run, f"progress={other}:gentle", "--json"))["step"]))
    assert shadowed < promoted <= weighed <= swapped
    wait_for(lambda: part_path(RunDirectory(run), swapped + 1).exists(), process, config)
    kill_tree(process)
    reader = LedgerReader(run)
    first = {step: reader.groups(step)[0] for step in parts(run)}
    assert "progress" not in first[shadowed - 1].weights
    assert first[shadowed].weights["progress"] == 0.0
    assert all("progress" not in rollout.shares for rollout in first[shadowed].rollouts), (
        "a shadow moves nothing"
    )
    assert all(s.value is not None for s in first[shadowed].rollouts[0].scores), "but it is scored"
    assert first[promoted].weights["progress"] == 0.5
    assert "progress" in first[promoted].rollouts[0].shares
    assert first[weighed].weights["consistency"] == 0.25
    versions = [
        next(s.version for s in first[step].rollouts[0].scores if s.reward == "progress")
        for step in (swapped - 1, swapped)
    ]
    assert versions[0] != versions[1]
    for step in (shadowed, promoted, weighed, swapped):
        assert_combined_as_logged(run, step)

    # No checkpoint was written: the resumed job begins anew and applies each change at the step it counted from.
    shorter = small.job("live", steps=swapped + 1, checkpoint_every=50)
    ar1("grpo", "--config", shorter, "--resume")
    again = LedgerReader(run)
    for step in (shadowed - 1, shadowed, promoted, weighed, swapped):
        assert again.groups(step)[0].weights == first[step].weights
    assert_combined_as_logged(run, swapped)
    with_reason = [event.text for event in RunRegistry(run, read_only=True).events()]
    assert any("refused swap progress" in text for text in with_reason)
    late = ar1("reward", "set", run, "progress=1", code=1)
    assert "its rewards can be changed while it runs" in late.stderr
