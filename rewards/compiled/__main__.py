"""Compile the loops of the rule rewards ahead of their first use: `python -m rewards.compiled`."""

from __future__ import annotations

import time

from rewards.consistency import ConsistencyReward
from rewards.trajectory import TrajectoryReward


def main() -> None:
    """Compile what is not on disk yet, and say how long that took."""
    for reward in (TrajectoryReward(), ConsistencyReward()):
        began = time.perf_counter()
        reward.warm()
        print(f"{reward.name}: loops ready after {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
