"""A folder's weights: one safetensors file, or shards with an index.

Role: the names and places of all tensors of a folder, from headers alone. Invariant: reading never fails on a
damaged folder; what is wrong is a finding, and `tensors` holds only what can be read whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from policy.release.findings import CheckpointError, Finding
from policy.release.safetensors_header import Header, StoredTensor, read_header


@dataclass(frozen=True)
class ShardSet:
    """Tensors of one folder. headers: by file name; index_text: the index verbatim, None without one."""

    folder: Path
    headers: Mapping[str, Header]
    index_text: str | None
    tensors: Mapping[str, StoredTensor]
    findings: tuple[Finding, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.nbytes for tensor in self.tensors.values())


def index_name(stem: str) -> str:
    """File name of an index: "model.safetensors.index.json"."""
    return f"{stem}.safetensors.index.json"


def shard_name(stem: str, number: int, count: int) -> str:
    """File name of shard `number` (from 1): "model-00001-of-00005.safetensors", without numbers when alone."""
    return f"{stem}.safetensors" if count == 1 else f"{stem}-{number:05d}-of-{count:05d}.safetensors"


def read_shards(folder: Path, stem: str = "model") -> ShardSet:
    """Headers of a folder's weights `stem*.safetensors`. An empty set when there are none."""
    findings: list[Finding] = []
    index_path = folder / index_name(stem)
    index_text, placed = None, None
    if index_path.is_file():
        index_text = index_path.read_text()
        placed = _weight_map(index_path, index_text, findings)
    present = {file.name for file in folder.glob(f"{stem}*.safetensors")}
    wanted = sorted(set(placed.values())) if placed is not None else sorted(present)
    if placed is None and len(present) > 1:
        text = f"{len(present)} shards but no {index_path.name}; fetch it, or loaders take one shard for the whole"
        findings.append(Finding("missing index", index_path.name, text))
    for name in sorted(present - set(wanted)):
        text = "not named by the index, so no loader reads it; delete it or fetch the index again"
        findings.append(Finding("unused shard", name, text, error=False))
    headers = _headers(folder, wanted, findings)
    tensors = _collect(headers, findings)
    if placed is not None:
        _compare_index(placed, headers, findings)
    return ShardSet(folder, headers, index_text, tensors, tuple(findings))


def _weight_map(path: Path, text: str, findings: list[Finding]) -> dict[str, str] | None:
    try:
        found = json.loads(text)["weight_map"]
        return {str(name): str(file) for name, file in found.items()}
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        findings.append(Finding("damaged index", path.name, f"not readable ({error}); fetch it again"))
        return None


def _headers(folder: Path, names: list[str], findings: list[Finding]) -> dict[str, Header]:
    headers = {}
    for name in names:
        file = folder / name
        if Path(name).name != name:
            findings.append(Finding("damaged index", name, "a shard must lie in the checkpoint's own folder"))
            continue
        try:
            headers[name] = read_header(file)
        except FileNotFoundError:
            findings.append(Finding("missing shard", name, "named by the index but not there; fetch it"))
        except CheckpointError as error:
            findings.append(Finding("damaged shard", name, str(error)))
    return headers


def _collect(headers: Mapping[str, Header], findings: list[Finding]) -> dict[str, StoredTensor]:
    tensors: dict[str, StoredTensor] = {}
    for name, header in headers.items():
        size = header.file.stat().st_size
        cut = [tensor.name for tensor in header.tensors.values() if tensor.end > size]
        if cut:
            text = (
                f"{size} of {header.size} bytes; {len(cut)} tensors from {cut[0]} on are cut: fetch it again"
            )
            findings.append(Finding("truncated shard", name, text))
        elif size > header.size:
            text = f"{size - header.size} bytes after the last tensor; fetch it again"
            findings.append(Finding("damaged shard", name, text))
        for tensor in header.tensors.values():
            if tensor.name in tensors:
                text = f"in {tensors[tensor.name].file.name} and in {name}; loaders take either: keep one"
                findings.append(Finding("duplicate tensor", tensor.name, text))
            elif tensor.end <= size:
                tensors[tensor.name] = tensor
    return tensors


def _compare_index(placed: Mapping[str, str], headers: Mapping[str, Header], findings: list[Finding]) -> None:
    for name, file in placed.items():
        if file in headers and name not in headers[file].tensors:
            text = f"the index places it in {file}, which does not hold it"
            findings.append(Finding("wrong index", name, text))
    for file, header in headers.items():
        for name in header.tensors:
            if placed.get(name) != file:
                text = f"in {file}, where the index does not place it; loaders that follow the index miss it"
                findings.append(Finding("wrong index", name, text))
