"""Configuration: strict, with suggestions, and consistent before a process starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from policy.config_file import ConfigError, dump_config, load_config
from rl.config import JobConfig
from rl.plan import plan
from sft.config import SftConfig

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*/sft.yaml")), ids=str)
def test_shipped_sft_files_load(path: Path) -> None:
    assert load_config(SftConfig, path).stages


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*/grpo.yaml")), ids=str)
def test_shipped_job_files_load_and_plan(path: Path) -> None:
    config = load_config(JobConfig, path)
    assert plan(config)["batch"]["steps"] == config.steps


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("rollout.group_sise=8", "unknown key rollout.group_sise; did you mean 'group_size'?"),
        ("lerner.threads=1", "unknown key lerner; did you mean 'learner'?"),
        ("rollout.group_size=0", "rollout.group_size: Input should be greater than 0"),
        ("rollout.top_p=0.98", "refused for training"),
        ("rollout.group_size=1", "no baseline"),
        ("learner.micro_batch=48", "change learner.micro_batch"),
        ("rollout.group_size", "not of the form"),
        ("max_staleness=2", "max_staleness"),
        ("learner.deepspeed=zero2.json", "needs learner.gpus above 0"),
        ("rewards=[]", "one weight above 0"),
    ],
)
def test_bad_settings_name_their_fix(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("?", r"\?").replace("(", r"\(")):
        load_config(JobConfig, None, [override])


@pytest.mark.parametrize("entry", ["2", "reasoning"])
def test_list_entries_are_overridden_by_number_or_name(entry: str) -> None:
    config = load_config(JobConfig, CONFIGS / "quickstart" / "grpo.yaml", [f"rewards.{entry}.weight=2"])
    assert [reward.weight for reward in config.rewards if reward.name == "reasoning"] == [2.0]


@pytest.mark.parametrize("entry", ["7", "comfort"])
def test_an_absent_list_entry_names_the_present_ones(entry: str) -> None:
    with pytest.raises(ConfigError, match="trajectory, consistency, reasoning"):
        load_config(JobConfig, CONFIGS / "quickstart" / "grpo.yaml", [f"rewards.{entry}.weight=2"])


def test_unknown_key_in_a_list_of_rewards() -> None:
    with pytest.raises(ConfigError, match="did you mean 'weight'"):
        load_config(JobConfig, None, ["rewards=[{name: a, source: a, wieght: 2}]"])


def test_a_gate_names_another_reward() -> None:
    with pytest.raises(ConfigError, match="which is no other reward"):
        load_config(JobConfig, None, ["rewards=[{name: a, source: a, gate: {reward: a, at_least: 1}}]"])


def test_missing_and_malformed_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no configuration at"):
        load_config(JobConfig, tmp_path / "absent.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("rollout: {group_size: 8")
    with pytest.raises(ConfigError, match="not readable YAML"):
        load_config(JobConfig, broken)
    broken.write_text("- a\n- b\n")
    with pytest.raises(ConfigError, match="mapping of sections"):
        load_config(JobConfig, broken)


def test_what_is_resolved_reads_back(tmp_path: Path) -> None:
    config = load_config(JobConfig, None, ["rollout.group_size=4", "learner.micro_batch=16"])
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config))
    assert load_config(JobConfig, path) == config
