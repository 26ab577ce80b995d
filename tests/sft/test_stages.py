"""Supervised stages: images are learned from, and an interrupted stage ends where an uninterrupted one does."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from policy.spec import PolicySpec

AR1 = Path(sys.executable).parent / "ar1"
QUICKSTART = Path(__file__).parents[2] / "configs" / "quickstart" / "sft.yaml"
pytestmark = [pytest.mark.process, pytest.mark.slow]


def config(
    folder: Path, data: Path, name: str, train: int, stages: list[dict[str, object]], every: int
) -> Path:
    content = yaml.safe_load(QUICKSTART.read_text())
    content |= {"name": name, "runs": str(folder), "threads": 1, "stages": stages, "checkpoint_every": every}
    content["data"] |= {"folder": str(data), "train": train, "pool": 8, "validation": 96, "test": 8}
    content["log_every"] = 2
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sft")


def test_images_matter_after_the_warm_up(folder: Path) -> None:
    stages = [
        {"kind": "vision", "steps": 160, "batch_size": 32, "learning_rate": 2e-3},
        {"kind": "text", "steps": 220, "batch_size": 16, "learning_rate": 2e-3},
    ]
    path = config(folder, folder / "data", "learns", 1600, stages, 1000)
    done = subprocess.run(
        [AR1, "sft", "--config", path, "--json"], capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr[-4000:]
    run = folder / "learns"
    rows = [json.loads(line) for line in (run / "validation.jsonl").read_text().splitlines()]
    assert rows[0]["vision/decisions_right"] > 0.4, "15 situations; the commonest decision pair is one in six"
    assert rows[1]["text/shuffled_nll"] - rows[1]["text/nll"] > 0.02
    assert (run / "loss_curve.png").stat().st_size > 10_000
    assert PolicySpec.load(run / "policy").future.carry_error


def test_a_killed_stage_resumes_to_the_same_weights(folder: Path) -> None:
    stages = [{"kind": "joint", "steps": 12, "batch_size": 4, "learning_rate": 1e-3}]
    whole = config(folder, folder / "small", "whole", 48, stages, 4)
    subprocess.run([AR1, "sft", "--config", whole], check=True, capture_output=True, timeout=600)
    cut = config(folder, folder / "small", "cut", 48, stages, 4)
    process = subprocess.Popen(
        [AR1, "sft", "--config", cut], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    checkpoint = folder / "cut" / "stage-0-joint" / "checkpoint-4" / "whole"
    end = time.monotonic() + 300
    while not checkpoint.exists():
        assert process.poll() is None, "ended before its first checkpoint"
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "cut" / "policy").exists(), "killed too late to prove anything"
    subprocess.run([AR1, "sft", "--config", cut], check=True, capture_output=True, timeout=600)
    ours = load_file(folder / "cut" / "policy" / "model.safetensors")
    theirs = load_file(folder / "whole" / "policy" / "model.safetensors")
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
