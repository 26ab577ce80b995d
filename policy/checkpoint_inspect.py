"""What a checkpoint is, in figures read from headers and configuration.

Role: the content of `ar1 checkpoint inspect`. Invariant: no weight is read; what the configuration does not state
is shown as not stated.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from policy.checkpoint import Checkpoint
from policy.release.config import CLASS_DEFAULTS, SPACE
from policy.release.tensors import STATISTICS

PARTS = {
    "vision": ("vlm.model.visual.",),
    "embedding": ("vlm.model.language_model.embed_tokens.",),
    "text stack": ("vlm.model.language_model.",),
    "output head": ("vlm.lm_head.",),
    "expert": ("expert.",),
    "action projections": ("action_in_proj.", "action_out_proj."),
    "action statistics": ("action_space.",),
}
STATED = (
    "vocab_size",
    "traj_token_start_idx",
    "traj_vocab_size",
    "tokens_per_history_traj",
    "tokens_per_future_traj",
    "min_pixels",
    "max_pixels",
    "dtype",
)


def part_of(name: str) -> str:
    """The part of the model that a tensor belongs to; "other" for a name of none."""
    return next((part for part, prefixes in PARTS.items() if name.startswith(prefixes)), "other")


def inspect(checkpoint: Checkpoint) -> dict[str, Any]:
    """Plain content for a table or JSON. parts: tensors, parameters, bytes and dtypes; config: what is stated."""
    parts: dict[str, dict[str, Any]] = {}
    for name, tensor in checkpoint.tensors.items():
        row = parts.setdefault(
            part_of(name), {"tensors": 0, "parameters": 0, "bytes": 0, "dtypes": Counter()}
        )
        row["tensors"] += 1
        row["parameters"] += tensor.count
        row["bytes"] += tensor.nbytes
        row["dtypes"][tensor.dtype] += 1
    order = [*PARTS, "other"]
    config = checkpoint.config
    stated = {} if config is None else {key: config.get(key) for key in STATED}
    if config is not None:
        stated["expert action statistics"] = {
            key: config.get(f"action_space_cfg.{key}") for key in STATISTICS
        }
        stated["discrete action statistics"] = {key: config.get(f"{SPACE}.{key}") for key in STATISTICS}
    return {
        "folder": str(checkpoint.folder),
        "layout": checkpoint.layout.value,
        "model_type": None if config is None else config.get("model_type"),
        "backbone": checkpoint.base.origin,
        "shards": {name: head.size for each in checkpoint.shards for name, head in each.headers.items()},
        "parts": {
            part: {**parts[part], "dtypes": dict(parts[part]["dtypes"])} for part in order if part in parts
        },
        "parameters": sum(row["parameters"] for row in parts.values()),
        "bytes": sum(row["bytes"] for row in parts.values()),
        "config": stated,
        "not stated": [] if config is None else [key for key in CLASS_DEFAULTS if not config.has(key)],
        "findings": [finding.line() for finding in checkpoint.findings],
    }
