"""Ledger and dashboard at scale: time to append a step, to read a run cold, and to answer each page.

    python -m benchmarks.ledger --steps 500 --groups 16 --size 8

Prints one line a measurement. Rollouts are random but have a real run's shape: 170 tokens, 64 actions, four
rewards. Nothing is cached between the cold measurements but the operating system's pages.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from policy.completion import Completion
from rewards.score import Score
from rl.dashboard.group_index import GroupQuery
from rl.dashboard.run_view import RunView
from rl.ledger import LedgerReader, LedgerWriter, parts
from rl.ledger_proof import content_digest
from rl.rollout import Group, Rollout
from rl.rollup_table import RollupTable
from scenes.dynamics import integrate
from scenes.trajectory import FUTURE_STEPS, Trajectory

TOKENS = 170
REWARDS = ("reasoning", "consistency", "trajectory", "comfort")


def random_rollout(rng: np.random.Generator, group_id: str, index: int, clip_id: str) -> Rollout:
    """One rollout of a real one's shape."""
    actions = rng.normal(0, (0.5, 0.01), (FUTURE_STEPS, 2))
    values = rng.random(len(REWARDS))
    completion = Completion(
        token_ids=rng.integers(0, 4000, TOKENS, dtype=np.int32),
        logprobs=-rng.random(TOKENS, dtype=np.float32),
        versions=np.zeros(TOKENS, np.int32),
        forced=np.zeros(TOKENS, bool),
        finish_reason="stop",
        text="Slow down and keep distance to the lead vehicle ahead since it is braking.",
        bins=rng.integers(0, 3000, 2 * FUTURE_STEPS, dtype=np.int32),
        valid=True,
    )
    named = zip(REWARDS, values, strict=True)
    return Rollout(
        rollout_id=f"{group_id}/{index}",
        group_id=group_id,
        index=index,
        clip_id=clip_id,
        seed=index,
        completion=completion,
        trajectory=Trajectory(actions, integrate(actions, 10.0)),
        scores=tuple(Score(name, float(value), components={"part": 0.5}) for name, value in named),
        total=float(values.mean()),
        advantage=float(values.mean() - 0.5),
        shares=dict.fromkeys(REWARDS, 0.1),
    )


def random_groups(step: int, groups: int, size: int) -> list[Group]:
    """The groups of one step."""
    rng = np.random.default_rng(step)
    made = []
    for number in range(groups):
        name, clip = f"s{step:05d}-g{number:03d}", f"clip-{rng.integers(2000):05d}"
        rollouts = tuple(random_rollout(rng, name, index, clip) for index in range(size))
        made.append(Group(name, step, clip, step - 1, rollouts, disagreement=float(rng.random())))
    return made


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long the block took."""
    began = time.perf_counter()
    yield
    print(f"{what:52s} {1000 * (time.perf_counter() - began):9.1f} ms")


def measure_writing(path: Path, steps: int, groups: int, size: int) -> None:
    """Append every step; print the median time of an append and the bytes on disk."""
    writer = LedgerWriter(path)
    seconds = []
    for step in range(1, steps + 1):
        made = random_groups(step, groups, size)
        began = time.perf_counter()
        writer.append(step, made)
        seconds.append(time.perf_counter() - began)
    rollouts = steps * groups * size
    stored = sum(part.stat().st_size for part in parts(path).values())
    print(f"{rollouts} rollouts in {steps} parts, {stored / rollouts:.0f} bytes a rollout")
    print(f"{'append, median and last':52s} {1000 * np.median(seconds):9.1f} ms {1000 * seconds[-1]:9.1f} ms")


def measure_reading(path: Path, steps: int) -> None:
    """The questions that pages ask, first cold, then warm."""
    view = RunView(path)
    pages: dict[str, Callable[[], object]] = {
        "overview": lambda: view.overview(1500),
        "groups by spread of one reward": lambda: view.index.page(GroupQuery("std:reasoning"), 0, 50),
        "one group": lambda: view.group(steps, f"s{steps:05d}-g000", GroupQuery("std")),
    }
    for name, ask in pages.items():
        for state in ("cold", "warm"):
            with timed(f"{name}, {state}"):
                ask()
    with timed("reader opened and asked mean reward a step"):
        LedgerReader(path).query("SELECT step, avg(total) FROM ledger GROUP BY step")
    with timed("content digest"):
        content_digest(path)


def measure_rollups(path: Path, steps: int = 10_000, names: int = 60) -> None:
    """Saving the table of a very long run."""
    table = RollupTable()
    metrics = {f"name/{n}": float(n) for n in range(names)}
    with timed(f"rollups: {steps} steps of {names} put"):
        for step in range(1, steps + 1):
            table.put(step, metrics)
    with timed("rollups: saved"):
        table.save(path)
    with timed("rollups: loaded as series"):
        RollupTable.load(path).series()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--groups", type=int, default=16)
    parser.add_argument("--size", type=int, default=8)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        measure_writing(path, asked.steps, asked.groups, asked.size)
        measure_reading(path, asked.steps)
        measure_rollups(Path(folder) / "rollups.parquet")


if __name__ == "__main__":
    main()
