"""Which checkpoint of a stage is whole.

Role: transformers writes a checkpoint file by file into its final folder; a process that is killed meanwhile
leaves one that looks usable. Invariant: a stage resumes only from a checkpoint that every rank had finished.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

MARK = "whole"


def last_whole(folder: Path) -> Path | None:
    """The newest finished checkpoint of a stage's folder; None when there is none."""
    marks = folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*/{MARK}")
    whole = [mark.parent for mark in marks]
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


class MarkWhole(TrainerCallback):
    """Marks each checkpoint once all ranks have written their part."""

    def __init__(self, accelerator: Any) -> None:
        self._accelerator = accelerator

    def on_save(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
        """Wait for the other ranks, then mark."""
        del control, kw
        self._accelerator.wait_for_everyone()
        if state.is_world_process_zero:
            (Path(args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}" / MARK).touch()
