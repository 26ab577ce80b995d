"""A comparison from policy folders to summary.json's `metrics`.

Role: builds the split's clips, evaluates both arms, and writes what the report shows. Invariant: the split that
choices are made on and the one that figures come from are different worlds; the split is in the summary.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from policy.config_file import config_digest
from rl.config import JobConfig
from rl.evaluation import decodings
from rl.evaluation_run import evaluate_arms, evaluation_size, expert_ceiling
from rl.provenance import peak_rss_gib, versions
from rl.run_directory import RunDirectory
from rl.summary import compare, write_summary
from scenes.store import ClipStore
from sft.data import recorded_store, split_store


def judge(
    config: JobConfig, before: Path | None, after: Path | None, split: str, tag: str, *, write: bool = True
) -> dict[str, Any]:
    """Evaluate two policy folders on a split; returns and writes eval/<tag>/summary.json."""
    began = time.perf_counter()
    arms = {"before": before or config.policy, "after": after or config.folder / "policy"}
    for arm, folder in arms.items():
        if not (folder / "ar1.json").is_file():
            raise FileNotFoundError(
                f"{arm}: {folder} is no policy folder; train one with `ar1 sft` or `ar1 grpo`"
            )
    stores = {"": split_store(config.data, split)}
    if config.evaluation.recorded is not None:
        if not config.evaluation.recorded.is_dir():
            raise FileNotFoundError(
                f"no recorded traffic at {config.evaluation.recorded}; set evaluation.recorded to a folder of "
                "CommonRoad files, or evaluation.recorded=null to leave it out"
            )
        stores["recorded/"] = recorded_store(
            config.data, config.evaluation.recorded, config.evaluation.recorded_windows
        )
    folder = RunDirectory.create(config.folder).evaluations / tag
    sizes = [len(ClipStore.open(path)) for path in stores.values()]
    total = evaluation_size(config, len(arms), sizes[0], sum(sizes[1:]))
    with tqdm(total=total, desc=f"evaluation on {split}", unit="clip") as bar:
        figures = asyncio.run(evaluate_arms(config, arms, stores, folder, lambda: bar.update(1) and None))
    metrics: dict[str, Any] = {}
    for decoding in decodings(config):
        metrics |= compare(
            figures[f"before/{decoding.suffix}"], figures[f"after/{decoding.suffix}"], decoding.suffix
        )
    if "recorded/" in stores:
        recorded = compare(figures["before/recorded/"], figures["after/recorded/"], "")
        metrics |= {f"recorded/{name}": row for name, row in recorded.items()}
    summary = {
        "split": split,
        "metrics": metrics,
        "ceiling": expert_ceiling(stores[""], config.policy),
        "seconds": {"evaluation": time.perf_counter() - began},
        "peak_rss_gib": peak_rss_gib(),
        "versions": versions(),
        "config_sha256": config_digest(config),
    }
    if write:
        write_summary(folder / "summary.json", summary)
    return summary
