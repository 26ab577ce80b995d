"""What the prefetcher's tests load: fast, slow, failing, dying and hanging clips."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Loads:
    """Arrays that depend on the clip's id alone; each load leaves a line in `tally`. Ids that begin with "bad"
    raise, "die" kill their process, "crash" raise what no loader should, "hang" never return."""

    tally: Path
    kib: int = 64

    def __call__(self, clip_id: str) -> dict[str, np.ndarray]:
        with self.tally.open("a") as file:
            file.write(f"{clip_id}\n")
        if clip_id.startswith("bad"):
            raise ValueError("no such clip")
        if clip_id.startswith("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        if clip_id.startswith("crash"):
            raise ArithmeticError("nobody expects this")
        if clip_id.startswith("hang"):
            time.sleep(600.0)
        return expected(clip_id, self.kib)

    def loaded(self) -> list[str]:
        """Ids in the order they were loaded."""
        return self.tally.read_text().split() if self.tally.exists() else []


@dataclass(frozen=True)
class NeverReady:
    """A loader that cannot even start."""

    def warm(self) -> None:
        os._exit(7)

    def __call__(self, clip_id: str) -> dict[str, np.ndarray]:
        return expected(clip_id, 1)


def expected(clip_id: str, kib: int) -> dict[str, np.ndarray]:
    """A clip's arrays."""
    seed = sum(clip_id.encode())
    return {
        "pixels": np.random.default_rng(seed).integers(0, 255, (kib, 1024), np.uint8),
        "ids": np.arange(seed, dtype=np.int32)[::2],
        "empty": np.zeros((0, 4)),
        "scalar": np.float64(seed),
    }
