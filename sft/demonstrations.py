"""What the stages imitate: imperfect demonstrations for training, the label and the expert for validation."""

from __future__ import annotations

from collections.abc import Iterator

from scenes.clip import Demonstration
from scenes.imperfection import ImperfectionConfig, demonstrate
from scenes.store import ClipStore
from sft.config import SftConfig


def demonstrations(store: ClipStore, config: SftConfig) -> Iterator[Demonstration]:
    """Imperfect demonstrations of every clip, by the configured noise."""
    noise = ImperfectionConfig(**config.noise.model_dump())
    for index in range(len(store)):
        yield demonstrate(store[index], noise, config.seed)


def clean_demonstrations(store: ClipStore) -> Iterator[Demonstration]:
    """The label and the expert themselves: what validation is measured against."""
    for index in range(len(store)):
        clip = store[index]
        if clip.label is None:
            raise ValueError(f"clip {clip.clip_id} has no label; supervised stages need labelled clips")
        yield Demonstration(clip.clip_id, clip.label.text, clip.actions, text_is_wrong=False)
