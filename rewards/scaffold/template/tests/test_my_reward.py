"""my_reward by itself, and served over gRPC under the checks of the reward contract."""

from __future__ import annotations

from pathlib import Path

import my_reward
import pytest

from rewards.conformance import Outcome, Target, check_server
from rewards.conformance.samples import Samples
from rewards.launch import LaunchConfig, SupervisedServer
from rewards.registry import RewardSource
from rewards.server import ServerConfig
from rewards.wire.clips import decode_clip
from rewards.wire.codec import decode_rollout


def test_the_expert_is_best_and_braking_is_worse() -> None:
    samples = Samples(images=False)
    clip = decode_clip(samples.clip("straight"))
    # Kind 0 drives like the expert; a higher kind brakes harder.
    rollouts = [decode_rollout(samples.rollout("straight", kind)) for kind in (0, 10)]
    rollouts.append(decode_rollout(samples.invalid("straight")))
    expert, braking, invalid = my_reward.MyReward().score(rollouts, {"straight": clip})
    assert expert.value == pytest.approx(1.0)
    assert braking.value is not None
    assert 0.0 < braking.value < 1.0
    assert invalid.value == 0.0


def test_served_it_keeps_the_reward_contract(tmp_path: Path) -> None:
    source = RewardSource(f"{my_reward.__file__}:MyReward")
    with SupervisedServer(LaunchConfig(ServerConfig((source,)), tmp_path)) as server:
        results = check_server(Target(server.address))
    assert [(r.check, r.detail) for r in results if r.outcome is Outcome.FAILED] == []
    assert {r.reward for r in results} == {"", "my_reward"}
