"""The prompt: the release's chat layout as token ids, images as placeholders.

Role: one builder for SFT, engine and learner, so that prompts are identical by construction.
Layout (release): system turn, user turn of images (camera-major, oldest frame first), 48 history tokens and the
instruction, assistant turn opened with <|cot_start|>.
Invariant: ids depend on the spec and the ego history alone; the count of image placeholders is fixed by the spec.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policy.spec import PolicySpec
from policy.tokenizer import TextCodec
from policy.trajectory_tokens import history_xyz
from scenes.clip import Clip


@dataclass(frozen=True)
class Prompt:
    """ids: [P] int32 with every image placeholder expanded; images: [I, h, w, 3] uint8 in prompt order."""

    ids: np.ndarray
    images: np.ndarray


class PromptBuilder:
    """Builds prompts of one policy."""

    def __init__(self, spec: PolicySpec, text: TextCodec) -> None:
        self.spec = spec
        self.vocabulary = spec.vocabulary_ids()
        self._history = spec.history_codec()
        vocabulary = self.vocabulary
        blocks, tokens = spec.image_blocks
        image = [vocabulary.vision_start, *[vocabulary.image_pad] * tokens, vocabulary.vision_end]
        newline = text.encode("\n")
        system = [
            vocabulary.im_start,
            *text.encode("system\n" + spec.prompt.system),
            vocabulary.im_end,
            *newline,
        ]
        self._head = [
            *(system if spec.prompt.system else []),
            vocabulary.im_start,
            *text.encode("user\n"),
            *image * blocks,
            vocabulary.special("<|traj_history_start|>"),
        ]
        self._tail = [
            vocabulary.special("<|traj_history_end|>"),
            *text.encode(spec.prompt.instruction),
            vocabulary.im_end,
            *newline,
            vocabulary.im_start,
            *text.encode("assistant\n"),
            vocabulary.cot_start,
        ]

    @property
    def length(self) -> int:
        """Tokens of every prompt."""
        return len(self._head) + self._history.tokens + len(self._tail)

    def ids(self, ego_history: np.ndarray) -> np.ndarray:
        """Prompt ids [..., P] for ego histories [..., H, 4]."""
        bins = self._history.encode(history_xyz(ego_history)) + self.vocabulary.history_start
        lead = bins.shape[:-1]
        head = np.broadcast_to(np.asarray(self._head, np.int32), (*lead, len(self._head)))
        tail = np.broadcast_to(np.asarray(self._tail, np.int32), (*lead, len(self._tail)))
        return np.concatenate([head, bins, tail], axis=-1).astype(np.int32)

    def images(self, frames: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        """Camera frames [..., C, F, h, w, 3] → the images this policy sees [..., I, h, w, 3] in prompt order.

        Takes the spec's cameras by name and its newest frames; raises ValueError when the clip lacks them.
        """
        wanted = self.spec.cameras
        missing = [name for name in wanted.names if name not in names]
        if (
            missing
            or frames.shape[-4] < wanted.frames
            or frames.shape[-3:-1] != (wanted.height, wanted.width)
        ):
            raise ValueError(
                f"policy wants cameras {wanted.names} x {wanted.frames} frames of {wanted.width}x{wanted.height}; "
                f"clip has {names} x {frames.shape[-4]} of {frames.shape[-2]}x{frames.shape[-3]}: "
                "rebuild the clip store with the policy's cameras"
            )
        order = [names.index(name) for name in wanted.names]
        kept = np.take(frames, order, axis=-5)[..., frames.shape[-4] - wanted.frames :, :, :, :]
        return kept.reshape(*kept.shape[:-5], len(order) * wanted.frames, *kept.shape[-3:])

    def build(self, clip: Clip) -> Prompt:
        """The prompt of one clip. Raises ValueError when it has no cameras."""
        if clip.cameras is None:
            raise ValueError(f"clip {clip.clip_id} has no images; read it from a clip store or render it")
        return Prompt(self.ids(clip.ego_history), self.images(clip.cameras.frames, clip.cameras.names))

    def collapsed(self, ids: np.ndarray) -> list[int]:
        """Ids with each run of image placeholders as one: what vLLM expands again by itself."""
        pad = self.vocabulary.image_pad
        repeated = np.concatenate([[False], (ids[1:] == pad) & (ids[:-1] == pad)])
        return [int(token) for token in ids[~repeated]]

    def items(self, images: np.ndarray) -> list[np.ndarray]:
        """Images [I, h, w, 3] as vLLM takes them: one item a run of placeholders. A resampled scene is one item,
        its images below each other."""
        blocks, _ = self.spec.image_blocks
        scenes = images.reshape(blocks, -1, *images.shape[2:])
        return [np.ascontiguousarray(scene) for scene in scenes]
