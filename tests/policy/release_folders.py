"""Release folders to break: copies of a sample with one thing changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from policy.checkpoint import Checkpoint, open_checkpoint
from policy.checkpoint_verify import verify
from policy.release.findings import Finding
from policy.release.policy_spec import PolicyOptions
from policy.release.sample import SMALL_CAMERAS

Tensors = dict[str, torch.Tensor]
OPTIONS = PolicyOptions(SMALL_CAMERAS, 8)
"""What a sample does not say of the policy it becomes: its cameras, and 8 tokens of text."""
INDEX = "model.safetensors.index.json"


def copied(folder: Path, to: Path) -> Path:
    """A copy of a folder."""
    shutil.copytree(folder, to)
    return to


def weights(folder: Path, stem: str = "model") -> Tensors:
    """Every tensor of a folder's shards, read by the library."""
    tensors: Tensors = {}
    for file in sorted(folder.glob(f"{stem}*.safetensors")):
        tensors |= load_file(file)
    return tensors


def change_weights(folder: Path, change: Callable[[Tensors], None]) -> Path:
    """Apply a change to all tensors and write them as one file, without index."""
    tensors = weights(folder)
    change(tensors)
    for file in folder.glob("model*.safetensors*"):
        file.unlink()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def change_json(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Apply a change to a JSON file."""
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def found(checkpoint: Checkpoint, **options: bool) -> dict[str, list[Finding]]:
    """Findings of `verify` by kind."""
    kinds: dict[str, list[Finding]] = {}
    for finding in verify(checkpoint, **options):
        kinds.setdefault(finding.kind, []).append(finding)
    return kinds


def errors_of(folder: Path, **options: bool) -> list[str]:
    """Kinds of the errors of a folder, in order of appearance."""
    return [finding.kind for finding in verify(open_checkpoint(folder), **options) if finding.error]
