"""AR1's vocabulary on top of a base tokenizer: order and id arithmetic.

Role: the one place that knows which id means what. Invariant: trajectory tokens follow the base vocabulary at
once (future bins, then history bins), then the special tokens in the release's order, so that ids line up with
released checkpoints when the base tokenizer is Qwen's (151,669 entries, 3000 + 1000 bins: 155,697 ids).
Source of the order: NVIDIA's Alpamayo-R1 release, `base_model.py` (read as facts, no code of it).
"""

from __future__ import annotations

from dataclasses import dataclass

QWEN_SPECIALS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

RELEASE_SPECIALS = (
    "<|prompt_start|>",
    "<|prompt_end|>",
    "<|image_start|>",
    "<|image_pre_tkn|>",
    "<|image_end|>",
    "<|traj_history_start|>",
    "<|traj_history_pre_tkn|>",
    "<|traj_history_end|>",
    "<|cot_start|>",
    "<|cot_end|>",
    "<|meta_action_start|>",
    "<|meta_action_end|>",
    "<|traj_future_start|>",
    "<|traj_future_pre_tkn|>",
    "<|traj_future_end|>",
    "<|traj_history|>",
    "<|traj_future|>",
    "<|vectorized_wm|>",
    "<|vectorized_wm_start|>",
    "<|vectorized_wm_end|>",
    "<|vectorized_wm_pre_tkn|>",
    "<|route_start|>",
    "<|route_pad|>",
    "<|route_end|>",
    "<|question_start|>",
    "<|question_end|>",
    "<|answer_start|>",
    "<|answer_end|>",
)


@dataclass(frozen=True)
class Vocabulary:
    """Ids of one model. base_size: entries of the base tokenizer including its own specials; text_banned: base
    ids that reasoning text must not contain (chat, vision and end-of-text tokens)."""

    base_size: int
    future_bins: int
    history_bins: int
    text_banned: tuple[int, ...]
    im_start: int
    im_end: int
    vision_start: int
    vision_end: int
    image_pad: int

    @property
    def future_start(self) -> int:
        """Id of bin 0 of the future trajectory (the release's `traj_token_start_idx`)."""
        return self.base_size

    @property
    def history_start(self) -> int:
        """Id of bin 0 of the history trajectory."""
        return self.base_size + self.future_bins

    @property
    def size(self) -> int:
        """Rows of the embedding and of the output head."""
        return self.history_start + self.history_bins + len(RELEASE_SPECIALS)

    def special(self, name: str) -> int:
        """Id of a release special token, e.g. "<|cot_end|>"."""
        return self.history_start + self.history_bins + RELEASE_SPECIALS.index(name)

    @property
    def cot_start(self) -> int:
        """Id that ends the prompt."""
        return self.special("<|cot_start|>")

    @property
    def cot_end(self) -> int:
        """Id that ends the reasoning text."""
        return self.special("<|cot_end|>")

    @property
    def traj_start(self) -> int:
        """Id before the future trajectory."""
        return self.special("<|traj_future_start|>")

    @property
    def traj_end(self) -> int:
        """Id after the future trajectory; sampling stops here."""
        return self.special("<|traj_future_end|>")


def trajectory_token_names(count: int) -> list[str]:
    """Names "<i0>" … "<i(count-1)>" in id order: future bins first, then history bins."""
    return [f"<i{index}>" for index in range(count)]
