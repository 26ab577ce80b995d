"""What a ledger proves: that two runs computed the same, and that no group was lost or counted twice.

Invariant: the digest depends on content alone. Run name, attempts, latencies and cache hits do not enter it,
nor does the order in which groups finished within a step.
"""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rl.ledger import parts
from rl.ledger_schema import IDENTITY_COLUMNS, SCHEMA, SCORE_TYPE, TIMING_SCORE_FIELDS

_PAIRS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.float64())]))


def content_digest(run_dir: Path | str, up_to_step: int | None = None) -> str:
    """sha256 (hex) of what the run computed up to a step: rows by step, group and index, bit for bit."""
    digest = hashlib.sha256(b"ar1.ledger 1\n")
    for step, path in parts(run_dir, up_to_step).items():
        table = pq.read_table(path, schema=SCHEMA)
        order = pc.sort_indices(table, [("group_id", "ascending"), ("index", "ascending")]).to_numpy()
        if (order != np.arange(len(table))).any():
            table = table.take(order)
        digest.update(struct.pack("<qq", step, len(table)))
        for column in SCHEMA.names:
            if column not in IDENTITY_COLUMNS:
                digest.update(column.encode() + b"\0")
                _update(digest, table[column].combine_chunks())
    return digest.hexdigest()


def _update(digest: hashlib._Hash, array: pa.Array) -> None:
    digest.update(array.is_valid().to_numpy(zero_copy_only=False).tobytes())
    kind = array.type
    if pa.types.is_map(kind):
        # Offsets of a map count its null entries as empty, as those of a list do.
        _update_lengths(digest, array.cast(_PAIRS))
    elif pa.types.is_list(kind):
        _update_lengths(digest, array)
    elif kind == SCORE_TYPE or pa.types.is_struct(kind):
        for field, values in zip(kind, array.flatten(), strict=True):
            if field.name not in TIMING_SCORE_FIELDS:
                digest.update(field.name.encode() + b"\0")
                _update(digest, values)
    elif pa.types.is_string(kind):
        filled = pc.fill_null(array, "")
        digest.update(pc.binary_length(filled).to_numpy(zero_copy_only=False).astype("<i8").tobytes())
        digest.update("".join(filled.to_pylist()).encode())
    elif pa.types.is_boolean(kind):
        digest.update(pc.fill_null(array, False).to_numpy(zero_copy_only=False).tobytes())
    else:
        values = pc.fill_null(array, pa.scalar(0, kind)).to_numpy(zero_copy_only=False)
        digest.update(np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes())


def _update_lengths(digest: hashlib._Hash, array: pa.ListArray) -> None:
    lengths = pc.fill_null(array.value_lengths(), 0).to_numpy(zero_copy_only=False)
    digest.update(lengths.astype("<i8").tobytes())
    _update(digest, array.flatten())


@dataclass(frozen=True)
class Accounting:
    """How the groups of a ledger ended. fates: groups by fate; reasons: groups by "fate: reason" where a
    reason was given; twice: ids found more than once."""

    groups: int
    rollouts: int
    fates: dict[str, int]
    reasons: dict[str, int]
    twice: tuple[str, ...]


def account(run_dir: Path | str, up_to_step: int | None = None) -> Accounting:
    """Count the groups of a ledger by how they ended."""
    where: dict[str, set[int]] = {}
    fates: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    rollouts = 0
    for step, path in parts(run_dir, up_to_step).items():
        columns = ["group_id", "rollout_id", "group_fate", "group_fate_reason"]
        table = pq.read_table(path, columns=columns)
        rollouts += len(table) - table["rollout_id"].null_count
        seen = zip(*(table[name].to_pylist() for name in ("group_id", *columns[2:])), strict=True)
        for name, fate, reason in dict.fromkeys(seen):
            where.setdefault(name, set())
            if step in where[name]:
                raise ValueError(f"{path}: group {name} has rows of two fates; the part is damaged")
            where[name].add(step)
            fates[fate] += 1
            if reason is not None:
                reasons[f"{fate}: {reason}"] += 1
    twice = tuple(sorted(name for name, steps in where.items() if len(steps) > 1))
    return Accounting(len(where), rollouts, dict(sorted(fates.items())), dict(sorted(reasons.items())), twice)


def check_accounting(run_dir: Path | str, dispatched: Iterable[str]) -> Accounting:
    """Prove that every dispatched group is in the ledger exactly once and nothing else is.

    Raises ValueError naming the groups that are lost, counted twice or never dispatched.
    """
    found = account(run_dir)
    known = set(dispatched)
    held: set[str] = set()
    for path in parts(run_dir).values():
        held.update(pq.read_table(path, columns=["group_id"])["group_id"].to_pylist())
    faults = {
        "lost": sorted(known - held),
        "counted twice": list(found.twice),
        "never dispatched": sorted(held - known),
    }
    if any(faults.values()):
        text = "; ".join(f"{len(ids)} {kind} ({', '.join(ids[:5])})" for kind, ids in faults.items() if ids)
        raise ValueError(f"{run_dir}: groups do not add up: {text}")
    return found
