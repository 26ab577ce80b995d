"""A run as columns, one row a rollout: what the signs of reward hacking are judged on.

Role: reads the ledger part by part. Invariant: memory is some hundred bytes a rollout; trajectories are reduced
to a few numbers while their part is read, texts are kept once each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rl.ledger import parts
from rl.rescoring.columns import read_groups
from rl.rollout import Fate, Group, Rollout
from rl.run_directory import RunDirectory


@dataclass(frozen=True)
class AuditColumns:
    """N rollouts in ledger order; [N] arrays, NaN where a value is missing or the completion is invalid.

    step; group: number of the group; words: of the reasoning text; text, clip: index into texts, clips; values:
    score by reward; total: combined reward; acceleration: mean over the future, m/s²; final_speed: m/s;
    end: distance driven along x of the ego frame, m; ids: rollout ids."""

    step: np.ndarray
    group: np.ndarray
    words: np.ndarray
    text: np.ndarray
    clip: np.ndarray
    total: np.ndarray
    acceleration: np.ndarray
    final_speed: np.ndarray
    end: np.ndarray
    values: Mapping[str, np.ndarray]
    texts: Sequence[str]
    clips: Sequence[str]
    ids: Sequence[str]

    def __len__(self) -> int:
        return len(self.step)


class _Codes:
    """Numbers for names, in order of first appearance."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        return self._numbers.setdefault(name, len(self._numbers))

    @property
    def names(self) -> list[str]:
        return list(self._numbers)


def read_columns(run_dir: Path | str, steps: tuple[int, int | None] = (1, None)) -> AuditColumns:
    """Columns of a run's steps, first and last inclusive. Raises FileNotFoundError for a folder that is no
    run, LookupError when it has no such steps."""
    run = RunDirectory.existing(run_dir)
    first, last = steps
    chosen = [path for step, path in parts(run.path, last).items() if step >= first]
    if not chosen:
        raise LookupError(f"{run.ledger} has no parts of the steps asked for; wait for the run's first step")
    groups = (g for path in chosen for g in read_groups(path) if g.fate is not Fate.CANCELLED)
    return columns_of(groups)


def columns_of(groups: Iterable[Group]) -> AuditColumns:
    """Columns of groups, in order."""
    texts, clips = _Codes(), _Codes()
    ids: list[str] = []
    numbers: list[tuple[int, int, int, int, int]] = []
    measures: list[tuple[float, float, float, float]] = []
    scores: dict[str, list[float]] = {}
    for number, group in enumerate(groups):
        for rollout in group.rollouts:
            said = rollout.completion.text
            words = len(said.split())
            numbers.append((group.step, number, words, texts.number(said), clips.number(group.clip_id)))
            measures.append(_measures(rollout))
            for score in rollout.scores:
                column = scores.setdefault(score.reward, [])
                column += [np.nan] * (len(ids) - len(column))
                column.append(np.nan if score.value is None else score.value)
            ids.append(rollout.rollout_id)
    whole = np.array(numbers, np.int64).reshape(-1, 5).T
    measured = np.array(measures, np.float64).reshape(-1, 4).T
    values = {name: np.array([*v, *[np.nan] * (len(ids) - len(v))]) for name, v in sorted(scores.items())}
    step, owner, word_counts, text, clip = whole
    total, acceleration, final_speed, end = measured
    return AuditColumns(
        step=step,
        group=owner,
        words=word_counts,
        text=text,
        clip=clip,
        total=total,
        acceleration=acceleration,
        final_speed=final_speed,
        end=end,
        values=values,
        texts=texts.names,
        clips=clips.names,
        ids=ids,
    )


def _measures(rollout: Rollout) -> tuple[float, float, float, float]:
    """total, acceleration, final_speed, end."""
    total = np.nan if rollout.total is None else rollout.total
    if rollout.trajectory is None:
        return total, np.nan, np.nan, np.nan
    actions, states = rollout.trajectory.actions, rollout.trajectory.states
    return total, float(actions[:, 0].mean()), float(states[-1, 3]), float(states[-1, 0])
