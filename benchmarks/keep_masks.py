"""How often two computations of the same features keep different tokens, and how often pixels do.

    python -m benchmarks.keep_masks --policy runs/quickstart-sft/policy --other runs/quickstart-sft/start

Release-size images (576 x 320, 180 tokens) of the procedural world through the policy's vision tower. "rounding":
transformers' tower against policy.vision_speed's, same weights, same float32. "bfloat16": the tower in bfloat16.
"update": the tower of --other, as after a weight update. "pixels": the rule in use, float32 against bfloat16.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from policy.backbone import Backbone, load_backbone
from policy.model_inputs import ImageEncoder
from policy.vision_tokens import farthest_points, pixel_descriptors
from scenes.cameras import default_rig
from scenes.world import WorldConfig, generate

WIDTH, HEIGHT = 576, 320


def release_images(clips: int) -> np.ndarray:
    """One frame of four cameras a clip: [4 * clips, 320, 576, 3] uint8."""
    rig = default_rig(frames=1, width=WIDTH, height=HEIGHT)
    found = generate(WorldConfig(seed=11), 0, clips, rig)
    frames = [clip.cameras.frames[:, -1] for clip in found if clip.cameras is not None]
    return np.concatenate(frames)


@torch.no_grad()
def features(model: torch.nn.Module, pixels: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Unit-length merged features [images, tokens, width] of equal images, an image at a time."""
    visual = model.model.visual
    merged = [
        visual(part.to(visual.dtype), grid_thw=grid[:1]).pooler_output for part in pixels.chunk(len(grid))
    ]
    return torch.nn.functional.normalize(torch.stack(merged).float(), dim=-1)


def main() -> None:
    """Print the share of images whose kept sets differ, and of kept tokens that differ, by ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policy", type=Path, required=True)
    parser.add_argument("--other", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=32)
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = ImageEncoder(options.policy)
    images._processor.size = {"shortest_edge": 1024, "longest_edge": WIDTH * HEIGHT}
    pixels, grid = images(release_images(options.clips))
    plain = Backbone.from_pretrained(options.policy, dtype=torch.float32)
    base = features(plain, pixels, grid)
    described = pixel_descriptors(pixels).view(len(grid), -1, 48)
    pairs = {
        "rounding": (base, features(load_backbone(options.policy), pixels, grid)),
        "bfloat16": (base, features(load_backbone(options.policy, torch.bfloat16), pixels, grid)),
        "update": (base, features(load_backbone(options.other), pixels, grid)),
        "pixels": (described, pixel_descriptors(pixels.bfloat16()).view(len(grid), -1, 48)),
    }
    for name, (ours, theirs) in pairs.items():
        line: dict[str, object] = {"masks by": name, "images": len(grid)}
        for ratio in (2, 4, 8, 16):
            count = -(-ours.shape[1] // ratio)
            first, second = farthest_points(ours, count), farthest_points(theirs, count)
            shared = (first.unsqueeze(-1) == second.unsqueeze(-2)).any(-1)
            line[f"{ratio}x images"] = round(float((~shared.all(-1)).float().mean()), 4)
            line[f"{ratio}x tokens"] = round(float((~shared).float().mean()), 4)
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
