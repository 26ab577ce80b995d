"""What a policy folder holds beside the weights, derived from a release's configuration.

Role: plain config.json, tokenizer, processors, ar1.json, generation_config.json. Invariant: every id and number is
the release's or was stated by the caller; what is only a stand-in, or not yet followed, is returned as a note.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from policy.release.backbone_shape import BaseModel
from policy.release.config import CONFIG_FILE, ReleaseConfig
from policy.release.findings import CheckpointError, refuse
from policy.release.sidecars import write_sidecars
from policy.release.tokenizer import rebuild_tokenizer
from policy.release.vocabulary import future_spec, history_spec, special_names, vocabulary_findings
from policy.spec import CameraSpec, PolicySpec, PromptSpec, VocabularySpec
from policy.vocabulary import Vocabulary

MAX_TEXT = 256
"""Reasoning budget in tokens: what the release's own example generates at most."""
STAND_IN_NOTE = (
    "tokenizer: stand-in for Qwen's (ids line up, prompts are spelt byte by byte, written text cannot be read); "
    "give Qwen's folder with --base before you judge or train"
)
RELEASE_CAMERAS = CameraSpec()
PROMPT_NOTE = (
    "prompt: this release names each camera and frame in its prompt (include_camera_ids, include_frame_nums); "
    "ar1.json describes the prompt without them, so figures will differ from the release's"
)


@dataclass(frozen=True)
class PolicyOptions:
    """What the release does not state of a policy: the cameras it is shown, the reasoning budget in tokens."""

    cameras: CameraSpec = RELEASE_CAMERAS
    max_text: int = MAX_TEXT


def policy_spec(config: ReleaseConfig, vocabulary: Vocabulary, options: PolicyOptions) -> PolicySpec:
    """ar1.json of a release. Raises CheckpointError naming a missing key, or images outside the pixel budget."""
    pixels = pixel_budget(config)
    size = options.cameras.width * options.cameras.height
    if pixels and not pixels[0] <= size <= pixels[1]:
        raise CheckpointError(
            f"images of {options.cameras.width}x{options.cameras.height} have {size} pixels, outside the release's "
            f"{pixels[0]} to {pixels[1]}: they would be resized, and prompts would not match; choose another size"
        )
    ids = {key: value for key, value in asdict(vocabulary).items() if key in VocabularySpec.model_fields}
    return PolicySpec(
        vocabulary=VocabularySpec(**ids),
        future=future_spec(config),
        history=history_spec(config),
        prompt=PromptSpec(),
        cameras=options.cameras,
        max_text=options.max_text,
    )


def pixel_budget(config: ReleaseConfig) -> tuple[int, int] | None:
    """Least and most pixels of an image, where the configuration states them."""
    if not (config.has("min_pixels") and config.has("max_pixels")):
        return None
    return config.whole("min_pixels"), config.whole("max_pixels")


def plain_config(base: Mapping[str, Any], rows: int, dtype: str) -> dict[str, Any]:
    """config.json of the backbone alone: the base's, with the vocabulary's rows and the weights' dtype."""
    config = copy.deepcopy(dict(base))
    config["architectures"] = ["Qwen3VLForConditionalGeneration"]
    config["dtype"] = dtype
    config["text_config"] |= {"vocab_size": rows, "dtype": dtype}
    config["text_config"]["tie_word_embeddings"] = bool(config.get("tie_word_embeddings", False))
    config.pop("torch_dtype", None)
    return config


def policy_files(
    folder: Path, config: ReleaseConfig, base: BaseModel, dtype: str, options: PolicyOptions
) -> list[str]:
    """Write everything but weights into a policy folder; returns notes for the user.

    dtype: of the weights, as config.json spells it. Raises CheckpointError when ids do not line up or a key is
    missing, ValueError for a base tokenizer that is not Qwen's kind.
    """
    refuse(vocabulary_findings(config), str(config.path))
    specials = special_names(str(config.get("model_type")))
    start = config.whole("traj_token_start_idx")
    bins = (future_spec(config).bins, history_spec(config).bins)
    tokenizer, vocabulary, is_stand_in = rebuild_tokenizer(base.folder, start, *bins, specials)
    _check_image_ids(base, vocabulary)
    spec = policy_spec(config, vocabulary, options)
    spec.save(folder)
    write_sidecars(
        folder, tokenizer, base.folder, spec.cameras, pixel_budget(config), base.config["vision_config"]
    )
    plain = plain_config(base.config, config.whole("vocab_size"), dtype)
    (folder / CONFIG_FILE).write_text(json.dumps(plain, indent=2) + "\n")
    generation = {
        "eos_token_id": vocabulary.traj_end,
        "pad_token_id": tokenizer.token_to_id("<|endoftext|>"),
    }
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
    notes = [STAND_IN_NOTE] if is_stand_in else []
    if config.get("include_camera_ids") or config.get("include_frame_nums"):
        notes.append(PROMPT_NOTE)
    if config.stated:
        said = ", ".join(f"{key}={json.dumps(value)}" for key, value in config.stated.items())
        notes.append(f"stated by you, not by the checkpoint: {said}")
    return notes


def _check_image_ids(base: BaseModel, vocabulary: Vocabulary) -> None:
    due = {
        "image_token_id": vocabulary.image_pad,
        "vision_start_token_id": vocabulary.vision_start,
        "vision_end_token_id": vocabulary.vision_end,
    }
    for key, value in due.items():
        if base.config.get(key) != value:
            raise CheckpointError(
                f"{base.origin}: {key} is {base.config.get(key)}, the tokenizer says {value}; two models"
            )
