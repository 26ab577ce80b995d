"""From one layout to another, byte for byte.

Role: release → policy folder (what vLLM, TensorRT-LLM, transformers and the learner load), and back. Invariants:
coverage is exact before a byte is written; the target appears whole or not at all; tensors keep their bytes unless
a cast or a trim was asked for; a release that is written back unchanged has its original files, bit for bit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from policy.checkpoint import LAYOUT_FILE, RELEASE_FOLDER, STATISTICS_STEM, Checkpoint, Layout
from policy.checkpoint_verify import tied_findings
from policy.expert_spec import EXPERT_FOLDER
from policy.release.config import CONFIG_FILE, ReleaseConfig
from policy.release.copying import Copy, Progress, order
from policy.release.coverage import coverage
from policy.release.expert_files import expert_spec
from policy.release.findings import CheckpointError, Finding, refuse
from policy.release.fresh_folder import fresh_folder
from policy.release.plan import ReleaseRecord, Shard, by_record, by_size, by_source, copies_of, write_shards
from policy.release.policy_spec import PolicyOptions, policy_files
from policy.release.shards import shard_name
from policy.release.tensors import BACKBONE_PREFIX, DTYPES, STATISTICS_PREFIX

ALLOWED = {"trim": "padded vocabulary", "cast": "wrong dtype"}


@dataclass(frozen=True)
class Changes:
    """What a conversion may change. trim_padding: drop rows beyond the vocabulary; cast: dtype of config.json
    ("bfloat16") that weights are cast to where they differ."""

    trim_padding: bool = False
    cast: str | None = None

    def stored_dtype(self) -> str | None:
        """The cast as safetensors spells it. Raises CheckpointError on an unknown dtype."""
        if self.cast is not None and self.cast not in DTYPES:
            raise CheckpointError(f"--cast takes one of {sorted(DTYPES)}, not {self.cast!r}")
        return DTYPES[self.cast] if self.cast else None


UNCHANGED = Changes()


@dataclass(frozen=True)
class Conversion:
    """What was written. notes: sentences a user should read."""

    folder: Path
    tensors: int
    nbytes: int
    notes: tuple[str, ...] = ()


def checked_copies(checkpoint: Checkpoint, changes: Changes) -> dict[str, Copy]:
    """Copies of every tensor by release name. Raises CheckpointError unless coverage is exact."""
    expected, cast = checkpoint.expected(), changes.stored_dtype()
    if cast is not None:
        single = {name: due for name, due in expected.items() if len(due.dtypes) == 1}
        expected |= {name: replace(due, dtypes=(cast,)) for name, due in single.items()}
    found: list[Finding] = [*checkpoint.findings, *coverage(expected, checkpoint.tensors)]
    allowed = {ALLOWED["trim"]} if changes.trim_padding else set()
    allowed |= {ALLOWED["cast"]} if cast else set()
    found = [finding for finding in found if finding.kind not in allowed]
    refuse([*found, *tied_findings(checkpoint)], str(checkpoint.folder))
    return copies_of(checkpoint.tensors, expected, cast)


def to_policy(
    checkpoint: Checkpoint,
    out: Path,
    options: PolicyOptions,
    changes: Changes = UNCHANGED,
    progress: Progress = lambda _: None,
) -> Conversion:
    """Write a policy folder from a release or a backbone export.

    Raises CheckpointError when coverage is not exact or the configuration leaves out what the policy needs,
    FileExistsError when `out` is there.
    """
    if checkpoint.layout is Layout.POLICY or checkpoint.config is None:
        raise CheckpointError(f"{checkpoint.folder} is a policy folder already; --to release writes it back")
    copies = checked_copies(checkpoint, changes)
    nbytes = sum(copy.nbytes for copy in copies.values())
    model = [
        replace(copy, name=name.removeprefix(BACKBONE_PREFIX))
        for name, copy in copies.items()
        if name.startswith(BACKBONE_PREFIX)
    ]
    expert = [copy for name, copy in copies.items() if not name.startswith(BACKBONE_PREFIX)]
    with fresh_folder(out, nbytes) as folder:
        notes = policy_files(folder, checkpoint.config, checkpoint.base, _dtype(model), options)
        write_shards(folder, "model", by_source(model, "model"), progress)
        kept = folder / RELEASE_FOLDER
        kept.mkdir()
        (kept / CONFIG_FILE).write_text(checkpoint.config.text)
        record: dict[str, Any] = ReleaseRecord.of(checkpoint.shards[0]).to_json()
        record["stated"] = dict(checkpoint.config.stated)
        (kept / LAYOUT_FILE).write_text(json.dumps(record))
        _write_expert(folder, checkpoint.config, expert, progress)
    return Conversion(out, len(copies), nbytes, tuple(notes))


def _write_expert(folder: Path, config: ReleaseConfig, copies: list[Copy], progress: Progress) -> None:
    """expert/ in one file, as the flow expert loads it; stored statistics, which nothing loads, apart."""
    statistics = [copy for copy in copies if copy.name.startswith(STATISTICS_PREFIX)]
    weights = [copy for copy in copies if not copy.name.startswith(STATISTICS_PREFIX)]
    if statistics:
        shard = Shard(shard_name(STATISTICS_STEM, 1, 1), tuple(order(statistics)))
        write_shards(folder / RELEASE_FOLDER, STATISTICS_STEM, [shard], progress)
    if weights:
        expert_spec(config).save(folder)
        shard = Shard(shard_name("model", 1, 1), tuple(order(weights)))
        write_shards(folder / EXPERT_FOLDER, "model", [shard], progress)


def _dtype(copies: list[Copy]) -> str:
    """dtype of the embedding as config.json spells it."""
    stored = {copy.name: copy.entry[1] for copy in copies}["model.language_model.embed_tokens.weight"]
    return {short: long for long, short in DTYPES.items()}[stored]


def to_release(
    checkpoint: Checkpoint,
    out: Path,
    changes: Changes = UNCHANGED,
    vlm_name_or_path: str | None = None,
    progress: Progress = lambda _: None,
) -> Conversion:
    """Write the release layout from a policy folder or another release.

    vlm_name_or_path: where loaders find the backbone's configuration and tokenizer, in place of the configuration's
    own. Raises CheckpointError when coverage is not exact or there is no release configuration.
    """
    if checkpoint.config is None:
        raise CheckpointError(
            f"{checkpoint.folder} has no {RELEASE_FOLDER}/{CONFIG_FILE}: it never was a release and has no expert; "
            "`ar1 checkpoint merge` puts its weights under a release's expert"
        )
    copies = checked_copies(as_release(checkpoint), changes)
    nbytes = sum(copy.nbytes for copy in copies.values())
    record = read_record(checkpoint)
    planned = by_record(copies, record) if record else None
    index = record.index if planned and record else None
    notes = (
        ["shards are new: names, shapes or dtypes differ from the original files"]
        if record and not planned
        else []
    )
    shards: list[Shard] = planned or by_size(list(copies.values()), "model")
    text = _config_text(checkpoint, changes, vlm_name_or_path)
    with fresh_folder(out, nbytes) as folder:
        (folder / CONFIG_FILE).write_text(text)
        write_shards(folder, "model", shards, progress, index)
    return Conversion(out, len(copies), nbytes, tuple(notes))


def as_release(checkpoint: Checkpoint) -> Checkpoint:
    """The same tensors, held to what the release's configuration says of dtypes, rows and expert."""
    if checkpoint.layout is not Layout.POLICY or checkpoint.config is None:
        return checkpoint
    expert = checkpoint.has_expert or checkpoint.config.has("expert_cfg")
    shape = replace(checkpoint.shape, vocabulary=checkpoint.config.whole("vocab_size"))
    return replace(checkpoint, layout=Layout.RELEASE if expert else Layout.BACKBONE, shape=shape)


def _config_text(checkpoint: Checkpoint, changes: Changes, vlm: str | None) -> str:
    assert checkpoint.config is not None
    changed = {"vlm_name_or_path": vlm} if vlm is not None else {}
    if changes.cast is not None:
        changed["dtype"] = changes.cast
    if all(checkpoint.config.raw.get(key) == value for key, value in changed.items()):
        return checkpoint.config.text
    return json.dumps({**checkpoint.config.raw, **changed}, indent=2) + "\n"


def read_record(checkpoint: Checkpoint) -> ReleaseRecord | None:
    """The files that a checkpoint has or had as a release; None for a policy without a record."""
    if checkpoint.layout is not Layout.POLICY:
        return ReleaseRecord.of(checkpoint.shards[0])
    path = checkpoint.folder / RELEASE_FOLDER / LAYOUT_FILE
    if not path.is_file():
        return None
    data: Mapping[str, Any] = json.loads(path.read_text())
    return ReleaseRecord(data["shards"], data["index"])
