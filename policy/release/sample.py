"""A checkpoint of random weights in the exact release layout, of any size.

Role: what tests, benchmarks and `ar1 checkpoint sample` work on where the 22 GB of a release are not at hand.
Invariant: names, shapes, dtypes, configuration keys and sharding are the release's; so are the values that NVIDIA's
edge exporter has built in (rotary base and sections, three DeepStack planes). Like the release it ships no
tokenizer: that, and the backbone's configuration, lie in a base folder of their own, as Qwen's do.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from policy.release.backbone_shape import QWEN3_VL_8B, BackboneShape
from policy.release.compose import ExpertSize, compose_config
from policy.release.config import CONFIG_FILE, read_release_config
from policy.release.shards import index_name, shard_name
from policy.release.sidecars import write_sidecars
from policy.release.tensors import Expected, expected_tensors
from policy.release.vocabulary import ActionStatistics
from policy.spec import CameraSpec, FutureSpec, HistorySpec, PolicySpec, PromptSpec, VocabularySpec
from policy.tokenizer import base_vocabulary, train_base

BASE_VOCABULARY = 512
RELEASE_STATISTICS = ActionStatistics(
    mean=(0.02902694707164455, 0.0002692167976330542), std=(0.6810426736454882, 0.026148280660833106)
)
"""action_space_cfg of nvidia/Alpamayo-R1-10B."""
SMALL_EXPERT = ExpertSize(hidden=64, feed_forward=128, heads=2, in_hidden=32)
SMALL_CAMERAS = CameraSpec(names=("front_wide", "front_tele"), frames=1, width=96, height=64)


@dataclass(frozen=True)
class SampleSize:
    """Sizes of a sample. head_dim stays 128, so that the rotary sections are the release's."""

    hidden: int = 64
    feed_forward: int = 128
    layers: int = 2
    heads: int = 2
    kv_heads: int = 1
    vision_hidden: int = 64
    vision_layers: int = 3
    vision_heads: int = 2
    expert: ExpertSize | None = SMALL_EXPERT
    tied: bool = False
    cameras: CameraSpec = SMALL_CAMERAS


@dataclass(frozen=True)
class Sample:
    """Where a sample lies: `release` in the release layout, `base` with tokenizer, processor and configuration."""

    release: Path
    base: Path


def build_sample(
    root: Path,
    size: SampleSize = SampleSize(),
    *,
    shards: int = 3,
    seed: int = 0,
    dtype: str = "bfloat16",
    model_type: str = "alpamayo_r1",
) -> Sample:
    """Write root/release and root/base. The same arguments give the same bytes.

    Raises FileExistsError when root/release is there already.
    """
    sample = Sample(root / "release", root / "base")
    if sample.release.exists():
        raise FileExistsError(f"{sample.release} is there already; name another folder")
    spec = _write_base(sample.base, size)
    sample.release.mkdir(parents=True)
    config = compose_config(
        spec,
        expert=size.expert,
        actions=RELEASE_STATISTICS,
        vlm_name_or_path=str(sample.base),
        dtype=dtype,
        model_type=model_type,
    )
    (sample.release / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n")
    base = json.loads((sample.base / CONFIG_FILE).read_text())
    shape = BackboneShape.of(base, spec.vocabulary_ids().size)
    read = read_release_config(sample.release / CONFIG_FILE)
    expected = expected_tensors(read, shape, expert=size.expert is not None)
    if size.tied:
        expected.pop("vlm.lm_head.weight")
    _write_weights(sample.release, expected, shards, seed, config)
    return sample


def _write_base(folder: Path, size: SampleSize) -> PolicySpec:
    """A backbone's folder without weights; returns the spec of a policy on it."""
    folder.mkdir(parents=True, exist_ok=True)
    prompt = PromptSpec()
    corpus = ["system\n", "user\n", "assistant\n", "\n", prompt.system, prompt.instruction]
    tokenizer = train_base(corpus * 2, BASE_VOCABULARY)
    future, history = FutureSpec(), HistorySpec()
    vocabulary = base_vocabulary(tokenizer, future.bins, history.bins)
    config = copy.deepcopy(dict(QWEN3_VL_8B)) | {
        "tie_word_embeddings": size.tied,
        "image_token_id": vocabulary.image_pad,
        "video_token_id": vocabulary.image_pad + 1,
        "vision_start_token_id": vocabulary.vision_start,
        "vision_end_token_id": vocabulary.vision_end,
    }
    config["text_config"] |= {
        "vocab_size": vocabulary.base_size,
        "hidden_size": size.hidden,
        "intermediate_size": size.feed_forward,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.kv_heads,
        "max_position_embeddings": 4096,
        "bos_token_id": None,
        "eos_token_id": vocabulary.im_end,
        "tie_word_embeddings": size.tied,
    }
    config["vision_config"] |= {
        "depth": size.vision_layers,
        "deepstack_visual_indexes": list(range(size.vision_layers))[-3:],
        "hidden_size": size.vision_hidden,
        "intermediate_size": 2 * size.vision_hidden,
        "num_heads": size.vision_heads,
        "num_position_embeddings": 256,
        "out_hidden_size": size.hidden,
    }
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n")
    write_sidecars(folder, tokenizer, None, size.cameras, None, config["vision_config"])
    ids = {key: value for key, value in asdict(vocabulary).items() if key in VocabularySpec.model_fields}
    return PolicySpec(
        vocabulary=VocabularySpec(**ids), future=future, history=history, prompt=prompt, cameras=size.cameras
    )


def _write_weights(
    folder: Path, expected: Mapping[str, Expected], count: int, seed: int, config: Mapping[str, Any]
) -> None:
    """Shards of equal numbers of tensors, in the library's own writing."""
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(seed)
    dtype = getattr(torch, config["dtype"])
    names = sorted(expected)
    placed: dict[str, str] = {}
    total = 0
    for number in range(count):
        file = shard_name("model", number + 1, count)
        group = names[number * len(names) // count : (number + 1) * len(names) // count]
        tensors = {name: _random(name, expected[name].shape, generator, config).to(dtype) for name in group}
        save_file(tensors, folder / file, metadata={"format": "pt"})
        placed |= dict.fromkeys(group, file)
        total += sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": placed}
    if count > 1:
        (folder / index_name("model")).write_text(json.dumps(index, indent=2) + "\n")


def _random(name: str, shape: tuple[int, ...], generator: Any, config: Mapping[str, Any]) -> Any:
    """Weights scaled by fan-in, norms 1, biases 0; buffers as the release computes them."""
    import torch

    if name.startswith("action_space."):
        return torch.tensor(config["action_space_cfg"][name.removeprefix("action_space.")])
    if name.endswith("freqs"):
        maximum = config["action_in_proj_cfg"]["max_freq"]
        return torch.logspace(0, torch.log10(torch.tensor(maximum)).item(), shape[-1])[None]
    if name.endswith("bias"):
        return torch.zeros(shape)
    if len(shape) == 1:
        return torch.ones(shape)
    fan_in = 1
    for part in shape[1:]:
        fan_in *= part
    return torch.randn(shape, generator=generator) * fan_in**-0.5
