"""`ar1 vision-tokens`: what it writes and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from policy.embedded import build_embedded
from policy.spec import CameraSpec, EmbeddedSize, FutureSpec, HistorySpec, PolicySpec, PromptSpec
from rl.cli import build


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "policy"
    build_embedded(
        folder,
        ["keep the lane ."],
        size=EmbeddedSize(),
        future=FutureSpec(bins=16),
        history=HistorySpec(bins=16),
        prompt=PromptSpec.model_validate("empty"),
        cameras=CameraSpec(names=("front_wide", "front_tele"), frames=1, width=96, height=64),
        max_text=8,
        seed=0,
    )
    return folder


def run(*arguments: object) -> object:
    return CliRunner().invoke(build(), ["vision-tokens", *map(str, arguments)])


def test_a_pruned_copy_says_what_it_saves(policy: Path, tmp_path: Path) -> None:
    done = run(policy, tmp_path / "pruned", "--ratio", 4, "--json")
    told = json.loads(done.output.splitlines()[-1])
    assert told["image_tokens"] == 4
    assert told["prompt_tokens_before"] - told["prompt_tokens"] == 8
    assert PolicySpec.load(tmp_path / "pruned").vision_tokens.ratio == 4


def test_a_resampled_copy_asks_for_training(policy: Path, tmp_path: Path) -> None:
    done = run(policy, tmp_path / "five", "--kind", "resample", "--scene-tokens", 5)
    assert done.exit_code == 0
    assert "train it before you judge it" in done.output
    refused = run(policy, tmp_path / "thirteen", "--kind", "resample", "--scene-tokens", 13)
    assert "cannot resample 12 image tokens" in str(refused.exception)
    assert not (tmp_path / "thirteen").exists()
