"""Conversions and merges: bits kept, nothing half written, memory that does not grow with the model."""

from __future__ import annotations

import filecmp
import json
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from release_folders import OPTIONS, Tensors, change_json, change_weights, copied, errors_of, weights
from safetensors.torch import save_file

from policy.backbone import load_backbone
from policy.checkpoint import open_checkpoint
from policy.checkpoint_convert import Changes, to_policy, to_release
from policy.checkpoint_merge import merge
from policy.release import copying
from policy.release.findings import CheckpointError
from policy.release.policy_spec import PROMPT_NOTE, STAND_IN_NOTE, PolicyOptions
from policy.release.sample import SampleSize, build_sample
from policy.spec import CameraSpec, PolicySpec

HEAD = "vlm.lm_head.weight"
EMBEDDING = "vlm.model.language_model.embed_tokens.weight"


def equal(ours: Tensors, theirs: Tensors) -> bool:
    """Same names, dtypes and bits."""
    return set(ours) == set(theirs) and all(
        ours[name].dtype == theirs[name].dtype
        and torch.equal(ours[name].view(torch.uint8), theirs[name].view(torch.uint8))
        for name in ours
        if ours[name].dim()
    )


def same_files(ours: Path, theirs: Path) -> bool:
    names = sorted(file.name for file in theirs.iterdir())
    same, _, _ = filecmp.cmpfiles(ours, theirs, names, shallow=False)
    return sorted(same) == names == sorted(file.name for file in ours.iterdir())


@pytest.mark.parametrize("model_type", ["alpamayo_r1", "alpamayo1_5"])
@pytest.mark.parametrize("shards", [1, 5])
def test_a_release_comes_back_file_for_file(tmp_path: Path, model_type: str, shards: int) -> None:
    release = build_sample(tmp_path, model_type=model_type, shards=shards).release
    written = to_policy(open_checkpoint(release), tmp_path / "policy", OPTIONS)
    assert written.notes == ((PROMPT_NOTE,) if model_type == "alpamayo1_5" else ())
    assert errors_of(tmp_path / "policy", values=True) == []
    back = to_release(open_checkpoint(tmp_path / "policy"), tmp_path / "back")
    assert back.notes == ()
    assert same_files(tmp_path / "back", release)


def test_tensors_keep_names_and_bits_on_the_way(release: Path, policy: Path) -> None:
    theirs = weights(release)
    ours = {f"vlm.{name}": tensor for name, tensor in weights(policy).items()}
    ours |= weights(policy / "expert") | weights(policy / "release", "statistics")
    assert equal(ours, theirs)


def test_a_backbone_export_is_converted_and_comes_back(tmp_path: Path) -> None:
    release = build_sample(tmp_path, SampleSize(expert=None)).release
    to_policy(open_checkpoint(release), tmp_path / "policy", OPTIONS)
    to_release(open_checkpoint(tmp_path / "policy"), tmp_path / "back")
    assert same_files(tmp_path / "back", release)


def test_the_policy_loads_as_our_backbone_with_the_same_weights(release: Path, policy: Path) -> None:
    model = load_backbone(policy, torch.bfloat16)
    loaded = {f"vlm.{name}": tensor for name, tensor in model.state_dict().items()}
    stored = {name: tensor for name, tensor in weights(release).items() if name.startswith("vlm.")}
    assert equal(loaded, stored)


def test_the_spec_is_the_configurations(release: Path, policy: Path) -> None:
    spec, config = PolicySpec.load(policy), json.loads((release / "config.json").read_text())
    assert spec.future.bins == 3000
    assert spec.future.low == (-10.0, -10.0)
    assert not spec.future.carry_error
    assert not spec.future.forward_only
    assert spec.history.bins == 1000
    assert spec.max_text == 8
    vocabulary = spec.vocabulary_ids()
    assert vocabulary.size == config["vocab_size"]
    assert vocabulary.traj_start == config["traj_token_ids"]["future_start"]


def test_nested_statistics_reach_the_codec_in_float32(release: Path, tmp_path: Path) -> None:
    folder = copied(release, tmp_path / "r")
    change_json(
        folder / "config.json",
        lambda data: data["traj_tokenizer_cfg"]["action_space_cfg"].update(accel_std=0.6810426736454882),
    )
    to_policy(open_checkpoint(folder), tmp_path / "policy", OPTIONS)
    assert PolicySpec.load(tmp_path / "policy").future.std[0] == float(np.float32(0.6810426736454882))


def test_what_was_stated_is_noted_and_kept(release: Path, tmp_path: Path) -> None:
    folder = copied(release, tmp_path / "r")
    change_json(folder / "config.json", lambda data: data["traj_tokenizer_cfg"].pop("action_space_cfg"))
    with pytest.raises(CheckpointError, match=r"action_space_cfg\.accel_mean"):
        to_policy(open_checkpoint(folder), tmp_path / "policy", OPTIONS)
    assert not (tmp_path / "policy").exists()
    written = to_policy(open_checkpoint(folder, class_defaults=True), tmp_path / "policy", OPTIONS)
    assert "stated by you" in written.notes[0]
    again = open_checkpoint(tmp_path / "policy")
    assert again.config is not None
    assert again.config.need("traj_tokenizer_cfg.action_space_cfg.accel_std") == 1.0
    to_release(again, tmp_path / "back")
    assert same_files(tmp_path / "back", folder)


def test_images_outside_the_pixel_budget_are_refused(release: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="outside the release's 5376 to 6912"):
        to_policy(open_checkpoint(release), tmp_path / "policy", PolicyOptions(CameraSpec()))
    assert list(tmp_path.iterdir()) == []


def test_qwens_tokenizer_is_stood_in_for_when_it_is_not_at_hand(release: Path, tmp_path: Path) -> None:
    """A release of Qwen's vocabulary on a base folder without tokenizer."""
    base = copied(release.parent / "base", tmp_path / "base")
    (base / "tokenizer.json").unlink()
    ids = {"image_token_id": 151655, "vision_start_token_id": 151652, "vision_end_token_id": 151653}
    change_json(base / "config.json", lambda data: data.update(ids))
    folder = copied(release, tmp_path / "r")

    def grow(tensors: Tensors) -> None:
        for name in (HEAD, EMBEDDING):
            tensors[name] = torch.zeros((155697, 64), dtype=torch.bfloat16)

    change_weights(folder, grow)

    def reword(data: dict[str, object]) -> None:
        data.update(
            vocab_size=155697, traj_token_start_idx=151669, vlm_name_or_path="Qwen/Qwen3-VL-8B-Instruct"
        )
        data.pop("traj_token_ids")

    change_json(folder / "config.json", reword)
    written = to_policy(open_checkpoint(folder, base), tmp_path / "policy", OPTIONS)
    assert written.notes == (STAND_IN_NOTE,)
    assert PolicySpec.load(tmp_path / "policy").vocabulary_ids().traj_start == 155681
    assert errors_of(tmp_path / "policy") == []


@pytest.mark.parametrize("fault", [KeyboardInterrupt, OSError])
def test_an_interrupted_conversion_leaves_nothing(
    release: Path, tmp_path: Path, fault: type[BaseException]
) -> None:
    told: list[int] = []

    def interrupt(done: int) -> None:
        told.append(done)
        if len(told) == 20:
            raise fault

    with pytest.raises(fault):
        to_policy(open_checkpoint(release), tmp_path / "policy", OPTIONS, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_never_touched(release: Path, policy: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for write in (
        lambda: to_policy(open_checkpoint(release), tmp_path / "out", OPTIONS),
        lambda: to_release(open_checkpoint(policy), tmp_path / "out"),
    ):
        with pytest.raises(FileExistsError, match="there already"):
            write()
    assert list((tmp_path / "out").iterdir()) == []


def test_a_damaged_release_is_not_converted(release: Path, tmp_path: Path) -> None:
    folder = change_weights(
        copied(release, tmp_path / "r"), lambda tensors: tensors.pop("expert.norm.weight")
    )
    with pytest.raises(CheckpointError, match=r"missing tensor: expert\.norm\.weight"):
        to_policy(open_checkpoint(folder), tmp_path / "policy", OPTIONS)


def test_padding_is_cut_only_when_asked_for(release: Path, tmp_path: Path) -> None:
    def pad(tensors: Tensors) -> None:
        for name in (HEAD, EMBEDDING):
            tensors[name] = torch.cat([tensors[name], torch.ones((7, 64), dtype=torch.bfloat16)])

    folder = change_weights(copied(release, tmp_path / "r"), pad)
    with pytest.raises(CheckpointError, match="7 rows beyond the vocabulary"):
        to_release(open_checkpoint(folder), tmp_path / "out")
    to_release(open_checkpoint(folder), tmp_path / "out", Changes(trim_padding=True))
    assert equal(weights(tmp_path / "out"), weights(release))


def nothing(_: Tensors) -> None:
    """Training that changed no weight."""


def trained(policy: Path, to: Path, change: Callable[[Tensors], None], dtype: torch.dtype) -> Path:
    """What training saves: the policy folder without expert and release part, all weights in one dtype."""
    folder = copied(policy, to)
    shutil.rmtree(folder / "release")
    shutil.rmtree(folder / "expert")

    def cast(tensors: Tensors) -> None:
        change(tensors)
        for name, tensor in list(tensors.items()):
            tensors[name] = tensor.to(dtype)

    return change_weights(folder, cast)


def test_a_trained_backbone_goes_back_under_the_expert(release: Path, policy: Path, tmp_path: Path) -> None:
    def learn(tensors: Tensors) -> None:
        tensors["model.language_model.norm.weight"] += 0.25

    folder = trained(policy, tmp_path / "trained", learn, torch.bfloat16)
    written = merge(open_checkpoint(release), open_checkpoint(folder), tmp_path / "merged")
    assert written.notes == ("1 of 88 backbone tensors differ from the release's",)
    ours, theirs = weights(tmp_path / "merged"), weights(release)
    changed = "vlm.model.language_model.norm.weight"
    assert torch.equal(ours.pop(changed), theirs.pop(changed) + 0.25)
    assert equal(ours, theirs)
    assert filecmp.cmp(tmp_path / "merged" / "config.json", release / "config.json", shallow=False)
    assert errors_of(tmp_path / "merged") == []


def test_a_backbone_of_another_dtype_needs_a_cast(release: Path, policy: Path, tmp_path: Path) -> None:
    folder = trained(policy, tmp_path / "trained", nothing, torch.float32)
    with pytest.raises(CheckpointError, match=r"wrong dtype.*--cast"):
        merge(open_checkpoint(release), open_checkpoint(folder), tmp_path / "merged")
    merge(open_checkpoint(policy), open_checkpoint(folder), tmp_path / "merged", Changes(cast="bfloat16"))
    assert same_files(tmp_path / "merged", release), "rounding back what was widened gives the same files"


def test_casting_rounds_as_torch_does(release: Path, tmp_path: Path) -> None:
    def widen(tensors: Tensors) -> None:
        generator = torch.Generator().manual_seed(3)
        for name in list(tensors):
            tensors[name] = torch.randn(tensors[name].shape, generator=generator)

    folder = change_weights(copied(release, tmp_path / "r"), widen)
    change_json(folder / "config.json", lambda data: data.update(dtype="float32"))
    to_release(open_checkpoint(folder), tmp_path / "out", Changes(cast="bfloat16"))
    ours = weights(tmp_path / "out")
    for name, tensor in weights(folder).items():
        buffer = name.endswith("freqs") or name.startswith("action_space.")
        assert torch.equal(ours[name], tensor if buffer else tensor.bfloat16()), name
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "bfloat16"


def test_a_backbone_that_does_not_fit_is_refused(release: Path, policy: Path, tmp_path: Path) -> None:
    opened = open_checkpoint(release)
    missing = trained(policy, tmp_path / "a", lambda tensors: tensors.pop("lm_head.weight"), torch.bfloat16)
    with pytest.raises(CheckpointError, match=r"missing tensor: vlm\.lm_head\.weight"):
        merge(opened, open_checkpoint(missing), tmp_path / "out")
    turned = trained(policy, tmp_path / "b", nothing, torch.bfloat16)
    change_json(turned / "config.json", lambda data: data["text_config"].update(rope_theta=1000))
    with pytest.raises(
        CheckpointError, match=r"text_config\.rope_theta: 1000 where the release's backbone has"
    ):
        merge(opened, open_checkpoint(turned), tmp_path / "out")
    coded = trained(policy, tmp_path / "c", nothing, torch.bfloat16)
    change_json(coded / "ar1.json", lambda data: data["future"].update(high=[4.0, 0.2]))
    with pytest.raises(CheckpointError, match="other codec"):
        merge(opened, open_checkpoint(coded), tmp_path / "out")
    with pytest.raises(CheckpointError, match="has no expert"):
        merge(open_checkpoint(turned), opened, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_policy_that_never_was_a_release_says_so(policy: Path, tmp_path: Path) -> None:
    folder = trained(policy, tmp_path / "p", nothing, torch.bfloat16)
    with pytest.raises(CheckpointError, match="ar1 checkpoint merge"):
        to_release(open_checkpoint(folder), tmp_path / "out")


def test_memory_is_bounded_by_one_piece_not_by_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pieces of 64 KiB; the largest tensor has 2.8 MB, a shard more. Peak of what Python and numpy allocate."""
    monkeypatch.setattr(copying, "PIECE_BYTES", 64 << 10)
    release = build_sample(tmp_path, SampleSize(hidden=320, feed_forward=256, heads=2), shards=3).release
    opened = open_checkpoint(release)
    largest = max(tensor.nbytes for tensor in opened.tensors.values())
    to_policy(opened, tmp_path / "warm", OPTIONS)  # imports and caches
    tracemalloc.start()
    to_release(opened, tmp_path / "out")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert largest > 2_500_000
    assert peak < largest / 2
    assert same_files(tmp_path / "out", release)


def test_an_empty_folder_of_weights_is_refused(tmp_path: Path, release: Path) -> None:
    folder = copied(release, tmp_path / "r")
    for file in folder.glob("model*"):
        file.unlink()
    save_file({"step": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="no tensor is named vlm"):
        open_checkpoint(folder)


def test_an_embedded_policy_with_an_expert_is_written_as_a_release(policy: Path, tmp_path: Path) -> None:
    """A policy that never was a release: its configuration is composed of ar1.json and expert.json."""
    embedded = copied(policy, tmp_path / "embedded")
    shutil.rmtree(embedded / "release")
    change_json(embedded / "ar1.json", lambda data: data["future"].update(carry_error=True))
    opened = open_checkpoint(embedded)
    assert [finding.subject for finding in opened.findings] == ["ar1.json future.carry_error"]
    to_release(opened, tmp_path / "out")
    assert errors_of(tmp_path / "out") == []
    ours = weights(tmp_path / "out")
    theirs = {f"vlm.{name}": tensor for name, tensor in weights(policy).items()} | weights(policy / "expert")
    assert equal(ours, theirs)


def test_the_experts_shape_and_statistics_come_along(release: Path, policy: Path) -> None:
    config = json.loads((release / "config.json").read_text())
    spec = json.loads((policy / "expert" / "expert.json").read_text())
    assert spec["hidden"] == config["expert_cfg"]["hidden_size"]
    assert spec["features"]["max_frequency"] == 100.0
    assert spec["std"][0] == float(np.float32(config["action_space_cfg"]["accel_std"]))
    assert {name.split(".")[0] for name in weights(policy / "expert")} == {
        "expert",
        "action_in_proj",
        "action_out_proj",
    }
