"""Checkpoints of a job: complete or absent.

Role: one folder per checkpoint with the learner's files and state.json (step, version, curator, ledger offset,
configuration). Invariant: a folder named step-* is whole (written aside, then renamed); resuming under another
configuration is refused.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

STATE_FILE = "state.json"
KEPT = 2


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged or of another job."""


def write_checkpoint(
    root: Path, step: int, state: dict[str, Any], save_learner: Callable[[Path], None]
) -> Path:
    """Write root/step-<step>, then drop all but the newest two."""
    root.mkdir(parents=True, exist_ok=True)
    final = root / f"step-{step:05d}"
    partial = root / f".partial-{step:05d}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    save_learner(partial)
    with (partial / STATE_FILE).open("w") as file:
        json.dump({"step": step, **state}, file)
        file.flush()
        os.fsync(file.fileno())
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    for old in sorted(root.glob("step-*"))[:-KEPT]:
        shutil.rmtree(old)
    return final


def latest_checkpoint(root: Path) -> Path | None:
    """The newest complete checkpoint, or None."""
    found = sorted(root.glob("step-*"))
    return found[-1] if found else None


def read_state(folder: Path, config_digest: str) -> dict[str, Any]:
    """State of a checkpoint. Raises CheckpointError when it is damaged or was written under another config."""
    path = folder / STATE_FILE
    try:
        state = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise CheckpointError(
            f"{path} cannot be read ({error}); delete the folder to use the one before"
        ) from error
    if state.get("config_sha256") != config_digest:
        raise CheckpointError(
            f"{folder} was written under another configuration; resume with the run's own config.yaml "
            "or start a new run under another name"
        )
    return dict(state)
