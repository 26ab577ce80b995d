"""Ledger parts as groups for rescoring: what rewards and advantages need, and none of the rest.

Role: the fast reader. It takes only some columns and slices arrays instead of making Python lists of them.
Invariant: whatever it gives equals what `rl.ledger.read_part` gives, except that log-probabilities, forced
flags, bins and score components are left out (empty).
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from policy.completion import Completion
from rewards.score import Score, Status
from rl.rollout import Fate, Group, Rollout
from scenes.trajectory import Trajectory

SCORE_FIELDS = ("reward", "value", "status", "explanation", "version", "share")
COLUMNS = (
    *("step", "group_id", "clip_id", "version", "group_fate", "group_fate_reason", "disagreement"),
    *("rollout_id", "index", "seed", "token_ids", "versions", "finish_reason", "text", "valid", "reason"),
    *("actions", "states", "total", "advantage", "fate", "fate_reason"),
    *(f"scores.list.element.{name}" for name in SCORE_FIELDS),
)
_NOTHING = np.zeros(0, np.float32)
_NO_FLAGS = np.zeros(0, np.bool_)


class _Lists:
    """A list column: row → slice of one flat array."""

    def __init__(self, array: pa.ListArray) -> None:
        self._offsets = array.offsets.to_numpy()
        self._values = array.values.to_numpy(zero_copy_only=False)
        self._known = array.is_valid().to_numpy(zero_copy_only=False)

    def row(self, index: int) -> np.ndarray | None:
        if not self._known[index]:
            return None
        return self._values[self._offsets[index] : self._offsets[index + 1]]


def read_groups(path: Path) -> list[Group]:
    """All groups of one part, light. Raises ValueError naming a file that is not a readable part."""
    try:
        with pq.ParquetFile(path) as file:
            table = file.read(columns=list(COLUMNS), use_threads=False).combine_chunks()
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} is not a readable ledger part ({error}); restore it from a copy") from error
    return _groups(table) if len(table) else []


def read_weights(path: Path) -> dict[str, dict[str, float]]:
    """Weights that each group was combined with, by group id and reward; empty for a part that records none (then
    the run's configuration held throughout)."""
    with pq.ParquetFile(path) as file:
        if "weights" not in file.schema_arrow.names:
            return {}
        table = file.read(columns=["group_id", "weights"], use_threads=False)
    pairs = zip(table["group_id"].to_pylist(), table["weights"].to_pylist(), strict=True)
    return {group_id: dict(weights) for group_id, weights in pairs if weights}


def _groups(table: pa.Table) -> list[Group]:
    plain = {name: table[name].to_pylist() for name in table.column_names if _is_plain(table, name)}
    lists = {n: _Lists(table[n].chunk(0)) for n in ("token_ids", "versions", "actions", "states")}
    scores = _scores(table["scores"].chunk(0))
    members: dict[str, list[Rollout]] = {}
    first: dict[str, int] = {}
    for row, group_id in enumerate(plain["group_id"]):
        first.setdefault(group_id, row)
        found = members.setdefault(group_id, [])
        if plain["rollout_id"][row] is not None:
            found.append(_rollout(plain, lists, scores[row], row))
    return [
        Group(
            group_id=group_id,
            step=plain["step"][row],
            clip_id=plain["clip_id"][row],
            version=plain["version"][row],
            rollouts=tuple(sorted(members[group_id], key=lambda rollout: rollout.index)),
            fate=Fate(plain["group_fate"][row]),
            fate_reason=plain["group_fate_reason"][row],
            disagreement=plain["disagreement"][row],
        )
        for group_id, row in first.items()
    ]


def _is_plain(table: pa.Table, name: str) -> bool:
    return not pa.types.is_list(table.schema.field(name).type)


def _scores(array: pa.ListArray) -> list[list[tuple[Score, float | None]]]:
    """By row: scores with the share of the advantage that each had."""
    fields = [array.values.field(name).to_pylist() for name in SCORE_FIELDS]
    flat = [
        (Score(reward, value, Status(status), explanation=explanation, version=version), share)
        for reward, value, status, explanation, version, share in zip(*fields, strict=True)
    ]
    ends = array.offsets.to_pylist()
    return [flat[start:end] for start, end in pairwise(ends)]


def _rollout(
    plain: dict[str, list[Any]], lists: dict[str, _Lists], scores: list[tuple[Score, float | None]], row: int
) -> Rollout:
    ids, versions = lists["token_ids"].row(row), lists["versions"].row(row)
    actions, states = lists["actions"].row(row), lists["states"].row(row)
    assert ids is not None
    assert versions is not None
    completion = Completion(
        token_ids=ids,
        logprobs=_NOTHING,
        versions=versions,
        forced=_NO_FLAGS,
        finish_reason=plain["finish_reason"][row],
        text=plain["text"][row],
        bins=None,
        valid=plain["valid"][row],
        reason=plain["reason"][row],
    )
    trajectory = None
    if actions is not None and states is not None:
        trajectory = Trajectory(actions.reshape(-1, 2), states.reshape(-1, 4))
    return Rollout(
        rollout_id=plain["rollout_id"][row],
        group_id=plain["group_id"][row],
        index=plain["index"][row],
        clip_id=plain["clip_id"][row],
        seed=plain["seed"][row],
        completion=completion,
        trajectory=trajectory,
        scores=tuple(score for score, _ in scores),
        total=plain["total"][row],
        advantage=plain["advantage"][row],
        shares={score.reward: share for score, share in scores if share is not None},
        fate=Fate(plain["fate"][row]),
        fate_reason=plain["fate_reason"][row],
    )
