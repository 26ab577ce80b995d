"""Supervised examples: prompts and targets of a clip store, tokenised once.

Role: turns (clip, demonstration) pairs into id rows with a section per token. Invariant: prompts come from
policy.prompt, targets obey the completion grammar, nothing is truncated (a sentence over budget is an error).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from policy.prompt import Prompt, PromptBuilder
from policy.tokenizer import TextCodec
from scenes.clip import Clip, Demonstration
from scenes.store import ClipStore
from scenes.world.phrasing import sentence


class Section(IntEnum):
    """What a target token belongs to; NONE is padding, MARK the two tokens forced around a trajectory."""

    NONE = 0
    TEXT = 1
    TRAJECTORY = 2
    MARK = 3


@dataclass(frozen=True)
class Target:
    """ids: [L] completion ids; sections: [L] Section of each; drops_cot_start: the prompt ends without
    <|cot_start|> because the trajectory follows at once."""

    ids: np.ndarray
    sections: np.ndarray
    drops_cot_start: bool = False


def canonical(clip: Clip) -> str:
    """The label in the first wording of each phrase; "" for a clip without label."""
    label = clip.label
    if label is None:
        return ""
    kinds = [factor.kind for factor in label.factors][:2]
    return sentence(label.longitudinal, label.lateral, label.direction, kinds, np.random.default_rng(0))


class Examples:
    """Prompts and demonstration targets of one clip store. actions: [clips, T, 2] m/s², 1/m, as demonstrated."""

    def __init__(
        self,
        store: ClipStore,
        demonstrations: Sequence[Demonstration],
        builder: PromptBuilder,
        text: TextCodec,
    ) -> None:
        if len(store) != len(demonstrations):
            raise ValueError(f"{len(store)} clips but {len(demonstrations)} demonstrations")
        self._store, self._builder = store, builder
        spec, codec = builder.spec, builder.spec.future_codec()
        self.vocabulary = builder.vocabulary
        clips = [store[index] for index in range(len(store))]
        self._names = store.rig.names
        self._prompts = builder.ids(np.stack([clip.ego_history for clip in clips]))
        self.actions = np.stack([demo.actions for demo in demonstrations])
        bins = codec.encode(self.actions)
        self._bins = bins + self.vocabulary.future_start
        self._texts = [np.asarray(text.encode(demo.text), np.int32) for demo in demonstrations]
        self._canonical = [np.asarray(text.encode(canonical(clip)), np.int32) for clip in clips]
        longest = max(len(ids) for ids in [*self._texts, *self._canonical])
        if longest > spec.max_text:
            raise ValueError(
                f"a sentence takes {longest} tokens; raise policy.max_text above {spec.max_text}"
            )

    def __len__(self) -> int:
        return len(self._texts)

    def prompt(self, index: int, images_of: int | None = None) -> Prompt:
        """Prompt of a clip; images_of: take another clip's images (the check that images matter)."""
        frames = self._store.frames[index if images_of is None else images_of]
        return Prompt(self._prompts[index], self._builder.images(frames, self._names))

    def target(self, index: int, kind: str, wording: str = "varied") -> Target:
        """Target of a clip for a stage's kind and wording (see sft.config.StageConfig)."""
        vocabulary = self.vocabulary
        words = self._canonical if wording == "canonical" else self._texts
        text = np.append(words[index], vocabulary.cot_end)
        drive = np.concatenate([[vocabulary.traj_start], self._bins[index], [vocabulary.traj_end]])
        sections = np.full(len(drive), Section.TRAJECTORY)
        sections[[0, -1]] = Section.MARK
        if kind == "text":
            return Target(text, np.full(len(text), Section.TEXT))
        if kind == "action":
            return Target(drive, sections, drops_cot_start=True)
        both = np.concatenate([text, drive])
        return Target(both, np.concatenate([np.full(len(text), Section.TEXT), sections]))

    def target_lengths(self, kind: str, wording: str = "varied") -> np.ndarray:
        """[clips] tokens of each `target`."""
        return np.array([len(self.target(index, kind, wording).ids) for index in range(len(self))])
