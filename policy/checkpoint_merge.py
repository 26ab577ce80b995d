"""An RL-trained backbone back under a release's expert.

Role: joins `vlm.*` of one folder with `expert.*` and `action_*` of another into a release. Invariant: every tensor
of both is used, nothing is left at its old value in silence (the share that training changed is reported), and a
backbone of another architecture, vocabulary or codec is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from policy.checkpoint import Checkpoint
from policy.checkpoint_convert import UNCHANGED, Changes, Conversion, to_release
from policy.release.config import CLASS_DEFAULTS
from policy.release.copying import Progress, same_bytes
from policy.release.edge_contract import rope_parameters
from policy.release.findings import CheckpointError, Finding, refuse
from policy.release.tensors import BACKBONE_PREFIX
from policy.release.vocabulary import future_spec, history_spec
from policy.spec import SPEC_FILE, PolicySpec

COMPARED = {
    "text_config": ("hidden_act", "rms_norm_eps", "num_attention_heads", "num_key_value_heads", "head_dim"),
    "vision_config": (
        "hidden_act",
        "num_heads",
        "patch_size",
        "spatial_merge_size",
        "temporal_patch_size",
        "deepstack_visual_indexes",
    ),
}
"""Values that shapes do not show, or show too late."""


def merge(
    release: Checkpoint,
    backbone: Checkpoint,
    out: Path,
    changes: Changes = UNCHANGED,
    progress: Progress = lambda _: None,
) -> Conversion:
    """Write a release with `backbone`'s weights under `release`'s expert, configuration and shards.

    Raises CheckpointError when a tensor of either is missing, unknown or misshapen, when the dtypes differ and no
    cast is given, or when architecture or codec differ; FileExistsError when `out` is there.
    """
    if release.config is None or not release.has_expert:
        raise CheckpointError(
            f"{release.folder} has no expert; --release takes a release or a policy made of one"
        )
    refuse([*backbone.findings, *architecture_findings(release, backbone)], str(backbone.folder))
    refuse(codec_findings(release, backbone), str(backbone.folder))
    kept = {name: tensor for name, tensor in release.tensors.items() if not name.startswith(BACKBONE_PREFIX)}
    trained = {name: tensor for name, tensor in backbone.tensors.items() if name.startswith(BACKBONE_PREFIX)}
    joined = replace(release, tensors={**kept, **trained})
    written = to_release(joined, out, changes, progress=progress)
    return replace(written, notes=(*written.notes, _changed(release, trained)))


def _changed(release: Checkpoint, trained: Mapping[str, Any]) -> str:
    """How many backbone tensors training changed, those of another dtype or shape included."""
    same = sum(
        name in release.tensors and same_bytes(release.tensors[name], tensor)
        for name, tensor in trained.items()
    )
    note = f"{len(trained) - same} of {len(trained)} backbone tensors differ from the release's"
    return note + ("; this backbone is the release's own" if same == len(trained) else "")


def architecture_findings(release: Checkpoint, backbone: Checkpoint) -> list[Finding]:
    """Values of the two backbones' configurations that differ."""
    found = []
    for section, keys in COMPARED.items():
        ours, theirs = backbone.base.config[section], release.base.config[section]
        pairs = {key: (ours.get(key), theirs.get(key)) for key in keys}
        if section == "text_config":
            rope, due = rope_parameters(ours), rope_parameters(theirs)
            pairs |= {key: (rope[key], due[key]) for key in rope}
        for key, (have, want) in pairs.items():
            if have != want:
                text = f"{have} where the release's backbone has {want}"
                found.append(Finding("other architecture", f"{section}.{key}", text))
    return found


def codec_findings(release: Checkpoint, backbone: Checkpoint) -> list[Finding]:
    """Where the trained policy's bins or ids are not the release's; none for a folder without ar1.json."""
    if not (backbone.folder / SPEC_FILE).is_file():
        return []
    assert release.config is not None
    spec = PolicySpec.load(backbone.folder)
    found = []
    start = release.config.whole("traj_token_start_idx")
    if spec.vocabulary.base_size != start:
        text = f"trajectory ids start at {spec.vocabulary.base_size}, the release's at {start}"
        found.append(Finding("other vocabulary", SPEC_FILE, text))
    if not all(release.config.has(key) for key in CLASS_DEFAULTS):
        return found
    pairs = {
        "future": (spec.future, future_spec(release.config)),
        "history": (spec.history, history_spec(release.config)),
    }
    for name, (have, want) in pairs.items():
        if have != want:
            found.append(Finding("other codec", SPEC_FILE, f"{name} is {have}, the release's {want}"))
    return found
