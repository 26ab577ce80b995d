"""summary.json: before and after, with intervals.

Role: turns per-clip figures of two arms into the table that the command line, the dashboard and the report show.
Invariant: a paired interval is over the clips that both arms have a number for; how many that is, is stated.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rl.run_directory import atomic_write
from rl.statistics import bootstrap, paired

Figures = Mapping[str, Mapping[str, float]]
"""clip id → metric → number."""


def column(figures: Figures, metric: str, clips: list[str]) -> np.ndarray:
    """Numbers of one metric over clips [N], NaN where a clip has none."""
    return np.array([figures[clip].get(metric, np.nan) for clip in clips], float)


def compare(before: Figures, after: Figures, suffix: str) -> dict[str, dict[str, Any]]:
    """metric+suffix → before, after and paired rows [mean, low, high], and the number of clips."""
    clips = [clip for clip in before if clip in after]
    names = sorted({name for clip in clips for name in before[clip]})
    result = {}
    for name in names:
        old, new = column(before, name, clips), column(after, name, clips)
        both = np.isfinite(old) & np.isfinite(new)
        if not both.any():
            continue
        result[name + suffix] = {
            "before": bootstrap(old[both]).row(),
            "after": bootstrap(new[both]).row(),
            "paired": paired(old[both], new[both]).row(),
            "clips": int(both.sum()),
        }
    return result


def single(figures: Figures, suffix: str) -> dict[str, dict[str, Any]]:
    """metric+suffix → one arm's row and the number of clips."""
    names = sorted({name for row in figures.values() for name in row})
    result = {}
    for name in names:
        values = column(figures, name, list(figures))
        kept = values[np.isfinite(values)]
        if len(kept):
            result[name + suffix] = {"before": bootstrap(kept).row(), "clips": len(kept)}
    return result


def write_summary(path: Path, summary: Mapping[str, Any]) -> None:
    """Write summary.json whole or not at all."""
    with atomic_write(path) as file:
        file.write((json.dumps(summary, indent=1, sort_keys=False) + os.linesep).encode())


def save_figures(path: Path, figures: Mapping[str, Figures]) -> None:
    """Keep per-clip figures (arm and decoding → clip → metric) beside the summary."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write(json.dumps(figures).encode())


def load_figures(path: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Read figures back. Raises FileNotFoundError naming the command that makes them."""
    if not path.is_file():
        raise FileNotFoundError(f"no figures at {path}; make them with `ar1 evaluate`")
    return dict(json.loads(path.read_text()))
