"""What a resumed stage goes on from, and what its log forgets."""

from __future__ import annotations

import json
from pathlib import Path

from transformers import TrainerControl, TrainerState, TrainingArguments

from sft.checkpoints import MARK, last_whole
from sft.trainer import MetricsFile


def test_only_marked_checkpoints_count_and_numbers_are_compared_as_numbers(tmp_path: Path) -> None:
    assert last_whole(tmp_path / "nothing") is None
    for step, whole in ((8, True), (12, True), (100, False)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "trainer_state.json").touch()
        if whole:
            (folder / MARK).touch()
    assert last_whole(tmp_path) == tmp_path / "checkpoint-12"


def test_a_resumed_stage_takes_back_the_lines_of_steps_it_repeats(tmp_path: Path) -> None:
    path = tmp_path / "losses.jsonl"
    rows = [{"stage": stage, "step": step} for stage in ("stage-0", "stage-1") for step in (2, 4, 6)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = TrainingArguments(output_dir=str(tmp_path / "out"), use_cpu=True, report_to=[])
    MetricsFile(path, "stage-1").on_train_begin(arguments, TrainerState(global_step=4), TrainerControl())
    kept = [json.loads(line) for line in path.read_text().splitlines()]
    assert kept == rows[:5]
