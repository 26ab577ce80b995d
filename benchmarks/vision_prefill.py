"""Prompt tokens and prefill time by compression, on the embedded backbone.

    python -m benchmarks.vision_prefill [--rounds 7]

Two prompts: the quickstart's (two images of 6 tokens) and one of release shape (16 images of 180 tokens, the
release's texts and 48 history tokens), both on a fresh embedded backbone: time does not depend on the weights. A
prefill is one forward pass of one prompt to the logits of its last position. The vision tower reads every patch
at any ratio; its share is timed apart. One thread, and its processor time rather than the clock's, so that a busy
machine does not show. Rounds go through all rows in turn; medians are printed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from policy.backbone import load_backbone
from policy.compress import compress_policy
from policy.embedded import build_embedded
from policy.model_inputs import ImageEncoder, Padded, backbone_inputs
from policy.prompt import Prompt, PromptBuilder
from policy.spec import (
    CameraSpec,
    EmbeddedSize,
    FutureSpec,
    HistorySpec,
    PolicySpec,
    PromptSpec,
    VisionTokensSpec,
)
from policy.tokenizer import TextCodec
from sft.corpus import corpus

RATIOS = (1, 2, 4, 8, 16)
EMPTY = Padded(torch.zeros((1, 0), dtype=torch.long), torch.zeros((1, 0), dtype=torch.bool))


def build(folder: Path, release: bool) -> Path:
    """A fresh policy of the quickstart's or of the release's prompt shape."""
    small = CameraSpec(names=("front_wide", "front_tele"), frames=1, width=96, height=64)
    build_embedded(
        folder,
        corpus(),
        size=EmbeddedSize(),
        future=FutureSpec(bins=257),
        history=HistorySpec() if release else HistorySpec(bins=512, stride=5),
        prompt=PromptSpec() if release else PromptSpec.model_validate("empty"),
        cameras=CameraSpec() if release else small,
        max_text=36,
        seed=0,
    )
    return folder


def variants(image_tokens: int) -> dict[str, VisionTokensSpec]:
    """Row name → vision tokens, each ratio pruned and resampled."""
    rows = {"1x": VisionTokensSpec()}
    for ratio in RATIOS[1:]:
        rows[f"{ratio}x pruned"] = VisionTokensSpec(kind="prune", ratio=ratio)
        scene = max(1, image_tokens // ratio)
        rows[f"{ratio}x resampled"] = VisionTokensSpec(kind="resample", scene_tokens=scene)
    return rows


class Row:
    """One policy and one prompt of it, ready to be timed."""

    def __init__(self, folder: Path) -> None:
        spec = PolicySpec.load(folder)
        builder = PromptBuilder(spec, TextCodec.load(folder))
        shape = (spec.images, spec.cameras.height, spec.cameras.width, 3)
        images = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
        self.prompt = Prompt(builder.ids(np.zeros((16, 4))), images)
        self.inputs = backbone_inputs([self.prompt], EMPTY, ImageEncoder(folder), spec.vocabulary.image_pad)
        self.model: Any = load_backbone(folder).eval()
        self.blocks = spec.image_blocks
        self.whole: list[float] = []
        self.tower: list[float] = []

    @torch.no_grad()
    def measure(self) -> None:
        """Time one prefill and its vision tower."""
        began = time.process_time()
        self.model.model.visual(self.inputs["pixel_values"], grid_thw=self.inputs["image_grid_thw"])
        between = time.process_time()
        self.model(**self.inputs, logits_to_keep=1)
        self.tower.append(between - began)
        self.whole.append(time.process_time() - between)


def main() -> None:
    """Print one JSON line a row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        for shape in ("quickstart", "release"):
            source = build(Path(scratch) / shape, release=shape == "release")
            spec = PolicySpec.load(source)
            rows = {}
            for name, tokens in variants(spec.images * spec.cameras.tokens_per_image).items():
                target = Path(scratch) / f"{shape} {name}"
                compress_policy(source, target, tokens)
                rows[name] = Row(target)
            for number in range(options.rounds + 1):
                for row in rows.values():
                    row.measure()
                    if not number:  # the first round warms up
                        row.whole.clear(), row.tower.clear()
            for name, row in rows.items():
                whole, tower = statistics.median(row.whole), statistics.median(row.tower)
                blocks, each = row.blocks
                line = {"shape": shape, "row": name, "image_tokens": blocks * each}
                line |= {"prompt_tokens": len(row.prompt.ids), "prefill_ms": round(1e3 * whole, 1)}
                line |= {"tower_ms": round(1e3 * tower, 1), "language_ms": round(1e3 * (whole - tower), 1)}
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
