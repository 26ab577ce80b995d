"""A whole job through the command line, with Ray, vLLM, gRPC reward servers and TRL's loss."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from safetensors.numpy import load_file
from small_job import AR1, Small, last_json

from rl.ledger import LedgerReader
from rl.ledger_proof import content_digest
from rl.rollout import Fate
from rl.run_registry import Phase, RunRegistry

pytestmark = [pytest.mark.process, pytest.mark.slow]
Ar1 = Callable[..., subprocess.CompletedProcess[str]]


def scalars(run: Path) -> dict[int, dict[str, float]]:
    rows: dict[int, dict[str, float]] = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        rows.setdefault(row["step"], {}).update(row.get("metrics", row))
    return rows


def start(config: Path, *extra: str) -> subprocess.Popen[bytes]:
    log = config.with_suffix(".log").open("wb")
    return subprocess.Popen([AR1, "grpo", "--config", config, *extra], stdout=log, stderr=subprocess.STDOUT)


def wait_for(
    condition: Callable[[], bool], process: subprocess.Popen[bytes], config: Path, deadline_s: float = 240
) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        log = config.with_suffix(".log").read_text(errors="replace")[-4000:]
        assert process.poll() is None, f"the job ended early:\n{log}"
        assert time.monotonic() < end, f"nothing happened in {deadline_s} s:\n{log}"
        time.sleep(0.1)


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL the driver alone, then wait until actors and reward servers have gone by themselves.

    Ray's own agents take longer than a minute to notice; they hold no work.
    """
    started = psutil.Process(process.pid).children(recursive=True)
    children = [child for child in started if "Agent" not in child.name()]
    process.send_signal(signal.SIGKILL)
    process.wait()
    gone, alive = psutil.wait_procs(children, timeout=60)
    assert gone
    assert not alive, f"survived the driver: {[child.name() for child in alive]}"


def server_pid(run: Path, name: str) -> int | None:
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        if "rewards.server" in line and f'"name": "{name}"' in line and str(run) in line:
            return process.pid
    return None


@pytest.fixture(scope="module")
def finished(small: Small) -> Path:
    """An uninterrupted four-step run."""
    config = small.job("whole", steps=4)
    process = start(config)
    assert process.wait(timeout=600) == 0, config.with_suffix(".log").read_text(errors="replace")[-6000:]
    return small.run("whole")


def test_every_group_ends_once_and_is_scored(finished: Path) -> None:
    groups = list(LedgerReader(finished))
    assert Counter(group.step for group in groups) == {1: 4, 2: 4, 3: 4, 4: 4}
    assert len({group.group_id for group in groups}) == 16
    for group in groups:
        assert group.fate is Fate.TRAINED
        assert group.version == group.step - 1
        for rollout in group.rollouts:
            assert rollout.completion.valid, rollout.completion.reason
            assert [score.reward for score in rollout.scores] == ["trajectory", "consistency", "reasoning"]
            assert all(score.value is not None for score in rollout.scores)
            assert set(rollout.completion.versions.tolist()) == {group.version}
        assert sum(r.advantage or 0.0 for r in group.rollouts) == pytest.approx(0.0, abs=1e-6)


def test_sampler_and_learner_agree_and_the_policy_moves(finished: Path, small: Small) -> None:
    rows = scalars(finished)
    for step in (1, 2, 3, 4):
        assert rows[step]["sampling/sampling_logp_difference/max"] <= 1e-3
        assert rows[step]["sampling/probe_difference"] <= 1e-3
        assert rows[step]["grad_norm"] > 0
    before = load_file(small.policy / "model.safetensors")
    after = load_file(finished / "policy" / "model.safetensors")
    assert set(before) == set(after)
    assert any(not np.array_equal(before[name], after[name]) for name in before)


def test_the_rate_falls_in_a_line_to_the_last_step(finished: Path) -> None:
    rates = [row["learning_rate"] for _, row in sorted(scalars(finished).items())]
    assert len(rates) == 4
    falls = -np.diff(rates)
    assert np.allclose(falls, falls[0])
    assert rates[-1] - falls[0] == pytest.approx(0.0, abs=falls[0])
    assert falls[0] > 0


def test_the_run_says_that_it_finished(finished: Path) -> None:
    state = RunRegistry(finished, read_only=True).state()
    assert state is not None
    assert (state.phase, state.step, state.total) == (Phase.FINISHED, 4, 4)
    assert list((finished / "tensorboard").iterdir())


def test_a_run_is_not_overwritten(finished: Path, small: Small, ar1: Ar1) -> None:
    done = ar1("grpo", "--config", small.folder / "whole.yaml", code=1)
    assert "holds a run already" in done.stderr
    digest = content_digest(finished)
    assert digest == content_digest(finished, up_to_step=4)


def test_sigkilled_driver_resumes_to_the_same_ledger(finished: Path, small: Small, ar1: Ar1) -> None:
    config = small.job("killed", steps=4)
    process = start(config)
    ledger = small.run("killed") / "ledger"
    wait_for(lambda: (ledger / "part-00000003.parquet").exists(), process, config)
    kill_tree(process)
    assert not (ledger / "part-00000004.parquet").exists(), "killed too late to prove anything"
    ar1("grpo", "--config", config, "--resume")
    assert content_digest(small.run("killed")) == content_digest(finished)
    ours = load_file(small.run("killed") / "policy" / "model.safetensors")
    theirs = load_file(finished / "policy" / "model.safetensors")
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


def test_resuming_under_another_configuration_is_refused(finished: Path, small: Small, ar1: Ar1) -> None:
    del finished
    done = ar1(
        "grpo",
        "--config",
        small.folder / "whole.yaml",
        "--resume",
        "learner.learning_rate=0.1",
        "steps=6",
        code=1,
    )
    assert "another configuration" in done.stderr


# The consistency reward may go missing for good: neutral for its groups, and no reason to pause.
MISSABLE = {"on_failure": "neutral", "deadline_s": 3, "restarts": 0, "pause": {"missing_share": 1.0}}
REWARDS = [
    {"name": "trajectory", "source": "trajectory"},
    {"name": "consistency", "source": "consistency", **MISSABLE},
    {"name": "reasoning", "source": "reasoning"},
]


def test_sigkilled_reward_servers(small: Small) -> None:
    """One server that may not be restarted and one that is: missing with the cause, and healed."""
    config = small.job("orphan", steps=5, rewards=REWARDS)
    process, run = start(config), small.run("orphan")
    wait_for(lambda: (run / "ledger" / "part-00000001.parquet").exists(), process, config)
    for name in ("consistency", "reasoning"):
        pid = server_pid(run, name)
        assert pid is not None
        psutil.Process(pid).send_signal(signal.SIGKILL)
    assert process.wait(timeout=600) == 0, config.with_suffix(".log").read_text(errors="replace")[-6000:]
    groups = list(LedgerReader(run))
    assert len(groups) == len({group.group_id for group in groups}) == 20, "none lost, none counted twice"
    assert all(group.fate is Fate.TRAINED for group in groups)
    late = [s for g in groups if g.step >= 3 for r in g.rollouts for s in r.scores]
    lost = [score for score in late if score.reward == "consistency"]
    assert lost
    assert all(score.value is None for score in lost)
    assert all("UNAVAILABLE" in score.explanation for score in lost)
    assert all(score.value is not None for score in late if score.reward == "trajectory")
    last = [s for r in groups[-1].rollouts for s in r.scores if s.reward == "reasoning"]
    assert all(score.value is not None for score in last)
    assert scalars(run)[5]["server/reasoning/starts"] == 2


def test_doctor_finds_sampler_and_learner_in_agreement(small: Small, ar1: Ar1) -> None:
    found = last_json(ar1("doctor", "--config", small.job("doctor"), "--json"))
    values = {finding["name"]: finding for finding in found["findings"]}  # type: ignore[attr-defined]
    assert found["ok"]
    for section in ("text", "trajectory", "forced"):
        assert values[f"log-probabilities, {section}"]["value"] <= 1e-3
    assert values["prompts token-identical"]["value"] == 0
    assert {"reward trajectory", "reward consistency", "reward reasoning"} <= set(values)


def test_evaluation_compares_two_policies_on_the_same_clips(finished: Path, small: Small, ar1: Ar1) -> None:
    del finished
    done = last_json(ar1("evaluate", "--config", small.folder / "whole.yaml", "--json"))
    metrics = done["metrics"]
    assert isinstance(metrics, dict)
    for name in ("reward", "ade@greedy", "consistency@t0.4", "validity"):
        row = metrics[name]
        assert row["paired"][0] == pytest.approx(row["after"][0] - row["before"][0], abs=1e-9)
        assert row["clips"] == 12
    assert metrics["validity"]["after"][0] == 1.0
