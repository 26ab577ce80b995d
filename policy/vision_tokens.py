"""Which of an image's tokens the language model reads: farthest points, and where the survivors stand.

Role: pure functions that learner and engine both call, so that they keep the same rows at the same positions.
Invariant: the choice rests on the image's pixels in whole numbers. Features of two engines differ in their last
bits, and change with every weight update; pixels do neither, so keep-masks never disagree (docs/vision-tokens.md).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F

MERGE = 2
"""Patches along a side of an image token (Qwen3-VL's spatial_merge_size)."""
CHANNELS, FRAMES, PATCH = 3, 2, 16
"""Layout of a row of pixel_values: Qwen2VLImageProcessor repeats an image into two frames of 16 x 16 patches."""
CELL = 8
"""Pixels along a side of the squares whose sums describe a token."""
HALF = [0.5, 0.5, 0.5]


def farthest_points(features: torch.Tensor, count: int) -> torch.Tensor:
    """Indices [..., count], ascending, of rows of features [..., N, D] that lie far from each other.

    Greedy farthest-point sampling (Gonzalez 1985; for view tokens: Prune2Drive, arXiv 2508.13305): the first is
    farthest from the mean, each next one farthest, by squared Euclidean distance, from all chosen so far. The
    lower index wins a tie. Distances are computed in float64: exact, in any order of summation, for whole numbers
    whose squared lengths stay below 2**51 (those of pixel_descriptors stay below 2**34). Raises ValueError unless
    1 <= count <= N.
    """
    rows = features.shape[-2]
    if not 1 <= count <= rows:
        raise ValueError(f"cannot keep {count} of {rows} tokens")
    whole = features.to(torch.float64 if features.is_floating_point() else torch.int64)
    # The mean is scaled by N rather than divided, so that whole numbers stay whole.
    spread = (whole * rows - whole.sum(-2, keepdim=True)).square().sum(-1)
    index = spread.argmax(-1, keepdim=True)  # the first of equal maxima
    points = whole.double()
    norms = points.square().sum(-1)
    nearest = torch.full_like(norms, torch.inf)
    chosen = [index]
    while len(chosen) < count:
        pivot = points.gather(-2, index.unsqueeze(-1).expand(*index.shape, points.shape[-1]))
        products = (points @ pivot.transpose(-1, -2)).squeeze(-1)
        nearest = torch.minimum(nearest, norms + norms.gather(-1, index) - 2 * products)
        nearest = nearest.scatter(-1, index, -torch.inf)  # twins of a chosen row may follow, it may not
        index = nearest.argmax(-1, keepdim=True)
        chosen.append(index)
    return torch.cat(chosen, -1).sort(-1).values


def keep_mask(features: torch.Tensor, count: int) -> torch.Tensor:
    """[N] bool with exactly `count` rows of features [N, D] kept; see farthest_points."""
    mask = torch.zeros(features.shape[0], dtype=torch.bool, device=features.device)
    mask[farthest_points(features, count)] = True
    return mask


def pixel_descriptors(pixel_values: torch.Tensor) -> torch.Tensor:
    """Colour sums [tokens, 48] int64 over 8 x 8 pixel squares of each image token.

    pixel_values: [patches, 1536] as Qwen2VLImageProcessor writes them with mean and std 0.5 (check_processor):
    u / 127.5 - 1 for a byte u. Rounding gives u back exactly, from bfloat16 too (its error is below 0.25 of a
    step), so that the result does not depend on the precision it is asked in.
    """
    patches = pixel_values.view(-1, CHANNELS, FRAMES, PATCH, PATCH)[:, :, 0]
    levels = (patches.float() * 127.5 + 127.5).round()
    # Sums of 64 bytes are whole numbers that float32 holds exactly.
    sums = F.avg_pool2d(levels, CELL, divisor_override=1)
    return sums.long().reshape(-1, MERGE * MERGE * sums[0].numel())


def kept_tokens(
    pixel_values: torch.Tensor, grid_thw: torch.Tensor, counts: Sequence[int]
) -> list[torch.Tensor]:
    """Indices of the tokens kept of each image, ascending; grid_thw [images, 3] in patches, counts one an image."""
    descriptors = pixel_descriptors(pixel_values)
    sizes = [int(size) // (MERGE * MERGE) for size in grid_thw.prod(-1)]
    if len(set(sizes)) == 1 and len(set(counts)) == 1:  # cameras of one size: all images at once
        return list(farthest_points(descriptors.view(len(sizes), sizes[0], -1), counts[0]))
    images = descriptors.split(sizes)
    return [farthest_points(image, count) for image, count in zip(images, counts, strict=True)]


def mrope_positions(
    is_image: torch.Tensor, kept: Sequence[torch.Tensor], grids: Sequence[Sequence[int]]
) -> tuple[torch.Tensor, int]:
    """Positions [3, L] (time, row, column) of one prompt, and what to add to a later token's index.

    is_image: [L] bool; kept: token indices of each image in order; grids: (t, h, w) of each in patches. Qwen3-VL's
    own rule, with the positions that the survivors had before: text after an image goes on where it would without
    pruning. Raises ValueError when the placeholders are not as many as the tokens kept.
    """
    expected = sum(len(indices) for indices in kept)
    if int(is_image.sum()) != expected:
        raise ValueError(
            f"prompt holds {int(is_image.sum())} image placeholders for {expected} kept tokens; build it with the "
            "policy's own ar1.json"
        )
    parts, place, position = [], 0, 0
    starts = is_image.nonzero().flatten().tolist()
    for indices, (_, height, width) in zip(kept, grids, strict=True):
        gap = starts[0] - place
        parts.append((torch.arange(gap) + position).expand(3, -1))
        position += gap
        indices, columns = indices.cpu(), int(width) // MERGE
        parts.append(
            torch.stack([torch.zeros_like(indices), indices // columns, indices % columns]) + position
        )
        position += max(int(height), int(width)) // MERGE
        place += gap + len(indices)
        del starts[: len(indices)]
    rest = len(is_image) - place
    parts.append((torch.arange(rest) + position).expand(3, -1))
    return torch.cat(parts, 1), position + rest - len(is_image)


def check_processor(folder: Path) -> None:
    """Raise ValueError unless a policy folder normalises pixels as pixel_descriptors reads them back."""
    path = folder / "preprocessor_config.json"
    told = json.loads(path.read_text())
    found = {name: told.get(name) for name in ("image_mean", "image_std")}
    layout = (told.get("patch_size"), told.get("merge_size"), told.get("temporal_patch_size"))
    if any(value != HALF for value in found.values()) or layout != (PATCH, MERGE, FRAMES):
        raise ValueError(
            f"{path}: pruning reads pixels normalised by mean and std {HALF} in patches of {PATCH}, merged "
            f"{MERGE} x {MERGE}; found {found}, layout {layout}: set vision_tokens.kind to none in ar1.json"
        )
