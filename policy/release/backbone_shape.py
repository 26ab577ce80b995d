"""Shape of a Qwen3-VL backbone, and the tensors that it has.

Role: names and shapes from configuration alone, in plain arithmetic. Invariant: equal to the state dict that
transformers builds from the same configuration (tested); import-light.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policy.release.config import BACKBONE_TYPE, CONFIG_FILE, ReleaseConfig, read_json
from policy.release.findings import CheckpointError

Shapes = dict[str, tuple[int, ...]]

QWEN3_VL_8B: Mapping[str, Any] = {
    "architectures": ["Qwen3VLForConditionalGeneration"],
    "model_type": BACKBONE_TYPE,
    "image_token_id": 151655,
    "video_token_id": 151656,
    "vision_start_token_id": 151652,
    "vision_end_token_id": 151653,
    "tie_word_embeddings": False,
    "text_config": {
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": 151643,
        "eos_token_id": 151645,
        "head_dim": 128,
        "hidden_act": "silu",
        "hidden_size": 4096,
        "initializer_range": 0.02,
        "intermediate_size": 12288,
        "max_position_embeddings": 262144,
        "model_type": "qwen3_vl_text",
        "num_attention_heads": 32,
        "num_hidden_layers": 36,
        "num_key_value_heads": 8,
        "rms_norm_eps": 1e-6,
        "rope_scaling": {"mrope_interleaved": True, "mrope_section": [24, 20, 20], "rope_type": "default"},
        "rope_theta": 5000000,
        "use_cache": True,
        "vocab_size": 151936,
    },
    "vision_config": {
        "deepstack_visual_indexes": [8, 16, 24],
        "depth": 27,
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_size": 1152,
        "in_channels": 3,
        "initializer_range": 0.02,
        "intermediate_size": 4304,
        "model_type": "qwen3_vl",
        "num_heads": 16,
        "num_position_embeddings": 2304,
        "out_hidden_size": 4096,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    },
}
"""Configuration of Qwen/Qwen3-VL-8B-Instruct; sizes are compared with the checkpoint's own headers."""

KNOWN_BACKBONES: Mapping[str, Mapping[str, Any]] = {
    "Qwen/Qwen3-VL-8B-Instruct": QWEN3_VL_8B,
    "nvidia/Cosmos-Reason2-8B": QWEN3_VL_8B,
}


@dataclass(frozen=True)
class BaseModel:
    """Where a backbone's configuration came from. config: plain Qwen3-VL config.json; folder: with tokenizer
    and processor files, None when only the name is known."""

    config: Mapping[str, Any]
    folder: Path | None
    origin: str


def resolve_base(config: ReleaseConfig, base: Path | None) -> BaseModel:
    """The backbone a release is built on: the folder given, else vlm_name_or_path as folder, else a known name.

    Raises CheckpointError when none of them tells the architecture.
    """
    if base is not None:
        return read_base(base)
    name = str(config.get("vlm_name_or_path", ""))
    if name and Path(name).is_dir():
        return read_base(Path(name))
    if name in KNOWN_BACKBONES:
        return BaseModel(copy.deepcopy(dict(KNOWN_BACKBONES[name])), None, f"known model {name}")
    raise CheckpointError(
        f"{config.path}: vlm_name_or_path is {name!r}, neither a folder here nor one of {sorted(KNOWN_BACKBONES)}; "
        "give the backbone's folder (config.json, tokenizer, processor; no weights needed) with --base"
    )


def read_base(folder: Path) -> BaseModel:
    """A Qwen3-VL folder's configuration. Raises CheckpointError when it is another model's."""
    _, config = read_json(folder / CONFIG_FILE)
    if config.get("model_type") != BACKBONE_TYPE:
        raise CheckpointError(
            f"{folder} is a {config.get('model_type')!r}; --base takes a folder of model_type {BACKBONE_TYPE}"
        )
    return BaseModel(config, folder, str(folder))


@dataclass(frozen=True)
class BackboneShape:
    """Sizes of text and vision stack. tied: the output head is the embedding; deepstack: number of planes."""

    vocabulary: int
    hidden: int
    feed_forward: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    tied: bool
    vision_layers: int
    vision_hidden: int
    vision_feed_forward: int
    vision_positions: int
    vision_out: int
    deepstack: int
    patch: int
    merge: int
    temporal_patch: int
    channels: int

    @classmethod
    def of(cls, config: Mapping[str, Any], vocabulary: int | None = None) -> BackboneShape:
        """From a plain Qwen3-VL config.json; vocabulary: rows in place of the config's own.

        Raises CheckpointError naming the key that is missing.
        """
        try:
            text, vision = config["text_config"], config["vision_config"]
            return cls(
                vocabulary=vocabulary or text["vocab_size"],
                hidden=text["hidden_size"],
                feed_forward=text["intermediate_size"],
                layers=text["num_hidden_layers"],
                heads=text["num_attention_heads"],
                kv_heads=text["num_key_value_heads"],
                head_dim=text["head_dim"],
                tied=bool(config.get("tie_word_embeddings", False)),
                vision_layers=vision["depth"],
                vision_hidden=vision["hidden_size"],
                vision_feed_forward=vision["intermediate_size"],
                vision_positions=vision["num_position_embeddings"],
                vision_out=vision["out_hidden_size"],
                deepstack=len(vision["deepstack_visual_indexes"]),
                patch=vision["patch_size"],
                merge=vision["spatial_merge_size"],
                temporal_patch=vision["temporal_patch_size"],
                channels=vision["in_channels"],
            )
        except KeyError as error:
            raise CheckpointError(
                f"the backbone's config.json lacks {error}; take it from its release"
            ) from error


def decoder_layer(
    prefix: str, hidden: int, feed_forward: int, heads: int, kv_heads: int, head_dim: int
) -> Shapes:
    """Tensors of one Qwen3 decoder layer: grouped-query attention with normalised q and k, gated MLP, no bias."""
    shapes = {
        "input_layernorm.weight": (hidden,),
        "post_attention_layernorm.weight": (hidden,),
        "self_attn.q_proj.weight": (heads * head_dim, hidden),
        "self_attn.k_proj.weight": (kv_heads * head_dim, hidden),
        "self_attn.v_proj.weight": (kv_heads * head_dim, hidden),
        "self_attn.o_proj.weight": (hidden, heads * head_dim),
        "self_attn.q_norm.weight": (head_dim,),
        "self_attn.k_norm.weight": (head_dim,),
        "mlp.gate_proj.weight": (feed_forward, hidden),
        "mlp.up_proj.weight": (feed_forward, hidden),
        "mlp.down_proj.weight": (hidden, feed_forward),
    }
    return {f"{prefix}.{name}": shape for name, shape in shapes.items()}


def backbone_shapes(shape: BackboneShape) -> Shapes:
    """Every tensor of Qwen3VLForConditionalGeneration, lm_head.weight included also where it is tied."""
    shapes: Shapes = {
        "model.language_model.embed_tokens.weight": (shape.vocabulary, shape.hidden),
        "model.language_model.norm.weight": (shape.hidden,),
        "lm_head.weight": (shape.vocabulary, shape.hidden),
    }
    for layer in range(shape.layers):
        prefix = f"model.language_model.layers.{layer}"
        shapes |= decoder_layer(
            prefix, shape.hidden, shape.feed_forward, shape.heads, shape.kv_heads, shape.head_dim
        )
    return shapes | {f"model.visual.{name}": size for name, size in _vision_shapes(shape).items()}


def _vision_shapes(shape: BackboneShape) -> Shapes:
    width, merged = shape.vision_hidden, shape.vision_hidden * shape.merge**2
    kernel = (shape.channels, shape.temporal_patch, shape.patch, shape.patch)
    shapes: Shapes = {
        "patch_embed.proj.weight": (width, *kernel),
        "patch_embed.proj.bias": (width,),
        "pos_embed.weight": (shape.vision_positions, width),
    }
    for block in range(shape.vision_layers):
        for norm in ("norm1", "norm2"):
            shapes |= _biased(f"blocks.{block}.{norm}", (width,))
        shapes |= _biased(f"blocks.{block}.attn.qkv", (3 * width, width))
        shapes |= _biased(f"blocks.{block}.attn.proj", (width, width))
        shapes |= _biased(f"blocks.{block}.mlp.linear_fc1", (shape.vision_feed_forward, width))
        shapes |= _biased(f"blocks.{block}.mlp.linear_fc2", (width, shape.vision_feed_forward))
    mergers = [("merger", width), *((f"deepstack_merger_list.{i}", merged) for i in range(shape.deepstack))]
    for name, normed in mergers:
        shapes |= _biased(f"{name}.norm", (normed,))
        shapes |= _biased(f"{name}.linear_fc1", (merged, merged))
        shapes |= _biased(f"{name}.linear_fc2", (shape.vision_out, merged))
    return shapes


def _biased(name: str, weight: tuple[int, ...]) -> Shapes:
    return {f"{name}.weight": weight, f"{name}.bias": weight[:1]}
