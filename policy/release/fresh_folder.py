"""A folder that is whole or absent.

Role: long writes go to a temporary name beside the target and are renamed at the end. Invariant: the target's name
never shows a half-written folder, also after an interrupt; what a kill leaves behind begins with a dot.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from policy.release.findings import CheckpointError

MARGIN = 64 << 20
"""Bytes left free beside the weights, for tokenizer and configuration."""


@contextmanager
def fresh_folder(target: Path, nbytes: int) -> Iterator[Path]:
    """A temporary folder to fill, renamed to `target` on success and removed on any failure.

    nbytes: what will be written. Raises FileExistsError when the target is there, CheckpointError when the disk
    cannot hold it.
    """
    if target.exists():
        raise FileExistsError(f"{target} is there already; name another folder or remove it")
    target.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(target.parent).free
    if free < nbytes + MARGIN:
        raise CheckpointError(
            f"{target.parent} has {free / 1e9:.1f} GB free, {(nbytes + MARGIN) / 1e9:.1f} GB are needed; free some"
        )
    partial = target.parent / f".{target.name}.partial-{os.getpid()}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
