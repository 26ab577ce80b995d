"""Rollouts to score outside a job: from a run's ledger, from a JSON file, or one given by hand.

Invariant: a rollout comes out as its writer meant it or the reader says what is wrong; states that are not
given are integrated from the actions, never guessed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from rewards.score import RolloutView
from rl.group_scoring import view
from scenes.clip import Clip
from scenes.dynamics import integrate
from scenes.store import ClipStore

FIELDS = {"rollout_id", "group_id", "clip_id", "text", "actions", "valid", "reason", "tokens", "version"}


def from_ledger(part: Path) -> list[RolloutView]:
    """All rollouts of one ledger part. Raises ValueError for another file."""
    from rl.ledger import read_part  # DuckDB and Arrow, only needed here

    return [view(rollout) for group in read_part(part) for rollout in group.rollouts]


def from_json(path: Path, store: ClipStore) -> list[RolloutView]:
    """Rollouts of a JSON list of objects with `clip_id`, `text`, `actions` [[m/s², 1/m], …] and optionally
    rollout_id, group_id, valid, reason, tokens, version. Raises ValueError naming the entry at fault."""
    entries = json.loads(path.read_text())
    if not isinstance(entries, list):
        raise ValueError(f"{path} holds a {type(entries).__name__}; it should be a list of rollouts")
    return [_entry(entry, number, path, store) for number, entry in enumerate(entries)]


def _entry(entry: Any, number: int, path: Path, store: ClipStore) -> RolloutView:
    where = f"{path}, entry {number}"
    if not isinstance(entry, dict) or not {"clip_id", "text"} <= entry.keys():
        raise ValueError(f"{where}: an object with clip_id and text is needed")
    unknown = entry.keys() - FIELDS
    if unknown:
        raise ValueError(f"{where}: unknown fields {sorted(unknown)}; known: {sorted(FIELDS)}")
    valid = bool(entry.get("valid", True))
    if valid and "actions" not in entry:
        raise ValueError(
            f"{where}: a valid rollout needs actions; set valid to false with a reason otherwise"
        )
    actions = np.asarray(entry["actions"], dtype=np.float64) if valid else None
    clip = find_clip(store, str(entry["clip_id"]))
    return RolloutView(
        rollout_id=str(entry.get("rollout_id", f"{path.stem}/{number}")),
        group_id=str(entry.get("group_id", path.stem)),
        clip_id=clip.clip_id,
        text=str(entry["text"]),
        valid=valid,
        reason=entry.get("reason"),
        actions=actions,
        states=None if actions is None else states_of(actions, clip),
        tokens=int(entry.get("tokens", 0)),
        version=int(entry.get("version", 0)),
    )


def states_of(actions: np.ndarray, clip: Clip) -> np.ndarray:
    """States [T, 4] that actions [T, 2] drive from the clip's state at t0."""
    return integrate(actions, clip.ego_history[-1, 3])


def find_clip(store: ClipStore, name: str) -> Clip:
    """A clip by id, or by position ("17"). Raises LookupError."""
    return store[int(name)] if name.isdigit() else store[store.index(name)]
