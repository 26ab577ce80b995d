"""Checkpoints of a driving policy, whatever their layout, under one set of names.

Role: opens a folder and says what it holds. Layouts:

- *release*: NVIDIA's Alpamayo-R1 and 1.5: one config.json, shards with `vlm.*`, `expert.*`, `action_*`;
- *backbone*: the same without expert (what RL recipes export);
- *policy*: ours: a plain Qwen3-VL folder that vLLM, TensorRT-LLM and transformers load, with ar1.json. Below, where
  those do not look: `expert/` (expert.json, weights) and `release/` (the release's config.json, stored statistics
  and the record of its shards).

Invariant: opening reads headers only; tensors go by their release names (`vlm.` before the backbone's).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policy.expert_spec import EXPERT_FOLDER
from policy.release.backbone_shape import BackboneShape, BaseModel, read_base, resolve_base
from policy.release.config import (
    BACKBONE_TYPE,
    CONFIG_FILE,
    RELEASE_TYPES,
    ReleaseConfig,
    read_json,
    read_release_config,
)
from policy.release.expert_files import composed_config
from policy.release.findings import CheckpointError, Finding
from policy.release.safetensors_header import StoredTensor
from policy.release.shards import ShardSet, read_shards
from policy.release.tensors import (
    BACKBONE_PREFIX,
    EXPERT_PREFIXES,
    Expected,
    expected_backbone,
    expected_expert,
    expected_tensors,
)

RELEASE_FOLDER = "release"
LAYOUT_FILE = "layout.json"
STATISTICS_STEM = "statistics"


class Layout(enum.StrEnum):
    """How a folder is laid out."""

    RELEASE = "release"
    BACKBONE = "backbone"
    POLICY = "policy"


@dataclass(frozen=True)
class Checkpoint:
    """An opened folder. config: the release's, or one composed of ar1.json
    and expert.json, None without either; base: the backbone's plain
    configuration; tensors: by release name; shards: the sets they lie in; findings: what reading stumbled over."""

    folder: Path
    layout: Layout
    config: ReleaseConfig | None
    base: BaseModel
    shape: BackboneShape
    shards: tuple[ShardSet, ...]
    tensors: Mapping[str, StoredTensor]
    findings: tuple[Finding, ...]

    @property
    def has_expert(self) -> bool:
        """Whether any tensor of expert or action projections is stored."""
        return any(name.startswith(EXPERT_PREFIXES) for name in self.tensors)

    def expected(self) -> dict[str, Expected]:
        """The tensors that this folder should hold, by release name. Raises CheckpointError on a missing key."""
        if self.layout is not Layout.POLICY:
            assert self.config is not None
            return expected_tensors(self.config, self.shape, expert=self.layout is Layout.RELEASE)
        due = expected_backbone(self.shape, prefix=BACKBONE_PREFIX)
        if self.config is not None and (self.has_expert or self.config.has("expert_cfg")):
            due |= expected_expert(self.config, self.shape)
        return due


def open_checkpoint(
    folder: Path,
    base: Path | None = None,
    stated: Mapping[str, Any] | None = None,
    class_defaults: bool = False,
    backbone_only: bool = False,
) -> Checkpoint:
    """Open a folder of any layout.

    base: the backbone's Qwen folder, for a release whose vlm_name_or_path is neither a folder here nor known;
    stated, class_defaults: see read_release_config; backbone_only: expect no expert although the configuration
    describes one. Raises FileNotFoundError without config.json, CheckpointError when the layout is not known.
    """
    _, raw = read_json(folder / CONFIG_FILE)
    if raw.get("model_type") == BACKBONE_TYPE:
        return _open_policy(folder, stated, class_defaults)
    shards = read_shards(folder)
    config = read_release_config(folder / CONFIG_FILE, stated, class_defaults)
    findings = [*shards.findings, *_type_findings(config)]
    if not any(name.startswith((BACKBONE_PREFIX, *EXPERT_PREFIXES)) for name in shards.tensors):
        shown = sorted(shards.tensors)[:3] or "none"
        raise CheckpointError(
            f"{folder}: no tensor is named vlm.*, expert.* or action_* (first names: {shown}); "
            f"model_type {raw.get('model_type')!r} is neither a release nor a plain {BACKBONE_TYPE}"
        )
    expert = any(name.startswith(EXPERT_PREFIXES) for name in shards.tensors)
    layout = Layout.RELEASE if not backbone_only and (expert or config.has("expert_cfg")) else Layout.BACKBONE
    resolved = resolve_base(config, base)
    shape = BackboneShape.of(resolved.config, config.whole("vocab_size"))
    return Checkpoint(folder, layout, config, resolved, shape, (shards,), shards.tensors, tuple(findings))


def _type_findings(config: ReleaseConfig) -> list[Finding]:
    kind = config.get("model_type")
    if kind in RELEASE_TYPES:
        return []
    text = f"{kind!r} is none of {sorted(RELEASE_TYPES)}; read as a release because of its tensors' names"
    return [Finding("unknown model type", "model_type", text, error=False)]


def _open_policy(folder: Path, stated: Mapping[str, Any] | None, class_defaults: bool) -> Checkpoint:
    base = read_base(folder)
    shards = [read_shards(folder)]
    tensors = {BACKBONE_PREFIX + name: tensor for name, tensor in shards[0].tensors.items()}
    kept = folder / RELEASE_FOLDER
    config = None
    if (kept / CONFIG_FILE).is_file():
        record = read_json(kept / LAYOUT_FILE)[1] if (kept / LAYOUT_FILE).is_file() else {}
        said = {**record.get("stated", {}), **(stated or {})}
        config = read_release_config(kept / CONFIG_FILE, said, class_defaults)
    expressed: list[Finding] = []
    if config is None:
        config, expressed = composed_config(folder, base.config)
    shards += [read_shards(folder / EXPERT_FOLDER), read_shards(kept, STATISTICS_STEM)]
    tensors |= {**shards[1].tensors, **shards[2].tensors}
    findings = (*(finding for each in shards for finding in each.findings), *expressed)
    shape = BackboneShape.of(base.config)
    return Checkpoint(folder, Layout.POLICY, config, base, shape, tuple(shards), tensors, findings)
