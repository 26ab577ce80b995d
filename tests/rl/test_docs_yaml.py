"""YAML shown in the documentation is a configuration that a job takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from rl.config import JobConfig

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = [
    pytest.param(text, id=f"{page.stem}-{number}")
    for page in sorted(DOCS.glob("*.md"))
    for number, text in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL))
    if re.match(r"rewards:", text)
]


@pytest.mark.parametrize("text", BLOCKS)
def test_a_job_takes_it(text: str) -> None:
    shown = yaml.safe_load(text)
    config = JobConfig.model_validate(shown)
    assert [reward.name for reward in config.rewards] == [reward["name"] for reward in shown["rewards"]]


def test_there_are_some() -> None:
    assert len(BLOCKS) >= 7
