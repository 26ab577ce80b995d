"""What a user can get wrong, and what the project says: one table.

Truncated completions, wrong ids and empty text are in tests/policy/test_grammar.py, configuration keys in
tests/rl/test_config.py, malformed wire messages in tests/rewards/.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from policy.spec import PolicySpec
from policy.tokenizer import TextCodec
from policy.trajectory_tokens import FutureCodec
from rewards.score import RolloutView, Score, Status
from rewards.trajectory import TrajectoryReward
from rl.checkpoint import CheckpointError, read_state, write_checkpoint
from rl.config import JobConfig
from rl.judgement import judge
from rl.run import check_start
from rl.summary import load_figures
from scenes.commonroad import RecordingError
from scenes.store import ClipStore, StoreError
from sft.config import DataConfig
from sft.data import recorded_store, split_store


def cut_record(store: Path) -> None:
    path = store / "shards" / "0" / "records.bin"
    data = bytearray(path.read_bytes())
    data[len(data) // 20] ^= 0xFF
    path.write_bytes(bytes(data))


def checkpoint(folder: Path) -> Path:
    return write_checkpoint(folder, 3, {"config_sha256": "mine"}, lambda _: None)


def damaged_checkpoint(folder: Path) -> None:
    made = checkpoint(folder)
    (made / "state.json").write_text('{"step": 3, "config')
    read_state(made, "mine")


def bad_spec(folder: Path) -> None:
    (folder / "ar1.json").write_text(json.dumps({"vocabulary": {}, "speed": 3}))
    PolicySpec.load(folder)


CASES: dict[str, tuple[Callable[[Path], object], type[Exception], str]] = {
    "policy folder that is none": (PolicySpec.load, FileNotFoundError, "not a policy folder"),
    "policy spec of another kind": (bad_spec, ValueError, "does not describe a policy"),
    "policy without tokenizer": (TextCodec.load, FileNotFoundError, "has no tokenizer.json"),
    "store that is none": (lambda f: ClipStore.open(f / "absent"), StoreError, "absent"),
    "missing recorded folder": (
        lambda f: recorded_store(DataConfig(folder=f), f / "recorded", 4),
        RecordingError,
        "recorded",
    ),
    "evaluation without recorded folder": (
        lambda f: judge(_with_policy(f, recorded=f / "recorded"), None, f / "policy", "validation", "v"),
        FileNotFoundError,
        "evaluation.recorded=null",
    ),
    "evaluation of an absent policy": (
        lambda f: judge(JobConfig(runs=f, policy=f / "absent"), None, None, "validation", "v"),
        FileNotFoundError,
        "is no policy folder",
    ),
    "figures that were never made": (lambda f: load_figures(f / "x.json"), FileNotFoundError, "ar1 evaluate"),
    "split that does not exist": (
        lambda f: split_store(DataConfig(folder=f), "tset"),
        ValueError,
        "no split",
    ),
    "resume of nothing": (
        lambda f: check_start(JobConfig(runs=f), True),
        FileNotFoundError,
        "nothing to resume",
    ),
    "checkpoint of another job": (
        lambda f: read_state(checkpoint(f), "yours"),
        CheckpointError,
        "another configuration",
    ),
    "damaged checkpoint": (damaged_checkpoint, CheckpointError, "cannot be read"),
    "NaN actions": (lambda _: FutureCodec().encode(np.full((64, 2), np.nan)), ValueError, "non-finite"),
    "a failure scored as a number": (
        lambda _: Score("a", 0.0, Status.INFRASTRUCTURE),
        ValueError,
        "contradicts status",
    ),
    "a NaN score": (lambda _: Score("a", float("nan")), ValueError, "missing score"),
}


def _with_policy(folder: Path, recorded: Path) -> JobConfig:
    (folder / "policy").mkdir()
    (folder / "policy" / "ar1.json").write_text("{}")
    config = JobConfig(runs=folder, policy=folder / "policy", data=DataConfig(folder=folder, validation=1))
    evaluation = config.evaluation.model_copy(update={"recorded": recorded})
    return config.model_copy(update={"evaluation": evaluation})


@pytest.mark.parametrize(("action", "error", "message"), CASES.values(), ids=CASES.keys())
def test_the_error_names_what_is_wrong(
    action: Callable[[Path], object], error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error) as caught:
        action(tmp_path)
    assert message in str(caught.value)


def test_a_corrupt_clip_is_an_error_that_names_it(clip_store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "store"
    shutil.copytree(clip_store, copy)
    cut_record(copy)
    store = ClipStore.open(copy)
    with pytest.raises(StoreError, match="rebuild"):
        list(store)


def test_an_invalid_completion_gets_the_lowest_value_and_its_reason(clip_store: Path) -> None:
    clip = ClipStore.open(clip_store)[0].without_cameras()
    reward = TrajectoryReward()
    rollout = RolloutView("r", "g", clip.clip_id, "", valid=False, reason="empty reasoning text")
    score = reward.score([rollout], {clip.clip_id: clip})[0]
    assert score.value == reward.low
    assert "empty reasoning text" in score.explanation
