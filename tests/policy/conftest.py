"""A sample in the release's layout, and the policy folder it becomes. Tests only read them."""

from __future__ import annotations

from pathlib import Path

import pytest
from release_folders import OPTIONS

from policy.checkpoint import open_checkpoint
from policy.checkpoint_convert import to_policy
from policy.release.sample import build_sample


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Release folder of the smallest sample."""
    return build_sample(tmp_path_factory.mktemp("sample")).release


@pytest.fixture(scope="session")
def policy(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The policy folder converted from it."""
    out = tmp_path_factory.mktemp("converted") / "policy"
    to_policy(open_checkpoint(release), out, OPTIONS)
    return out
