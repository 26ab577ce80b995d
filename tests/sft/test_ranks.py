"""Several ranks and options, with real processes: the curve of one rank, and the same weights after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from policy.backbone import load_backbone

AR1 = Path(sys.executable).parent / "ar1"
ROOT = Path(__file__).parents[2]
ZERO_2 = ROOT / "configs" / "deepspeed" / "cpu-zero2.json"
pytestmark = [pytest.mark.process, pytest.mark.slow]
JOINT: dict[str, object] = {"kind": "joint", "steps": 8, "batch_size": 4, "learning_rate": 1e-3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ranks")


def write(folder: Path, name: str, stage: dict[str, object], **execution: object) -> Path:
    content = yaml.safe_load((ROOT / "configs" / "quickstart" / "sft.yaml").read_text())
    content |= {"name": name, "runs": str(folder), "threads": 1, "stages": [stage], "execution": execution}
    content["data"] |= {"folder": str(folder / "data"), "train": 24, "pool": 8, "validation": 32, "test": 8}
    content |= {"log_every": 2, "checkpoint_every": 4, "validation_clips": 8}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def finish(path: Path) -> None:
    done = subprocess.run([AR1, "sft", "--config", path], capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="module")
def plain(folder: Path) -> Path:
    """One rank without options: what the others are held against."""
    finish(write(folder, "plain", JOINT))
    return folder / "plain"


def losses(run: Path) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in (run / "losses.jsonl").read_text().splitlines()]
    return [{key: row[key] for key in row if "/" in key} for row in rows]


def kill_and_resume(cut: Path) -> Path:
    """Kill a run after its first checkpoint, process group and all, and finish it; returns its folder."""
    process = subprocess.Popen(
        [AR1, "sft", "--config", cut],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    run = cut.with_suffix("")
    end = time.monotonic() + 700
    while not (run / "stage-0-joint" / "checkpoint-4" / "whole").exists():
        assert process.poll() is None, "ended before its first checkpoint"
        assert time.monotonic() < end
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (run / "policy").exists(), "killed too late to prove anything"
    finish(cut)
    return run


def alike(run: Path, other: Path) -> bool:
    """Whether weights and logged losses are equal to the last bit."""
    ours, theirs = (load_file(path / "policy" / "model.safetensors") for path in (run, other))
    return losses(run) == losses(other) and all(np.array_equal(ours[name], theirs[name]) for name in theirs)


def test_zero_2_and_zero_3_give_the_losses_of_one_rank(folder: Path) -> None:
    command = ["-m", "benchmarks.zero_curves", "--steps", "6", "--batch", "4", "--folder", folder / "curves"]
    done = subprocess.run(
        [sys.executable, *command, "--only", "zero2", "--only", "zero3"],
        capture_output=True,
        text=True,
        timeout=850,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    figures = json.loads((folder / "curves" / "zero_curves.json").read_text())
    assert all(0 < figures[name]["losses"] <= 1e-3 for name in ("zero2", "zero3")), figures


def test_killed_ranks_under_zero_resume_to_the_same_weights(folder: Path) -> None:
    options = {"ranks": 2, "deepspeed": str(ZERO_2)}
    finish(write(folder, "zero", JOINT, **options))
    assert alike(kill_and_resume(write(folder, "zero-cut", JOINT, **options)), folder / "zero")


def test_buckets_adapters_and_parts_resume_to_the_same_weights(folder: Path) -> None:
    """Steps 5 to 8 begin in the first epoch (6 steps) and end in the second."""
    stage = JOINT | {"lora": {"rank": 4}}
    options = {"bucket_lengths": True, "micro_batch": 2, "gradient_checkpointing": True}
    finish(write(folder, "all", stage, **options))
    assert alike(kill_and_resume(write(folder, "all-cut", stage, **options)), folder / "all")
    names = load_backbone(folder / "all" / "start").state_dict().keys()
    assert load_backbone(folder / "all" / "policy").state_dict().keys() == names
    assert (folder / "all" / "stage-0-joint" / "adapter" / "adapter_config.json").exists()


def test_parts_ranks_and_checkpointing_do_not_move_the_losses(folder: Path, plain: Path) -> None:
    finish(write(folder, "parts", JOINT, ranks=2, micro_batch=1, gradient_checkpointing=True))
    for ours, theirs in zip(losses(folder / "parts"), losses(plain), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-3)


def test_bf16_learns_beside_fp32(folder: Path, plain: Path) -> None:
    finish(write(folder, "half", JOINT, precision="bf16"))
    full, half = ([row["trajectory/nll"] for row in losses(run) if row] for run in (plain, folder / "half"))
    assert half != full
    assert half == pytest.approx(full, rel=0.02)


def test_a_failing_rank_ends_the_command_with_its_reason(folder: Path) -> None:
    path = folder / "wrong.json"
    path.write_text(json.dumps({"zero_optimization": {"stage": 2}, "train_batch_size": 77}))
    config = write(folder, "wrong", JOINT, ranks=2, deepspeed=str(path))
    done = subprocess.run([AR1, "sft", "--config", config], capture_output=True, text=True, timeout=600)
    assert done.returncode == 1
    assert "a rank of stage-0-joint failed" in done.stderr
    assert "train_batch_size" in done.stderr
