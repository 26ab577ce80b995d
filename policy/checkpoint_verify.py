"""Whether a checkpoint is whole, and fit to load.

Role: everything that loaders and exporters do not check (NVIDIA's edge exporter returns success with a tensor
missing). Invariant: headers and small files only, unless values are asked for, and then in constant memory.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from policy.checkpoint import Checkpoint, Layout
from policy.release.config import CLASS_DEFAULTS, ReleaseConfig
from policy.release.copying import Progress, non_finite, pieces, same_bytes
from policy.release.coverage import coverage
from policy.release.edge_contract import edge_findings
from policy.release.findings import CheckpointError, Finding
from policy.release.safetensors_header import StoredTensor
from policy.release.sidecars import sidecar_findings
from policy.release.tensors import STATISTICS
from policy.release.vocabulary import future_spec, history_spec, vocabulary_findings
from policy.spec import SPEC_FILE, PolicySpec

HEAD = "vlm.lm_head.weight"
EMBEDDING = "vlm.model.language_model.embed_tokens.weight"
ROUNDED = 2.0**-8
"""Relative error of rounding to bfloat16 (8 bits of precision)."""


def verify(
    checkpoint: Checkpoint, values: bool = False, progress: Progress = lambda _: None
) -> list[Finding]:
    """Everything found, errors first. values: also read every weight and count NaN and infinities."""
    found = list(checkpoint.findings)
    try:
        found += coverage(checkpoint.expected(), checkpoint.tensors)
    except CheckpointError as error:
        found.append(Finding("unstated key", "config.json", str(error)))
    found += tied_findings(checkpoint)
    if checkpoint.config is not None:
        found += _config_findings(checkpoint.config)
        found += _statistics_findings(checkpoint)
    if checkpoint.layout is Layout.POLICY:
        found += _policy_findings(checkpoint)
    else:
        found += edge_findings(checkpoint.base.config)
        folder = checkpoint.base.folder or checkpoint.folder
        found += sidecar_findings(folder, required=False)
    if values:
        found += value_findings(checkpoint, progress)
    return sorted(found, key=lambda finding: not finding.error)


def tied_findings(checkpoint: Checkpoint) -> list[Finding]:
    """A tied head that is stored must equal the embedding: loaders keep one of the two."""
    head, embedding = checkpoint.tensors.get(HEAD), checkpoint.tensors.get(EMBEDDING)
    if not checkpoint.shape.tied or head is None or embedding is None or same_bytes(head, embedding):
        return []
    text = (
        "differs from the embedding although the configuration ties them; loaders would keep one of the two"
    )
    return [Finding("untied head", HEAD, text)]


def _config_findings(config: ReleaseConfig) -> list[Finding]:
    missing = [key for key in CLASS_DEFAULTS if not config.has(key)]
    found = [
        Finding("unstated key", key, "needed for a policy folder: --set it, or --class-defaults", error=False)
        for key in missing
    ]
    if missing:
        return found
    try:
        return vocabulary_findings(config)
    except CheckpointError as error:
        return [Finding("unstated key", "config.json", str(error))]


def _statistics_findings(checkpoint: Checkpoint) -> list[Finding]:
    """Buffers of the action space against the configuration, which alone is used."""
    found = []
    assert checkpoint.config is not None
    for key in STATISTICS:
        tensor = checkpoint.tensors.get(f"action_space.{key}")
        stated = checkpoint.config.get(f"action_space_cfg.{key}")
        if tensor is None or stated is None or tensor.count != 1:
            continue
        value, due = scalar(tensor), float(np.float32(stated))
        if value == due:
            continue
        rounded = abs(value - due) <= ROUNDED * abs(due)
        text = f"{value} where the configuration states {due}; the configuration is used" + (
            " (the buffer was rounded to bfloat16)" if rounded else ""
        )
        found.append(Finding("statistics", tensor.name, text, error=not rounded))
    return found


def scalar(tensor: StoredTensor) -> float:
    """Value of a one-element float tensor. Raises CheckpointError for another dtype."""
    blob = b"".join(pieces(tensor))
    if tensor.dtype == "BF16":
        return float(struct.unpack("<f", b"\0\0" + blob)[0])
    formats = {"F16": "<e", "F32": "<f", "F64": "<d"}
    if tensor.dtype not in formats:
        raise CheckpointError(f"{tensor.name} is {tensor.dtype}, not a float")
    return float(struct.unpack(formats[tensor.dtype], blob)[0])


def _policy_findings(checkpoint: Checkpoint) -> list[Finding]:
    found = sidecar_findings(checkpoint.folder, True, checkpoint.base.config.get("image_token_id"))
    if not (checkpoint.folder / SPEC_FILE).is_file():
        text = "absent; a plain Qwen3-VL, good for merging and for other engines, not for ours"
        return [*found, Finding("missing sidecar", SPEC_FILE, text, error=False)]
    return found + _spec_findings(checkpoint.folder, checkpoint)


def _spec_findings(folder: Path, checkpoint: Checkpoint) -> list[Finding]:
    try:
        spec = PolicySpec.load(folder)
    except ValueError as error:
        return [Finding("wrong sidecar", SPEC_FILE, str(error))]
    found, rows = [], checkpoint.shape.vocabulary
    size = spec.vocabulary_ids().size
    if rows != size:
        text = f"its vocabulary has {size} ids, config.json {rows} rows"
        found.append(Finding("wrong sidecar", SPEC_FILE, text, error=rows < size))
    if checkpoint.config is not None and all(checkpoint.config.has(key) for key in CLASS_DEFAULTS):
        for name, ours, theirs in (
            ("future", spec.future, future_spec(checkpoint.config)),
            ("history", spec.history, history_spec(checkpoint.config)),
        ):
            if ours != theirs:
                text = f"{name} is {ours} where the release's configuration gives {theirs}"
                found.append(Finding("changed codec", SPEC_FILE, text, error=False))
    return found


def value_findings(checkpoint: Checkpoint, progress: Progress) -> list[Finding]:
    """Tensors with NaN or infinite elements. progress is told the bytes read."""
    found = []
    for name, tensor in checkpoint.tensors.items():
        count = non_finite(tensor)
        progress(tensor.nbytes)
        if count:
            found.append(
                Finding("lost values", name, f"{count} of {tensor.count} elements are NaN or infinite")
            )
    return found
