"""What a release's configuration must state, and the ids that follow from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_release_tensors import release_config

from policy.release.backbone_shape import resolve_base
from policy.release.config import CLASS_DEFAULTS, read_release_config
from policy.release.findings import CheckpointError
from policy.release.vocabulary import (
    action_statistics,
    future_spec,
    history_spec,
    special_names,
    vocabulary_findings,
)
from policy.vocabulary import RELEASE_SPECIALS


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps({**release_config().raw, **changes}))
    return path


def without_nested_statistics() -> dict[str, Any]:
    tokenizer = json.loads(json.dumps(release_config().raw["traj_tokenizer_cfg"]))
    tokenizer["action_space_cfg"] = {"_target_": "x"}
    return {"traj_tokenizer_cfg": tokenizer}


def test_the_release_configuration_is_consistent_with_its_ids() -> None:
    config = release_config()
    assert vocabulary_findings(config) == []
    assert config.get("vocab_size") == 155697
    assert config.get("traj_token_ids") == {
        "history_start": 155674,
        "history_end": 155676,
        "history": 155684,
        "future_start": 155681,
        "future_end": 155683,
        "future": 155685,
    }


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({"vocab_size": 155700}, "vocab_size"),
        ({"traj_vocab_size": 768}, "traj_vocab_size"),
        ({"tokens_per_history_traj": 16}, "tokens_per_history_traj"),
        ({"traj_token_ids": {"future_start": 155680}}, "traj_token_ids.future_start"),
    ],
)
def test_ids_and_counts_that_do_not_follow_are_named(changes: dict[str, Any], subject: str) -> None:
    found = [finding for finding in vocabulary_findings(release_config(**changes)) if finding.error]
    assert subject in [finding.subject for finding in found]


def test_nested_statistics_are_never_assumed(tmp_path: Path) -> None:
    path = written(tmp_path, **without_nested_statistics())
    with pytest.raises(
        CheckpointError, match=r"traj_tokenizer_cfg\.action_space_cfg\.accel_mean.*--set"
    ) as refused:
        future_spec(read_release_config(path))
    assert "--class-defaults" in str(refused.value)
    accepted = future_spec(read_release_config(path, class_defaults=True))
    assert (accepted.mean, accepted.std) == ((0.0, 0.0), (1.0, 1.0))
    key = "traj_tokenizer_cfg.action_space_cfg"
    stated = {
        f"{key}.{name}": value
        for name, value in zip(
            ("accel_mean", "accel_std", "curvature_mean", "curvature_std"),
            (0.5, 2.0, 0.25, 0.125),
            strict=True,
        )
    }
    said = future_spec(read_release_config(path, stated))
    assert (said.mean, said.std) == ((0.5, 0.25), (2.0, 0.125))


def test_what_the_file_states_is_not_overruled(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="drop --set vocab_size"):
        read_release_config(written(tmp_path), {"vocab_size": 1})
    kept = read_release_config(
        written(tmp_path, hist_traj_tokenizer_cfg={"num_bins": 500}), class_defaults=True
    )
    assert history_spec(kept).bins == 500


def test_every_class_default_is_refused_by_name_when_left_out(tmp_path: Path) -> None:
    for key in CLASS_DEFAULTS:
        raw = json.loads(json.dumps(release_config().raw))
        place = raw
        for part in key.split(".")[:-1]:
            place = place[part]
        del place[key.split(".")[-1]]
        path = tmp_path / "config.json"
        path.write_text(json.dumps(raw))
        with pytest.raises(CheckpointError, match=key):
            vocabulary_findings(read_release_config(path))


def test_statistics_are_float32_of_the_configuration() -> None:
    statistics = action_statistics(release_config())
    assert statistics.mean == (
        float(np.float32(0.02902694707164455)),
        float(np.float32(0.0002692167976330542)),
    )
    assert statistics.std == (float(np.float32(0.6810426736454882)), float(np.float32(0.026148280660833106)))


def test_values_of_the_wrong_kind_are_named(tmp_path: Path) -> None:
    config = read_release_config(written(tmp_path, vocab_size="many", min_pixels=True, traj_vocab_size=2.5))
    for key in ("vocab_size", "min_pixels", "traj_vocab_size"):
        with pytest.raises(CheckpointError, match=key):
            config.whole(key)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="not readable JSON"):
        read_release_config(tmp_path / "config.json")


def test_alpamayo_1_5_renames_nine_slots_and_keeps_their_ids() -> None:
    names = special_names("alpamayo1_5")
    changed = [old for old, new in zip(RELEASE_SPECIALS, names, strict=True) if old != new]
    assert len(names) == 28
    assert [name for name in names if "_padding_" in name] == [f"<|_padding_{i}|>" for i in range(9)]
    assert "<|meta_action_start|>" in changed
    assert names.index("<|cot_end|>") == RELEASE_SPECIALS.index("<|cot_end|>")
    assert special_names("alpamayo_r1") == RELEASE_SPECIALS


def test_a_backbone_is_known_by_name_or_refused_with_the_option(tmp_path: Path) -> None:
    assert resolve_base(release_config(), None).config["text_config"]["hidden_size"] == 4096
    unknown = read_release_config(written(tmp_path, vlm_name_or_path="someone/else"))
    with pytest.raises(CheckpointError, match="--base"):
        resolve_base(unknown, None)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(CheckpointError, match="'llama'"):
        resolve_base(release_config(), tmp_path / "other")
