"""A job whose rollouts are driven by the flow expert, through the command line and with every process real."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_job import Small

from policy.expert_driver import ExpertDriver
from policy.expert_model import build_expert
from policy.expert_spec import ExpertSpec, FeatureSpec
from policy.flow_options import FlowOptions, Integrator
from policy.prompt import PromptBuilder
from policy.spec import PolicySpec
from policy.tokenizer import TextCodec
from rl.ledger import LedgerReader
from scenes.dynamics import integrate
from scenes.store import ClipStore
from sft.data import split_store

pytestmark = [pytest.mark.process, pytest.mark.slow]
Ar1 = Callable[..., subprocess.CompletedProcess[str]]
ROLLOUT = {
    "clips_per_step": 4,
    "group_size": 4,
    "threads": 1,
    "trajectory_from": "expert",
    "flow_steps": 2,
    "flow_method": "heun",
}


@pytest.fixture(scope="module")
def with_expert(small: Small) -> Path:
    """The small policy with an untrained expert, whose trajectories are scaled noise."""
    folder = small.folder / "policy-with-expert"
    shutil.copytree(small.policy, folder)
    spec = ExpertSpec(
        hidden=32, feed_forward=48, heads=2, features=FeatureSpec(hidden=16), mean=(0, 0), std=(0.3, 1e-3)
    )
    build_expert(folder, spec, seed=1).save(folder)
    return folder


def test_the_expert_s_trajectories_are_rewarded_and_recorded(
    small: Small, with_expert: Path, ar1: Ar1
) -> None:
    config = small.job("expert", policy=str(with_expert), steps=2, rollout=ROLLOUT)
    ar1("grpo", "--config", config)
    run = small.run("expert")
    reader = LedgerReader(run)
    first = reader.groups(1)
    rollouts = [rollout for group in first for rollout in group.rollouts]
    assert {rollout.completion.trajectory_from for rollout in rollouts} == {"expert"}
    counted = reader.query("SELECT trajectory_from, count(*) AS n FROM ledger GROUP BY 1").to_pylist()
    assert counted == [{"trajectory_from": "expert", "n": 32}]
    vocabulary = PolicySpec.load(with_expert).vocabulary_ids()
    for rollout in rollouts:
        trajectory, completion = rollout.trajectory, rollout.completion
        assert trajectory is not None
        assert completion.bins is None, "nobody drives them, so nobody samples them"
        assert completion.token_ids[-1] == vocabulary.traj_start
        assert len(completion.token_ids) <= 12 + 2
        assert any(score.reward == "trajectory" and score.value is not None for score in rollout.scores)
    store = ClipStore.open(split_store(small.data, "pool"))
    clip = store[store.index(first[0].clip_id)]
    prompt = PromptBuilder(PolicySpec.load(with_expert), TextCodec.load(with_expert)).build(clip)
    driver = ExpertDriver(with_expert, FlowOptions(2, Integrator.HEUN))
    group = first[0].rollouts
    again = driver.actions(prompt, [r.completion.token_ids for r in group], [r.seed for r in group])
    for rollout, actions in zip(group, again, strict=True):
        assert np.allclose(rollout.completion.expert_actions, actions, atol=1e-4)
        states = integrate(rollout.trajectory.actions, float(clip.ego_history[-1, 3]))
        assert np.array_equal(rollout.trajectory.states, states)
    assert (run / "policy" / "expert" / "model.safetensors").is_file(), "the trained policy keeps its expert"


def test_a_job_without_an_expert_ends_before_anything_starts(small: Small, ar1: Ar1) -> None:
    config = small.job("no-expert", rollout=ROLLOUT)
    done = ar1("grpo", "--config", config, code=1)
    assert "has no flow expert" in done.stderr
    assert "ar1 sft" in done.stderr
