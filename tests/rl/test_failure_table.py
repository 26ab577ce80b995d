"""The table of failures names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_row_names_tests_that_exist() -> None:
    page = (ROOT / "docs" / "reward-failures.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| fault")]
    assert len(rows) > 15
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
        assert named, f"names no test: {row}"
        for file, test in named:
            assert f"def {test}(" in (ROOT / file).read_text(), f"{file} has no {test}"


def test_the_settings_of_the_page_are_those_of_the_configuration() -> None:
    import yaml

    from rl.reward_config import BreakerSection, PauseSection, RewardConfig

    page = (ROOT / "docs" / "reward-failures.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (reward,) = yaml.safe_load(block)["rewards"]
    config = RewardConfig.model_validate(reward)
    assert (config.breaker, config.pause) == (BreakerSection(), PauseSection())
