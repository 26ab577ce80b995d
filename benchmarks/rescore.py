"""`ar1 rescore` at scale: seconds and peak memory of rescoring a long run's ledger with rule rewards.

    python -m benchmarks.rescore --rollouts 50000 200000

Makes a ledger first (not timed): procedural clips, drives that scatter around the expert's, right and wrong
sentences, real scores. A base of distinct rollouts is scored once and then repeated under new ids until the
ledger is as long as asked. Each measurement runs in a fresh process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.rescore_once import CASES
from policy.completion import Completion
from policy.config_file import dump_config
from rewards.registry import RewardSource, resolve
from rl.config import JobConfig
from rl.group_scoring import finish_group, make_rollouts, view
from rl.ledger import LedgerWriter, part_path, parts
from rl.reward_config import RewardConfig
from rl.rollout import Group
from rl.run_directory import RunDirectory
from rl.run_registry import RunRegistry
from scenes.cameras import default_rig
from scenes.clip import Clip
from scenes.dynamics import integrate
from scenes.imperfection import ImperfectionConfig, demonstrate
from scenes.store import ClipStoreWriter
from scenes.trajectory import FUTURE_STEPS, Trajectory
from scenes.world import WorldConfig, generate

GROUPS, SIZE, TOKENS = 16, 8, 146
NAMES = ("trajectory", "consistency", "reasoning")
CONFIG = JobConfig(name="scale", rewards=tuple(RewardConfig(name=name, source=name) for name in NAMES))
SCATTER = ImperfectionConfig(accel_sigma=0.6, kappa_sigma=0.003, wrong_share=0.4)
"""Samples of a policy in mid training, about: ADE of some metres, four sentences of ten wrong."""


def make_clips(path: Path, count: int) -> list[Clip]:
    """A clip store of the procedural world."""
    rig = default_rig(("front_wide", "front_tele"))
    clips = []
    with ClipStoreWriter(path, rig) as writer:
        for clip in generate(WorldConfig(), 0, count, rig):
            writer.append(clip)
            clips.append(clip.without_cameras())
    return clips


def make_group(rng: np.random.Generator, step: int, number: int, clip: Clip) -> Group:
    """One group, scored and combined as a job does it."""
    speed = clip.ego_history[-1, 3]
    trajectories, completions = [], []
    for _ in range(SIZE):
        sample = demonstrate(clip, SCATTER, int(rng.integers(2**31)))
        trajectories.append(Trajectory(sample.actions, integrate(sample.actions, speed)))
        completions.append(
            Completion(
                token_ids=rng.integers(0, 4000, TOKENS, dtype=np.int32),
                logprobs=-rng.random(TOKENS, dtype=np.float32),
                versions=np.full(TOKENS, step - 1, np.int32),
                forced=np.zeros(TOKENS, bool),
                finish_reason="stop",
                text=sample.text,
                bins=rng.integers(0, 3000, 2 * FUTURE_STEPS, dtype=np.int32),
                valid=True,
            )
        )
    rollouts = make_rollouts(f"s{step:05d}-g{number:03d}", clip.clip_id, 0, completions, trajectories)
    views, clips = [view(rollout) for rollout in rollouts], {clip.clip_id: clip}
    scores = {name: resolve(RewardSource(name)).score(views, clips) for name in NAMES}
    return finish_group(step, step - 1, rollouts, scores, CONFIG.rewards, CONFIG.advantage)


def make_run(path: Path, store: Path, clips: list[Clip], base_steps: int, rollouts: int) -> None:
    """A run of at least `rollouts`; steps beyond the base repeat it under new ids."""
    run = RunDirectory.create(path)
    run.config.write_text(dump_config(CONFIG))
    RunRegistry(path).set_fact("clip_stores", [str(store.resolve())])
    writer, rng = LedgerWriter(path), np.random.default_rng(0)
    steps = -(-rollouts // (GROUPS * SIZE))
    for step in range(1, min(base_steps, steps) + 1):
        chosen = rng.integers(0, len(clips), GROUPS)
        writer.append(step, [make_group(rng, step, n, clips[c]) for n, c in enumerate(chosen)])
    base = list(parts(path).values())
    for step in range(base_steps + 1, steps + 1):
        pq.write_table(
            _renamed(pq.read_table(base[step % len(base)]), step), part_path(run, step), compression="zstd"
        )


def _renamed(table: pa.Table, step: int) -> pa.Table:
    columns = {
        "step": pa.array([step] * len(table), pa.int64()),
        "group_id": pa.array([f"s{step:05d}{name[6:]}" for name in table["group_id"].to_pylist()]),
        "rollout_id": pa.array([f"s{step:05d}{name[6:]}" for name in table["rollout_id"].to_pylist()]),
    }
    for name, column in columns.items():
        table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), column)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rollouts", type=int, nargs="+", default=[50_000, 200_000])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--clips", type=int, default=400, help="distinct procedural clips")
    parser.add_argument("--base", type=int, default=100, help="steps of 128 distinct rollouts")
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store, run = Path(folder) / "clips", Path(folder) / "run"
        began = time.perf_counter()
        make_run(run, store, make_clips(store, asked.clips), asked.base, max(asked.rollouts))
        print(f"ledger made in {time.perf_counter() - began:.0f} s (not part of what follows)")
        heads = ("rollouts", "seconds", "a second", "parent MiB", "process MiB")
        print(f"{'scored anew':26s}" + "".join(f"{head:>12s}" for head in heads))
        for case in asked.cases:
            for rollouts in asked.rollouts:
                steps = str(rollouts // (GROUPS * SIZE))
                command = [sys.executable, "-m", "benchmarks.rescore_once", str(run), case, steps]
                command.append(str(asked.processes))
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                row = json.loads(done.stdout)
                rate = row["rollouts"] / row["seconds"]
                print(
                    f"{case:26s}{row['rollouts']:12d}{row['seconds']:12.1f}{rate:12.0f}"
                    f"{row['parent']:12.0f}{row['process']:12.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
