"""Which bytes go where: copies, shards and the record that lets a release be written back as it was.

Role: pure planning between reading headers and copying bytes. Invariant: every tensor of the source is in the plan
exactly once; where the record still fits, the planned shards have the very headers of the original files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policy.release.copying import Copy, Progress, order, write_shard
from policy.release.coverage import padded_rows
from policy.release.safetensors_header import StoredTensor
from policy.release.shards import ShardSet, index_name, shard_name
from policy.release.tensors import Expected

SHARD_BYTES = 5_000_000_000
"""Largest new shard, as transformers writes them."""


@dataclass(frozen=True)
class Shard:
    """One file to write. header: verbatim text, or None for a fresh one."""

    file: str
    copies: tuple[Copy, ...]
    header: str | None = None


@dataclass(frozen=True)
class ReleaseRecord:
    """Files of the original: header texts by file name in order, and the index."""

    headers: Mapping[str, str]
    index: str | None

    @classmethod
    def of(cls, shards: ShardSet) -> ReleaseRecord:
        """Record of a folder that was read."""
        return cls({name: header.text for name, header in shards.headers.items()}, shards.index_text)

    def to_json(self) -> dict[str, Any]:
        """Plain content of a JSON file."""
        return {"shards": dict(self.headers), "index": self.index}


def copies_of(
    tensors: Mapping[str, StoredTensor], expected: Mapping[str, Expected], cast: str | None
) -> dict[str, Copy]:
    """One copy a tensor under its own name: padding rows cut, weights cast to the dtype due when cast is given.

    cast: dtype as safetensors spells it; tensors that may be of any float dtype (buffers) are left as they are.
    """
    copies = {}
    for name, tensor in tensors.items():
        due = expected[name]
        wanted = cast if cast is not None and len(due.dtypes) == 1 and tensor.dtype != cast else None
        copies[name] = Copy(name, tensor, wanted, padded_rows(name, due, tensor))
    return copies


def by_source(copies: Sequence[Copy], stem: str) -> list[Shard]:
    """Shards that follow the files the copies come from."""
    files: dict[Path, list[Copy]] = {}
    for copy in copies:
        files.setdefault(copy.source.file, []).append(copy)
    groups = [tuple(order(files[file])) for file in sorted(files)]
    return [
        Shard(shard_name(stem, number, len(groups)), group) for number, group in enumerate(groups, start=1)
    ]


def by_size(copies: Sequence[Copy], stem: str, limit: int = SHARD_BYTES) -> list[Shard]:
    """Shards of at most `limit` bytes, or of one tensor that is larger."""
    groups: list[list[Copy]] = [[]]
    size = 0
    for copy in copies:
        if groups[-1] and size + copy.nbytes > limit:
            groups.append([])
            size = 0
        groups[-1].append(copy)
        size += copy.nbytes
    return [
        Shard(shard_name(stem, number, len(groups)), tuple(order(group)))
        for number, group in enumerate(groups, start=1)
    ]


def by_record(copies: Mapping[str, Copy], record: ReleaseRecord) -> list[Shard] | None:
    """Shards with the recorded headers; None when a name, shape or dtype no longer fits the record."""
    shards, placed = [], set()
    for file, text in record.headers.items():
        entries = {name: entry for name, entry in json.loads(text).items() if name != "__metadata__"}
        names = sorted(entries, key=lambda name: tuple(entries[name]["data_offsets"]))
        for name in names:
            stored = (name, entries[name]["dtype"], tuple(entries[name]["shape"]))
            if name not in copies or copies[name].entry != stored:
                return None
        placed.update(names)
        shards.append(Shard(file, tuple(copies[name] for name in names), text))
    return shards if placed == set(copies) else None


def write_shards(
    folder: Path, stem: str, shards: Sequence[Shard], progress: Progress, index: str | None = None
) -> None:
    """Write shards and their index. index: text to write verbatim; one shard without it gets no index."""
    placed: dict[str, str] = {}
    total = 0
    for shard in shards:
        write_shard(folder / shard.file, shard.copies, progress, shard.header)
        placed |= {copy.name: shard.file for copy in shard.copies}
        total += sum(copy.nbytes for copy in shard.copies)
    if index is None and len(shards) > 1:
        content = {"metadata": {"total_size": total}, "weight_map": dict(sorted(placed.items()))}
        index = json.dumps(content, indent=2) + "\n"
    if index is not None:
        (folder / index_name(stem)).write_text(index)
