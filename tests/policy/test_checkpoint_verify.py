"""Broken checkpoints: each fault is named, with the tensor or file it is about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from release_folders import INDEX, change_json, change_weights, copied, errors_of, found, weights
from safetensors.torch import load_file, save_file

from policy.checkpoint import Layout, open_checkpoint
from policy.checkpoint_inspect import inspect
from policy.release.findings import CheckpointError
from policy.release.sample import SampleSize, build_sample

Q_NORM = "expert.layers.1.self_attn.q_norm.weight"
HEAD = "vlm.lm_head.weight"
EMBEDDING = "vlm.model.language_model.embed_tokens.weight"


def test_a_whole_release_has_no_error_and_says_that_its_statistics_are_rounded(release: Path) -> None:
    kinds = found(open_checkpoint(release), values=True)
    assert set(kinds) == {"statistics"}
    assert not any(finding.error for finding in kinds["statistics"])
    assert "rounded to bfloat16" in kinds["statistics"][0].message


def test_a_whole_policy_has_no_error(policy: Path) -> None:
    assert errors_of(policy, values=True) == []


def test_a_deleted_tensor_is_named(release: Path, tmp_path: Path) -> None:
    folder = change_weights(copied(release, tmp_path / "r"), lambda tensors: tensors.pop(Q_NORM))
    kinds = found(open_checkpoint(folder))
    assert [finding.subject for finding in kinds["missing tensor"]] == [Q_NORM]
    assert errors_of(folder) == ["missing tensor"]


def test_a_misnamed_tensor_is_named_with_what_it_should_be(release: Path, tmp_path: Path) -> None:
    slip = Q_NORM.replace("q_norm", "q_nrom")
    folder = change_weights(
        copied(release, tmp_path / "r"), lambda tensors: tensors.update({slip: tensors.pop(Q_NORM)})
    )
    (finding,) = found(open_checkpoint(folder))["misnamed tensor"]
    assert finding.subject == Q_NORM
    assert slip in finding.message
    assert errors_of(folder) == ["misnamed tensor"]


def test_a_tensor_too_many_is_named_with_the_nearest_name(release: Path, tmp_path: Path) -> None:
    extra = "expert.layers.2.self_attn.q_norm.weight"
    folder = change_weights(
        copied(release, tmp_path / "r"), lambda tensors: tensors.update({extra: torch.ones(128).bfloat16()})
    )
    (finding,) = found(open_checkpoint(folder))["unused tensor"]
    assert finding.subject == extra
    assert "nearest name: expert.layers." in finding.message


def test_shape_and_dtype_are_compared(release: Path, tmp_path: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors["action_out_proj.weight"] = tensors["action_out_proj.weight"].T.contiguous()
        tensors["expert.norm.weight"] = tensors["expert.norm.weight"].float()

    kinds = found(open_checkpoint(change_weights(copied(release, tmp_path / "r"), change)))
    assert kinds["wrong shape"][0].message == "[64, 2] where [2, 64] is due"
    assert kinds["wrong dtype"][0].subject == "expert.norm.weight"
    assert "--cast" in kinds["wrong dtype"][0].message


def test_vocabulary_rows_are_counted(release: Path, tmp_path: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors[EMBEDDING] = torch.cat([tensors[EMBEDDING], torch.zeros(11, 64).bfloat16()])
        tensors[HEAD] = tensors[HEAD][:-3].contiguous()

    kinds = found(open_checkpoint(change_weights(copied(release, tmp_path / "r"), change)))
    assert kinds["padded vocabulary"][0].subject == EMBEDDING
    assert kinds["padded vocabulary"][0].message.startswith("11 rows beyond")
    assert kinds["short vocabulary"][0].subject == HEAD


def test_a_truncated_shard_is_named_with_its_first_lost_tensor(release: Path, tmp_path: Path) -> None:
    folder = copied(release, tmp_path / "r")
    shard = folder / "model-00002-of-00003.safetensors"
    size = shard.stat().st_size
    with shard.open("r+b") as file:
        file.truncate(size - 1)
    kinds = found(open_checkpoint(folder))
    (finding,) = kinds["truncated shard"]
    assert finding.subject == shard.name
    assert f"{size - 1} of {size} bytes; 1 tensors" in finding.message
    assert len(kinds["missing tensor"]) == 1
    with shard.open("ab") as file:
        file.write(bytes(9))
    assert "8 bytes after the last tensor" in found(open_checkpoint(folder))["damaged shard"][0].message


def test_shards_and_index_must_agree(release: Path, tmp_path: Path) -> None:
    folder = copied(release, tmp_path / "a")
    (folder / "model-00001-of-00003.safetensors").unlink()
    assert found(open_checkpoint(folder))["missing shard"][0].subject == "model-00001-of-00003.safetensors"
    (folder / INDEX).unlink()
    assert "missing index" in found(open_checkpoint(folder))
    folder = copied(release, tmp_path / "b")
    change_json(folder / INDEX, lambda data: data["weight_map"].pop(Q_NORM))
    (finding,) = found(open_checkpoint(folder))["wrong index"]
    assert finding.subject == Q_NORM
    folder = copied(release, tmp_path / "c")
    save_file({Q_NORM: torch.ones(128).bfloat16()}, folder / "model-extra.safetensors")
    assert not found(open_checkpoint(folder))["unused shard"][0].error
    change_json(folder / INDEX, lambda data: data["weight_map"].update({"x": "model-extra.safetensors"}))
    kinds = found(open_checkpoint(folder))
    assert kinds["duplicate tensor"][0].subject == Q_NORM
    assert "x" in [finding.subject for finding in kinds["wrong index"]]


def test_an_index_cannot_point_outside_the_folder(release: Path, tmp_path: Path) -> None:
    folder = copied(release, tmp_path / "r")
    change_json(
        folder / INDEX, lambda data: data["weight_map"].update({Q_NORM: "../release/model.safetensors"})
    )
    assert found(open_checkpoint(folder))["damaged index"][0].subject == "../release/model.safetensors"
    (folder / INDEX).write_text("[]")
    assert found(open_checkpoint(folder))["damaged index"][0].subject == INDEX


@pytest.mark.parametrize("name", ["tokenizer.json", "preprocessor_config.json", "chat_template.jinja"])
def test_a_missing_sidecar_is_named(policy: Path, tmp_path: Path, name: str) -> None:
    folder = copied(policy, tmp_path / "p")
    (folder / name).unlink()
    (finding,) = found(open_checkpoint(folder))["missing sidecar"]
    assert finding.subject == name
    assert finding.error


def test_a_release_whose_base_lacks_sidecars_is_warned_of(release: Path, tmp_path: Path) -> None:
    folder = copied(release, tmp_path / "r")
    change_json(
        folder / "config.json", lambda data: data.update(vlm_name_or_path="Qwen/Qwen3-VL-8B-Instruct")
    )
    base = copied(release.parent / "base", tmp_path / "base")
    (base / "chat_template.jinja").unlink()
    kinds = found(open_checkpoint(folder, base))
    assert [finding.subject for finding in kinds["missing sidecar"]] == ["chat_template.jinja"]
    assert not kinds["missing sidecar"][0].error


def test_a_template_without_images_and_another_image_id_are_named(policy: Path, tmp_path: Path) -> None:
    folder = copied(policy, tmp_path / "p")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    change_json(folder / "config.json", lambda data: data.update(image_token_id=7))
    kinds = found(open_checkpoint(folder))
    assert [finding.subject for finding in kinds["wrong sidecar"]] == [
        "chat_template.jinja",
        "tokenizer.json",
    ]


def test_a_tied_head_must_equal_the_embedding(tmp_path: Path) -> None:
    release = build_sample(tmp_path, SampleSize(tied=True)).release
    assert errors_of(release) == []
    change_weights(release, lambda tensors: tensors.update({HEAD: tensors[EMBEDDING].clone()}))
    assert errors_of(release) == []
    change_weights(release, lambda tensors: tensors[HEAD][3].zero_())
    assert errors_of(release) == ["untied head"]


def test_lost_values_are_counted_when_asked_for(release: Path, tmp_path: Path) -> None:
    folder = change_weights(
        copied(release, tmp_path / "r"), lambda tensors: tensors["expert.norm.weight"][:2].fill_(torch.nan)
    )
    assert errors_of(folder) == []
    (finding,) = found(open_checkpoint(folder), values=True)["lost values"]
    assert finding.message.startswith("2 of 64")


def test_statistics_that_contradict_the_configuration_are_an_error(release: Path, tmp_path: Path) -> None:
    folder = change_weights(
        copied(release, tmp_path / "r"), lambda tensors: tensors["action_space.accel_std"].fill_(1.0)
    )
    assert errors_of(folder) == ["statistics"]


def test_1_5_needs_no_stored_statistics(release: Path, tmp_path: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        for name in [name for name in tensors if name.startswith("action_space.")]:
            del tensors[name]

    assert errors_of(change_weights(copied(release, tmp_path / "r"), change)) == []


def test_an_export_without_expert_must_be_called_one(release: Path, tmp_path: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        for name in [name for name in tensors if not name.startswith("vlm.")]:
            del tensors[name]

    folder = change_weights(copied(release, tmp_path / "r"), change)
    missing = found(open_checkpoint(folder))["missing tensor"]
    assert len(missing) == 23 + 15, "expert and projections; statistics are optional"
    backbone = open_checkpoint(folder, backbone_only=True)
    assert backbone.layout is Layout.BACKBONE
    assert not any(finding.error for each in found(backbone).values() for finding in each)


def test_what_the_edge_exporter_has_built_in_is_compared(release: Path, tmp_path: Path) -> None:
    base = copied(release.parent / "base", tmp_path / "base")
    change_json(base / "config.json", lambda data: data["text_config"].update(rope_theta=10000))
    (finding,) = found(open_checkpoint(release, base))["edge export"]
    assert finding.subject == "rope_theta"
    assert not finding.error


def test_keys_that_are_left_out_are_named_beforehand(release: Path, tmp_path: Path) -> None:
    folder = copied(release, tmp_path / "r")
    change_json(folder / "config.json", lambda data: data.pop("hist_traj_tokenizer_cfg"))
    names = [finding.subject for finding in found(open_checkpoint(folder))["unstated key"]]
    assert names == [
        f"hist_traj_tokenizer_cfg.{key}" for key in ("num_bins", "ego_xyz_min", "ego_xyz_max", "predict_yaw")
    ]
    assert inspect(open_checkpoint(folder))["not stated"] == names


def test_another_models_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    save_file({"model.norm.weight": torch.ones(2)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"model\.norm\.weight.*'llama'"):
        open_checkpoint(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        open_checkpoint(tmp_path / "nowhere")


def test_inspection_counts_every_tensor(release: Path) -> None:
    content = inspect(open_checkpoint(release))
    stored = weights(release)
    assert sum(row["tensors"] for row in content["parts"].values()) == len(stored)
    assert content["parameters"] == sum(tensor.numel() for tensor in stored.values())
    assert "other" not in content["parts"]
    assert sum(len(load_file(release / shard)) for shard in content["shards"]) == len(stored)
