"""What the policy's engines and learner need of one clip, as arrays: the prefetcher's loader.

Role: decode and preprocess a clip once (images through the policy folder's own processor, prompt ids, the clip's
record), so that scenes.prefetch can share the result among a group's rollouts. Invariant: the arrays are those
that policy.prompt and policy.model_inputs make of the same clip.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from policy.prompt import PromptBuilder
from policy.spec import PolicySpec
from policy.tokenizer import TextCodec
from scenes.cameras import default_rig
from scenes.clip import Clip
from scenes.store.record import pack_clip, unpack_clip


@dataclass(frozen=True)
class ClipInputs:
    """Loads a clip by id: a callable for scenes.prefetch.Prefetcher.

    policy: policy folder; source: a clip store, or a PhysicalAI-AV data set whose clips are decoded when they are
    asked for. Gives prompt_ids [P] int32, images [I, h, w, 3] uint8, pixel_values and image_grid_thw of the image
    processor, and record (the clip without images; clip_of reads it). pixels: False leaves pixel_values out, which
    take eight times the memory of the images; an engine that preprocesses by itself needs none."""

    policy: Path
    source: Path
    kind: Literal["store", "physical_ai"] = "store"
    pixels: bool = True

    def warm(self) -> None:
        """Open the source and the processor, and import what they need."""
        _opened(self)

    def __call__(self, clip_id: str) -> Mapping[str, np.ndarray]:
        """The clip's arrays. Raises KeyError for an unknown id and what the source raises."""
        read, builder, process = _opened(self)
        clip = read(clip_id)
        prompt = builder.build(clip)
        arrays = {
            "prompt_ids": prompt.ids,
            "images": prompt.images,
            "record": np.frombuffer(pack_clip(clip), np.uint8),
        }
        if self.pixels:
            arrays["pixel_values"], arrays["image_grid_thw"] = process(prompt.images)
        return arrays


def clip_of(arrays: Mapping[str, np.ndarray]) -> Clip:
    """The clip of loaded arrays, without its images (they are `images`, in prompt order)."""
    return unpack_clip(arrays["record"])


Reader = Callable[[str], Clip]
Processor = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@lru_cache(maxsize=4)
def _opened(inputs: ClipInputs) -> tuple[Reader, PromptBuilder, Processor]:
    """Reader, prompt builder and image processor, once a process."""
    from policy.model_inputs import ImageEncoder

    spec = PolicySpec.load(inputs.policy)
    encoder = ImageEncoder(inputs.policy)

    def process(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pixels, grid = encoder(images)
        return pixels.numpy(), grid.numpy()

    return _reader(inputs, spec), PromptBuilder(spec, TextCodec.load(inputs.policy)), process


def _reader(inputs: ClipInputs, spec: PolicySpec) -> Reader:
    if inputs.kind == "store":
        from scenes.store import ClipStore

        store = ClipStore.open(inputs.source)
        return lambda clip_id: store[store.index(clip_id)]
    from scenes.physical_ai import PhysicalAI

    cameras = spec.cameras
    rig = default_rig(cameras.names, cameras.frames, cameras.width, cameras.height)
    data = PhysicalAI(inputs.source)
    return lambda clip_id: data.clip(clip_id, rig)
