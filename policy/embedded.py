"""The embedded policy: a Qwen3-VL of a few million parameters, from scratch, with AR1's vocabulary.

Role: makes a policy folder (config, tokenizer, processor, weights, ar1.json) that transformers and vLLM load
exactly as they load a released backbone. Invariant: the same arguments give the same bytes of weights.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

from policy.backbone import Backbone, tell_vision_tokens
from policy.spec import (
    CameraSpec,
    EmbeddedSize,
    FutureSpec,
    HistorySpec,
    PolicySpec,
    PromptSpec,
    VisionTokensSpec,
    VocabularySpec,
)
from policy.tokenizer import TOKENIZER_FILE, add_ar1_tokens, base_vocabulary, train_base
from policy.vocabulary import Vocabulary

CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for c in m.content %}{% if c.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif c.type == 'text' %}{{ c.text }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build_config(size: EmbeddedSize, vocabulary: Vocabulary) -> Qwen3VLConfig:
    """Qwen3-VL configuration of that shape; mrope sections keep the release's 24:20:20 proportions."""
    half = size.head_dim // 2
    side = round(half * 20 / 64)
    return Qwen3VLConfig(
        text_config={
            "vocab_size": vocabulary.size,
            "hidden_size": size.hidden,
            "intermediate_size": size.feed_forward,
            "num_hidden_layers": size.layers,
            "num_attention_heads": size.heads,
            "num_key_value_heads": size.kv_heads,
            "head_dim": size.head_dim,
            "max_position_embeddings": 4096,
            "tie_word_embeddings": True,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 5_000_000.0,
                "mrope_section": [half - 2 * side, side, side],
                "mrope_interleaved": True,
            },
        },
        vision_config={
            "depth": size.vision_layers,
            "hidden_size": size.vision_hidden,
            "intermediate_size": 3 * size.vision_hidden,
            "num_heads": size.vision_heads,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": size.hidden,
            "num_position_embeddings": 256,
            "deepstack_visual_indexes": [0],
        },
        image_token_id=vocabulary.image_pad,
        video_token_id=vocabulary.image_pad + 1,
        vision_start_token_id=vocabulary.vision_start,
        vision_end_token_id=vocabulary.vision_end,
        tie_word_embeddings=True,
        architectures=["Qwen3VLForConditionalGeneration"],
        dtype="float32",
    )


def bin_features(bins: int, width: int) -> np.ndarray:
    """[bins, width] smooth features of a bin's position in [0, 1]: neighbours start out alike.

    Sines and cosines at frequencies 1, 2, 4 … half the bin count, rows scaled to unit root mean square. A plain
    random start leaves a few-million-parameter head unable to learn that bins are ordered.
    """
    position = np.arange(bins) / max(bins - 1, 1)
    frequencies = np.geomspace(0.5, max(bins / 8, 1.0), width // 2)
    angles = 2 * np.pi * position[:, None] * frequencies[None, :]
    features = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    return features / np.sqrt((features**2).mean(axis=1, keepdims=True))


def initialise(model: Qwen3VLForConditionalGeneration, vocabulary: Vocabulary, seed: int) -> None:
    """Smooth trajectory rows in the tied embedding, and matrices scaled by their fan-in.

    transformers' 0.02 suits wide models; at width 128 it leaves the vision tower's output too faint to be noticed
    for hundreds of steps. Output projections of residual blocks are halved.
    """
    generator = torch.Generator().manual_seed(seed)
    halved = ("o_proj", "down_proj", "attn.proj", "linear_fc2")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".resampler." in name:
                continue  # starts as average pooling; see Resampler.reset
            if weight.dim() >= 2 and "embed" not in name.replace("patch_embed", ""):
                std = weight[0].numel() ** -0.5 * (0.5 if any(part in name for part in halved) else 1.0)
                weight.normal_(0.0, std, generator=generator)
    table = model.get_input_embeddings().weight
    spread = float(table.detach().std())
    mix = torch.linalg.qr(torch.randn(table.shape[1], table.shape[1], generator=generator))[0]
    with torch.no_grad():
        for start, bins in (
            (vocabulary.future_start, vocabulary.future_bins),
            (vocabulary.history_start, vocabulary.history_bins),
        ):
            rows = torch.from_numpy(bin_features(bins, table.shape[1])).float() @ mix
            table[start : start + bins] = rows * spread


def build_embedded(
    folder: Path,
    corpus: Iterable[str],
    *,
    size: EmbeddedSize,
    future: FutureSpec,
    history: HistorySpec,
    prompt: PromptSpec,
    cameras: CameraSpec,
    max_text: int,
    seed: int,
    vision_tokens: VisionTokensSpec | None = None,
) -> PolicySpec:
    """Make a policy folder from scratch. corpus: sentences the tokenizer learns its words from."""
    folder.mkdir(parents=True, exist_ok=True)
    layout = ["system\n", "user\n", "assistant\n", "\n", prompt.system, prompt.instruction]
    tokenizer = train_base([*corpus, *layout * 2], size.base_vocabulary)
    vocabulary = base_vocabulary(tokenizer, future.bins, history.bins)
    add_ar1_tokens(tokenizer, vocabulary)
    tokenizer.save(str(folder / TOKENIZER_FILE))
    ids = {k: v for k, v in asdict(vocabulary).items() if k in VocabularySpec.model_fields}
    spec = PolicySpec(
        vocabulary=VocabularySpec(**ids),
        future=future,
        history=history,
        prompt=prompt,
        cameras=cameras,
        vision_tokens=vision_tokens or VisionTokensSpec(),
        max_text=max_text,
    )
    spec.save(folder)
    torch.manual_seed(seed)
    model = Backbone(tell_vision_tokens(build_config(size, vocabulary), spec)).float()
    initialise(model, vocabulary, seed)
    if spec.vision_tokens.kind == "resample":
        model.model.resampler.reset(seed)
    model.generation_config.eos_token_id = vocabulary.traj_end
    model.generation_config.pad_token_id = tokenizer.token_to_id("<|endoftext|>")
    model.save_pretrained(folder)
    write_processor(folder, cameras)
    return spec


def write_processor(folder: Path, cameras: CameraSpec) -> None:
    """Tokenizer and image-processor files that AutoProcessor and vLLM read. Pixel bounds keep images as sent."""
    pixels = cameras.width * cameras.height
    image = {
        "image_processor_type": "Qwen2VLImageProcessor",
        "patch_size": 16,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "size": {"shortest_edge": min(pixels, 1024), "longest_edge": max(pixels, 1024)},
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "do_rescale": True,
        "do_normalize": True,
        "do_resize": True,
    }
    video = {k: v for k, v in image.items() if k != "image_processor_type"}
    files = {
        "preprocessor_config.json": image,
        "video_preprocessor_config.json": {**video, "video_processor_type": "Qwen3VLVideoProcessor"},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "processor_class": "Qwen3VLProcessor",
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "model_max_length": 4096,
        },
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=1) + "\n")
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
