"""What a policy folder says of itself: `ar1.json` beside config.json and the weights.

Role: bins, prompt, cameras and lengths of one policy, read by engine, learner, evaluation and rewards alike.
Invariant: import-light (pydantic, numpy); unknown keys are errors; the same spec gives the same prompt ids.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator

from policy.grammar import Grammar
from policy.trajectory_tokens import FutureCodec, HistoryCodec
from policy.vocabulary import Vocabulary
from scenes.clip import CAMERA_NAMES

SPEC_FILE = "ar1.json"


class SpecModel(BaseModel):
    """Base of spec sections: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FutureSpec(SpecModel):
    """Arguments of policy.trajectory_tokens.FutureCodec; defaults are the release's."""

    bins: int = 3000
    low: tuple[float, float] = (-10.0, -10.0)
    high: tuple[float, float] = (10.0, 10.0)
    mean: tuple[float, float] = (0.0, 0.0)
    std: tuple[float, float] = (1.0, 1.0)
    carry_error: bool = False
    forward_only: bool = False


class HistorySpec(SpecModel):
    """Arguments of policy.trajectory_tokens.HistoryCodec; defaults are the release's."""

    bins: int = 1000
    low: tuple[float, float, float] = (-4.0, -4.0, -10.0)
    high: tuple[float, float, float] = (4.0, 4.0, 10.0)
    stride: int = 1


PROMPTS = {
    "release": {},
    "short": {"system": "", "instruction": "drive safely: reason, then trajectory."},
    "empty": {"system": "", "instruction": ""},
}
"""Named prompts, wherever a PromptSpec is written. "short" says the release's task in the fewest words; "empty"
leaves it to the special tokens, which is enough for a policy that knows one task. Both are for policies trained
with them: a released checkpoint knows its own wording (docs/vision-tokens.md)."""


class PromptSpec(SpecModel):
    """Texts of the prompt; defaults are the release's wording. An empty system text drops the system turn. A name
    of PROMPTS stands for its texts."""

    system: str = "You are a driving assistant that generates safe and accurate actions."
    instruction: str = (
        "output the chain-of-thought reasoning of the driving process, then output the future trajectory."
    )

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value not in PROMPTS:
            raise ValueError(f"no prompt {value!r}; there are {', '.join(PROMPTS)}")
        return PROMPTS[value]


class CameraSpec(SpecModel):
    """Which images a prompt holds: cameras in release order, F frames each, size in pixels, and how many
    pixels one image token covers along each side (patch size x merge size)."""

    names: tuple[str, ...] = CAMERA_NAMES
    frames: int = 4
    width: int = 576
    height: int = 320
    token_pixels: int = 32

    @property
    def tokens_per_image(self) -> int:
        """Tokens that the vision tower makes of one image; PolicySpec.image_blocks says how many a prompt holds."""
        return (self.width // self.token_pixels) * (self.height // self.token_pixels)


class VisionTokensSpec(SpecModel):
    """How many of the vision tower's tokens the language model reads (docs/vision-tokens.md).

    "none": all. "prune": ceil(N / ratio) of an image's N tokens, chosen for diversity without training, at
    their own positions. "resample": scene_tokens learned tokens for all images together, by cross attention with
    `heads` heads; trained by SFT, its weights are part of the policy's.
    """

    kind: Literal["none", "prune", "resample"] = "none"
    ratio: float = Field(1.0, ge=1)
    scene_tokens: PositiveInt | None = None
    heads: PositiveInt = 4

    @model_validator(mode="after")
    def _of_one_kind(self) -> VisionTokensSpec:
        if self.ratio != 1 and self.kind != "prune":
            raise ValueError(f"vision_tokens.ratio is for kind prune, not {self.kind}")
        if (self.scene_tokens is None) == (self.kind == "resample"):
            raise ValueError("vision_tokens.scene_tokens is for kind resample, and needed there")
        return self

    def kept(self, tokens: int) -> int:
        """Tokens left of an image's `tokens` by pruning: ceil(tokens / ratio)."""
        return math.ceil(tokens / self.ratio - 1e-9)  # 6 / 1.2 is 5, also in floating point


class EmbeddedSize(SpecModel):
    """Shape of the embedded backbone; the default has about 1.7 M parameters."""

    hidden: int = 128
    feed_forward: int = 384
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 32
    vision_hidden: int = 96
    vision_layers: int = 2
    vision_heads: int = 3
    base_vocabulary: int = 1024


class VocabularySpec(SpecModel):
    """Arguments of policy.vocabulary.Vocabulary that depend on the base tokenizer."""

    base_size: int
    text_banned: tuple[int, ...]
    im_start: int
    im_end: int
    vision_start: int
    vision_end: int
    image_pad: int


class PolicySpec(SpecModel):
    """Everything about a policy that is not a weight. max_text: reasoning budget in tokens."""

    vocabulary: VocabularySpec
    future: FutureSpec = FutureSpec()
    history: HistorySpec = HistorySpec()
    prompt: PromptSpec = PromptSpec()
    cameras: CameraSpec = CameraSpec()
    vision_tokens: VisionTokensSpec = VisionTokensSpec()
    max_text: int = 64

    @property
    def images(self) -> int:
        """Images of a prompt: cameras x frames."""
        return len(self.cameras.names) * self.cameras.frames

    @property
    def image_blocks(self) -> tuple[int, int]:
        """Runs of image placeholders in a prompt, and placeholders in each: one run an image, or one for the
        whole scene when it is resampled."""
        tokens = self.vision_tokens
        if tokens.scene_tokens is not None:
            return 1, tokens.scene_tokens
        return self.images, tokens.kept(self.cameras.tokens_per_image)

    def future_codec(self) -> FutureCodec:
        """Codec of the future trajectory."""
        return FutureCodec(**self.future.model_dump())

    def history_codec(self) -> HistoryCodec:
        """Codec of the ego history."""
        return HistoryCodec(**self.history.model_dump())

    def vocabulary_ids(self) -> Vocabulary:
        """Id arithmetic of this policy."""
        return Vocabulary(
            future_bins=self.future.bins, history_bins=self.history.bins, **self.vocabulary.model_dump()
        )

    def grammar(self) -> Grammar:
        """Completion grammar of this policy."""
        return Grammar(self.vocabulary_ids(), self.max_text, self.future_codec().tokens)

    def save(self, folder: Path) -> None:
        """Write `ar1.json` into a policy folder."""
        (folder / SPEC_FILE).write_text(self.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> PolicySpec:
        """Read `ar1.json`. Raises FileNotFoundError or ValueError naming the folder and the fix."""
        path = folder / SPEC_FILE
        if not path.is_file():
            raise FileNotFoundError(
                f"{folder} is not a policy folder: it has no {SPEC_FILE}; make one with `ar1 sft`"
            )
        try:
            return cls.model_validate_json(path.read_text())
        except ValidationError as error:
            raise ValueError(f"{path} does not describe a policy: {error}") from error
