"""`ar1 drive` and `ar1 latency` on a small policy, and what the learner takes of a completion that an expert
drove."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from policy.completion import Completion
from policy.expert_model import build_expert
from policy.expert_spec import ExpertSpec, FeatureSpec
from policy.grammar import Phase
from policy.planner import Planner
from policy.prompt import PromptBuilder
from policy.tokenizer import TextCodec
from rl.learner_batch import BatchMaker
from rl.rollout import Group, Rollout
from rl.training_batch import make_batch
from scenes.store import ClipStore
from sft.config import DataConfig, PolicyConfig
from sft.data import split_store
from sft.new_policy import new_policy

AR1 = Path(sys.executable).parent / "ar1"
pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """config.yaml, four clips, and a policy with an untrained expert."""
    path = tmp_path_factory.mktemp("drive")
    data = DataConfig(folder=path / "data", train=4, pool=4, validation=4, test=4)
    new_policy(path / "policy", PolicyConfig(max_text=10), data, seed=0)
    spec = ExpertSpec(
        hidden=32, feed_forward=48, heads=2, features=FeatureSpec(hidden=16), mean=(0, 0), std=(0.3, 1e-3)
    )
    build_expert(path / "policy", spec, seed=1).save(path / "policy")
    (path / "config.yaml").write_text(yaml.safe_dump({"data": data.model_dump(mode="json")}))
    split_store(data, "validation")
    return path


def ar1(*arguments: str | Path) -> dict[str, Any]:
    """The JSON line that a command printed."""
    done = subprocess.run([AR1, *map(str, arguments), "--json"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def test_drive_writes_a_picture_and_every_trajectory(folder: Path) -> None:
    out = folder / "out"
    options = ["--samples", "3", "--steps", "2", "--method", "midpoint", "--out", out]
    told = ar1(
        "drive", "--config", folder / "config.yaml", "--policy", folder / "policy", "--clip", "2", *options
    )
    assert len(told["samples"]) == 3
    for sample in told["samples"]:
        assert np.shape(sample["flow"]) == np.shape(sample["discrete"]) == (64, 4)
        assert sample["ade"]["flow"] >= told["min_ade"]["flow"]
    assert (out / "drive.png").stat().st_size > 20_000
    assert json.loads((out / "drive.json").read_text())["clip"] == told["clip"]
    assert set(told["seconds"]) == {"vision", "prefill", "text", "flow", "discrete"}


def test_latency_puts_a_roofline_beside_every_stage(folder: Path) -> None:
    told = ar1("latency", folder / "policy", "--repeats", "3", "--samples", "2", "--threads", "1")
    assert set(told["stages"]) == {"vision", "prefill", "text", "flow", "discrete"}
    for row in told["stages"].values():
        assert row["roofline_ms"] > 0
        assert row["p10_ms"] <= row["ms"] <= row["p90_ms"]


def test_a_planned_latency_runs_nothing() -> None:
    told = ar1(
        "latency", "--plan", "--tflops", "989", "--gbytes-s", "3350", "--samples", "1", "--text-tokens", "40"
    )
    text = told["stages"]["text"]
    assert text["bound"] == "memory"
    assert text["roofline_ms"] == pytest.approx(text["mbytes"] / 3350, rel=1e-6)


def completions(folder: Path) -> tuple[str, list[Completion]]:
    """Two completions of one clip."""
    store = ClipStore.open(next((folder / "data").glob("validation-*")))
    planner = Planner(folder / "policy")
    builder = PromptBuilder(planner.spec, TextCodec.load(folder / "policy"))
    texts = planner.texts(builder.build(store[0]), 2, 1.0, seed=3)
    planner.trajectory_tokens(texts)
    return store.ids[0], list(planner.completions(texts))


def test_the_loss_leaves_out_tokens_that_nobody_drove(folder: Path) -> None:
    clip_id, (own, driven) = completions(folder)
    driven = replace(driven, expert_actions=np.zeros((64, 2), np.float32))
    rollouts = tuple(
        Rollout(f"g/{index}", "g", index, clip_id, 0, completion, None, total=0.0, advantage=1.0)
        for index, completion in enumerate((own, driven))
    )
    batch = make_batch(1, [Group("g", 1, clip_id, 0, rollouts)])
    store = ClipStore.open(next((folder / "data").glob("validation-*")))
    tensors = BatchMaker(folder / "policy", store, seed=0)(batch)
    phases, loss = (
        tensors["phases"].numpy(),
        (tensors["tool_mask"] * tensors["completion_mask"]).numpy().astype(bool),
    )
    assert (phases[0] == Phase.TRAJECTORY).sum() == 128
    assert not (phases[1] == Phase.TRAJECTORY).any()
    for row, completion in enumerate((own, driven)):
        length = len(completion.token_ids)
        assert np.array_equal(loss[row, :length], completion.learned)
        assert not loss[row, length:].any()
    assert int(tensors["num_items_in_batch"]) == loss.sum()
