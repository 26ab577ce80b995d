"""The ledger's columns, and the way from a group to rows and back.

Role: one row per rollout; a group that ended before it had a rollout is one row whose rollout columns are
null, so that every dispatched group is in the ledger.
Invariant: `groups_of(rows_of(groups))` gives the groups back bit for bit, rollouts by index. Columns are
either content (what a run computed; equal in a resumed run) or timing (how long and how often it tried); see
TIMING_SCORE_FIELDS.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from policy.completion import Completion
from rewards.score import Score, Status
from rl.rollout import Fate, Group, Rollout
from scenes.trajectory import Trajectory

SCORE_TYPE = pa.struct(
    [
        ("reward", pa.string()),
        ("value", pa.float64()),
        ("status", pa.string()),
        ("components", pa.map_(pa.string(), pa.float64())),
        ("explanation", pa.string()),
        ("version", pa.string()),
        ("attempts", pa.int32()),
        ("latency_s", pa.float64()),
        ("cached", pa.bool_()),
        ("share", pa.float64()),
    ]
)
GROUP_FIELDS = [
    ("run", pa.string()),
    ("step", pa.int64()),
    ("group_id", pa.string()),
    ("clip_id", pa.string()),
    ("version", pa.int64()),
    ("group_fate", pa.string()),
    ("group_fate_reason", pa.string()),
    ("disagreement", pa.float64()),
    ("weights", pa.map_(pa.string(), pa.float64())),
]
ROLLOUT_FIELDS = [
    ("rollout_id", pa.string()),
    ("index", pa.int32()),
    ("seed", pa.int64()),
    ("token_ids", pa.list_(pa.int32())),
    ("logprobs", pa.list_(pa.float32())),
    ("versions", pa.list_(pa.int32())),
    ("forced", pa.list_(pa.bool_())),
    ("finish_reason", pa.string()),
    ("text", pa.string()),
    ("bins", pa.list_(pa.int32())),
    ("valid", pa.bool_()),
    ("reason", pa.string()),
    ("trajectory_from", pa.string()),
    ("expert_actions", pa.list_(pa.float32())),
    ("actions", pa.list_(pa.float64())),
    ("states", pa.list_(pa.float64())),
    ("total", pa.float64()),
    ("advantage", pa.float64()),
    ("fate", pa.string()),
    ("fate_reason", pa.string()),
    ("scores", pa.list_(SCORE_TYPE)),
]
SCHEMA = pa.schema(GROUP_FIELDS + ROLLOUT_FIELDS, metadata={"ar1.ledger": "3"})

IDENTITY_COLUMNS = ("run",)
TIMING_SCORE_FIELDS = ("attempts", "latency_s", "cached")


def rows_of(run: str, groups: Iterable[Group]) -> list[dict[str, Any]]:
    """One dictionary per row of SCHEMA. Raises ValueError when a group contradicts itself."""
    rows: list[dict[str, Any]] = []
    for group in groups:
        _check(group)
        head = {
            "run": run,
            "step": group.step,
            "group_id": group.group_id,
            "clip_id": group.clip_id,
            "version": group.version,
            "group_fate": group.fate.value,
            "group_fate_reason": group.fate_reason,
            "disagreement": group.disagreement,
            "weights": sorted(group.weights.items()),
        }
        ordered = sorted(group.rollouts, key=lambda rollout: rollout.index)
        rows += [head | _rollout_row(rollout) for rollout in ordered] or [head]
    return rows


def groups_of(rows: Iterable[dict[str, Any]]) -> list[Group]:
    """Groups from rows of SCHEMA, in order of first appearance, rollouts by index."""
    members: dict[str, list[Rollout]] = {}
    heads: dict[str, dict[str, Any]] = {}
    for row in rows:
        heads.setdefault(row["group_id"], row)
        found = members.setdefault(row["group_id"], [])
        if row["rollout_id"] is not None:
            found.append(_rollout(row))
    return [
        Group(
            group_id=name,
            step=head["step"],
            clip_id=head["clip_id"],
            version=head["version"],
            rollouts=tuple(sorted(members[name], key=lambda rollout: rollout.index)),
            fate=Fate(head["group_fate"]),
            fate_reason=head["group_fate_reason"],
            disagreement=head["disagreement"],
            weights=dict(head.get("weights") or ()),  # version 1 of the schema had none
        )
        for name, head in heads.items()
    ]


def _check(group: Group) -> None:
    indices = [rollout.index for rollout in group.rollouts]
    if len(set(indices)) != len(indices):
        raise ValueError(f"group {group.group_id}: rollout indices repeat: {indices}")
    for rollout in group.rollouts:
        if (rollout.group_id, rollout.clip_id) != (group.group_id, group.clip_id):
            raise ValueError(
                f"rollout {rollout.rollout_id} says group {rollout.group_id}, clip {rollout.clip_id} but is "
                f"in group {group.group_id}, clip {group.clip_id}; build it with its group's ids"
            )
        names = [score.reward for score in rollout.scores]
        if len(set(names)) != len(names):
            raise ValueError(f"rollout {rollout.rollout_id} has two scores of one reward: {names}")
        if unknown := set(rollout.shares) - set(names):
            raise ValueError(
                f"rollout {rollout.rollout_id} has advantage shares of {sorted(unknown)} without such "
                "scores; every reward that was asked leaves a score, missing or not"
            )


def _rollout_row(rollout: Rollout) -> dict[str, Any]:
    completion, trajectory = rollout.completion, rollout.trajectory
    return {
        "rollout_id": rollout.rollout_id,
        "index": rollout.index,
        "seed": rollout.seed,
        "token_ids": completion.token_ids,
        "logprobs": completion.logprobs,
        "versions": completion.versions,
        "forced": completion.forced,
        "finish_reason": completion.finish_reason,
        "text": completion.text,
        "bins": completion.bins,
        "valid": completion.valid,
        "reason": completion.reason,
        "trajectory_from": completion.trajectory_from,
        "expert_actions": None if completion.expert_actions is None else np.ravel(completion.expert_actions),
        "actions": None if trajectory is None else np.ravel(trajectory.actions),
        "states": None if trajectory is None else np.ravel(trajectory.states),
        "total": rollout.total,
        "advantage": rollout.advantage,
        "fate": rollout.fate.value,
        "fate_reason": rollout.fate_reason,
        "scores": [_score_row(score, rollout.shares.get(score.reward)) for score in rollout.scores],
    }


def _score_row(score: Score, share: float | None) -> dict[str, Any]:
    return {
        "reward": score.reward,
        "value": score.value,
        "status": score.status.value,
        "components": sorted(score.components.items()),
        "explanation": score.explanation,
        "version": score.version,
        "attempts": score.attempts,
        "latency_s": score.latency_s,
        "cached": score.cached,
        "share": share,
    }


def _rollout(row: dict[str, Any]) -> Rollout:
    scores: Sequence[dict[str, Any]] = row["scores"]
    expert = row.get("expert_actions")  # absent from versions 1 and 2 of the schema
    completion = Completion(
        token_ids=np.asarray(row["token_ids"], np.int32),
        logprobs=np.asarray(row["logprobs"], np.float32),
        versions=np.asarray(row["versions"], np.int32),
        forced=np.asarray(row["forced"], np.bool_),
        finish_reason=row["finish_reason"],
        text=row["text"],
        bins=None if row["bins"] is None else np.asarray(row["bins"], np.int32),
        valid=row["valid"],
        reason=row["reason"],
        expert_actions=None if expert is None else np.asarray(expert, np.float32).reshape(-1, 2),
    )
    trajectory = None
    if row["actions"] is not None:
        trajectory = Trajectory(
            np.asarray(row["actions"], np.float64).reshape(-1, 2),
            np.asarray(row["states"], np.float64).reshape(-1, 4),
        )
    return Rollout(
        rollout_id=row["rollout_id"],
        group_id=row["group_id"],
        index=row["index"],
        clip_id=row["clip_id"],
        seed=row["seed"],
        completion=completion,
        trajectory=trajectory,
        scores=tuple(_score(score) for score in scores),
        total=row["total"],
        advantage=row["advantage"],
        shares={s["reward"]: s["share"] for s in scores if s["share"] is not None},
        fate=Fate(row["fate"]),
        fate_reason=row["fate_reason"],
    )


def _score(row: dict[str, Any]) -> Score:
    return Score(
        reward=row["reward"],
        value=row["value"],
        status=Status(row["status"]),
        components=dict(row["components"]),
        explanation=row["explanation"],
        version=row["version"],
        attempts=row["attempts"],
        latency_s=row["latency_s"],
        cached=row["cached"],
    )
