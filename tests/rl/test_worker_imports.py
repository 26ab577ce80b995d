"""What a rollout worker has loaded when it starts its engine."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
import rl.rollout_worker
import scenes.dynamics
print(sorted({name.split(".")[0] for name in sys.modules} & {"numba"}))
"""


def test_numba_is_not_there_before_the_engine() -> None:
    """vLLM's start on a CPU looks into every module that is loaded, and fails at numba's."""
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "[]"
