"""The folder of blocks: in shared memory where there is any, private, gone with its owner.

Invariant: a folder whose owner died without cleaning up is removed by the next owner on the machine."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
PREFIX = "ar1-clips-"


def new_folder(parent: Path | None = None) -> Path:
    """A fresh folder (mode 0700) under `parent`, by default shared memory, else the temporary folder."""
    if parent is None:
        parent = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    sweep(parent)
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent))


def sweep(parent: Path) -> None:
    """Remove folders of owners that are gone."""
    for folder in parent.glob(f"{PREFIX}*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdigit() and folder.stat().st_uid == os.getuid() and not Path(f"/proc/{owner}").exists():
            shutil.rmtree(folder, ignore_errors=True)
