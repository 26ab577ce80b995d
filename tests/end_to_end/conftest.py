"""Fixtures of the small real job: an untrained embedded policy, two dozen clips, every process real."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from small_job import AR1, Small

from sft.config import DataConfig, PolicyConfig
from sft.data import split_store
from sft.new_policy import new_policy


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    folder = tmp_path_factory.mktemp("small")
    data = DataConfig(folder=folder / "data", train=32, pool=24, validation=12, test=12)
    policy = folder / "policy"
    new_policy(policy, PolicyConfig(max_text=12), data, seed=0)
    for split in ("pool", "validation"):
        split_store(data, split)
    return Small(folder, data, policy)


@pytest.fixture
def ar1(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command to its end; on failure its output is in the assertion."""

    def run(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [AR1, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=600,
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == code, f"{arguments}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
        return done

    return run
