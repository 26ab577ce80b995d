"""The tokenizer that a release does not ship: Qwen's, with AR1's tokens behind it.

Role: rebuilds tokenizer.json from a base folder, or, where Qwen's is not at hand, from a stand-in. Invariant: every
AR1 id equals the release's (checked on build); a base of another size is refused, since each id would be off.

The stand-in has Qwen's ids for single bytes and for its 26 added tokens, and unnamed entries between. Prompts
become valid Qwen ids, one for each byte, which is not how the model learned to read; text that the model writes
cannot be read. It serves to load, check and serve a checkpoint, not to judge what it says.
"""

from __future__ import annotations

from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from policy.release.findings import CheckpointError
from policy.tokenizer import TOKENIZER_FILE, add_ar1_tokens, base_vocabulary
from policy.vocabulary import Vocabulary

QWEN_BASE = 151643
"""Entries of Qwen's byte-level BPE before its added tokens."""
QWEN_ADDED = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>", "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>",
    "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<tool_response>", "</tool_response>",
    "<think>", "</think>",
)  # fmt: skip
"""Qwen3's added tokens in id order from 151643 (its published tokenizer_config.json)."""


def stand_in() -> Tokenizer:
    """A tokenizer with Qwen's size, bytes and added tokens, and no merges."""
    # Qwen numbers bytes as GPT-2 does: printable ones first, in order, then the others.
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spelt = {byte: chr(byte) for byte in printable}
    spelt |= {byte: chr(256 + index) for index, byte in enumerate(b for b in range(256) if b not in spelt)}
    numbered = [*printable, *(byte for byte in range(256) if byte not in printable)]
    vocabulary = {spelt[byte]: index for index, byte in enumerate(numbered)}
    vocabulary |= {f"<unread_{index}>": index for index in range(len(vocabulary), QWEN_BASE)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in QWEN_ADDED])
    return tokenizer


def base_tokenizer(folder: Path | None, size: int) -> tuple[Tokenizer, bool]:
    """The base tokenizer of `size` entries, and whether it is only the stand-in.

    Raises CheckpointError when the folder's tokenizer has another size, or there is none and Qwen's is not due.
    """
    path = folder / TOKENIZER_FILE if folder else None
    if path is None or not path.is_file():
        if size != QWEN_BASE + len(QWEN_ADDED):
            raise CheckpointError(
                f"no {TOKENIZER_FILE} of {size} entries at hand; give the folder that has it with --base"
            )
        return stand_in(), True
    tokenizer = Tokenizer.from_file(str(path))
    found = tokenizer.get_vocab_size(with_added_tokens=True)
    if found != size:
        raise CheckpointError(
            f"{path} has {found} entries, but the first trajectory token is {size}: not the base of this checkpoint"
        )
    return tokenizer, False


def rebuild_tokenizer(
    folder: Path | None, size: int, future_bins: int, history_bins: int, specials: tuple[str, ...]
) -> tuple[Tokenizer, Vocabulary, bool]:
    """Tokenizer with AR1's tokens, its id arithmetic, and whether its base is only the stand-in.

    Raises CheckpointError as base_tokenizer does, ValueError for a base that is not Qwen's kind or that has some of
    AR1's tokens already.
    """
    tokenizer, is_stand_in = base_tokenizer(folder, size)
    vocabulary = base_vocabulary(tokenizer, future_bins, history_bins)
    add_ar1_tokens(tokenizer, vocabulary, specials)
    return tokenizer, vocabulary, is_stand_in
