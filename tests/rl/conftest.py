"""An example run with its clip store, written once for the tests that read one."""

from __future__ import annotations

from pathlib import Path

import pytest
from example_run import make_clip, write_run

from scenes.cameras import default_rig
from scenes.store import ClipStoreWriter

CLIPS = 9


@pytest.fixture(scope="session")
def clip_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of example clips."""
    path = tmp_path_factory.mktemp("clips") / "store"
    with ClipStoreWriter(path, default_rig(frames=2, width=36, height=24)) as writer:
        for number in range(CLIPS):
            writer.append(make_clip(number))
    return path


@pytest.fixture(scope="session")
def runs_dir(tmp_path_factory: pytest.TempPathFactory, clip_store: Path) -> Path:
    """A folder with one finished run of six steps, "demo". Tests only read it."""
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "demo", [make_clip(n) for n in range(CLIPS)], steps=6, clip_stores=[clip_store])
    return folder
