"""Where the files of a run lie.

Role: the one place that spells the names inside `runs/<name>/`, and lists the runs under a folder.
Invariant: nothing here creates a file except `create`; a reader never alters a run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True)
class RunDirectory:
    """Paths of one run. `path` is `runs/<name>`; the folder need not exist yet."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def ledger(self) -> Path:
        return self.path / "ledger"

    @property
    def rollups(self) -> Path:
        return self.path / "rollups.parquet"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def registry(self) -> Path:
        return self.path / "run.sqlite"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def evaluations(self) -> Path:
        return self.path / "eval"

    @property
    def summary(self) -> Path:
        return self.path / "summary.json"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @classmethod
    def create(cls, path: Path | str) -> RunDirectory:
        """Make the folder of a new or resumed run. Raises ValueError when its name cannot be in a URL."""
        run = cls(Path(path))
        if not RUN_NAME.fullmatch(run.name):
            raise ValueError(
                f"run name {run.name!r} does not fit a URL; use letters, digits, '.', '_' and '-', "
                "starting with a letter or digit"
            )
        for folder in (run.path, run.ledger, run.checkpoints, run.evaluations):
            folder.mkdir(parents=True, exist_ok=True)
        return run

    @classmethod
    def existing(cls, path: Path | str) -> RunDirectory:
        """Open a run that is there. Raises FileNotFoundError when `path` holds nothing of a run."""
        run = cls(Path(path))
        if not run.is_run():
            raise FileNotFoundError(
                f"{run.path} is no run: it holds no ledger/, run.sqlite or summary.json; "
                "give the folder that `ar1 grpo` wrote (runs/<name>)"
            )
        return run

    def is_run(self) -> bool:
        """Whether the folder holds anything that only a job writes (supervised training has a config.yaml too)."""
        return any(p.exists() for p in (self.ledger, self.registry, self.summary))


def list_runs(runs_dir: Path | str) -> list[RunDirectory]:
    """Runs directly under `runs_dir`, by name; an absent folder holds none."""
    root = Path(runs_dir)
    if not root.is_dir():
        return []
    found = (RunDirectory(p) for p in root.iterdir() if p.is_dir() and RUN_NAME.fullmatch(p.name))
    return sorted((run for run in found if run.is_run()), key=lambda run: run.name)


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that appears under `path` complete and on disk, or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Put a folder's entries (a rename) on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
