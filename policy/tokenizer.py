"""Tokenizers: a small byte-level BPE for the embedded policy, and AR1's tokens on top of any base.

Role: text to ids and back for base-vocabulary text only; trajectory and special tokens are id arithmetic
(policy.vocabulary). Invariant: the same corpus gives the same tokenizer, and AR1's tokens get exactly the ids
that the vocabulary computes (checked on build).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from policy.vocabulary import (
    QWEN_SPECIALS,
    RELEASE_SPECIALS,
    Vocabulary,
    trajectory_token_names,
)

TOKENIZER_FILE = "tokenizer.json"


def train_base(corpus: Iterable[str], size: int) -> Tokenizer:
    """A byte-level BPE of at most `size` entries, Qwen's special tokens included at the end."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(QWEN_SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
        special_tokens=[],
    )
    tokenizer.train_from_iterator(sorted(set(corpus)), trainer)
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in QWEN_SPECIALS])
    return tokenizer


def base_vocabulary(tokenizer: Tokenizer, future_bins: int, history_bins: int) -> Vocabulary:
    """Id arithmetic over a base tokenizer that has Qwen's special tokens. Raises ValueError if one is missing."""
    found = {name: tokenizer.token_to_id(name) for name in QWEN_SPECIALS}
    ids = {name: token for name, token in found.items() if token is not None}
    missing = sorted(set(found) - set(ids))
    if missing:
        raise ValueError(f"base tokenizer lacks {missing}; AR1 needs a Qwen-style base tokenizer")
    banned = sorted(tokenizer.get_added_tokens_decoder())
    return Vocabulary(
        base_size=tokenizer.get_vocab_size(with_added_tokens=True),
        future_bins=future_bins,
        history_bins=history_bins,
        text_banned=tuple(banned),
        im_start=ids["<|im_start|>"],
        im_end=ids["<|im_end|>"],
        vision_start=ids["<|vision_start|>"],
        vision_end=ids["<|vision_end|>"],
        image_pad=ids["<|image_pad|>"],
    )


def add_ar1_tokens(
    tokenizer: Tokenizer, vocabulary: Vocabulary, specials: tuple[str, ...] = RELEASE_SPECIALS
) -> None:
    """Append trajectory and special tokens in the release's order; raises ValueError if an id does not line up.

    specials: names of the special tokens in id order, where a release calls them otherwise.
    """
    names = trajectory_token_names(vocabulary.future_bins + vocabulary.history_bins)
    tokenizer.add_tokens([AddedToken(name, special=False, normalized=False) for name in names])
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in specials])
    expected = {"<i0>": vocabulary.future_start, specials[0]: vocabulary.size - len(specials)}
    expected |= {specials[-1]: vocabulary.size - 1}
    for name, token in expected.items():
        if tokenizer.token_to_id(name) != token:
            raise ValueError(f"{name} got id {tokenizer.token_to_id(name)} instead of {token}")


class TextCodec:
    """Base-vocabulary text to ids and back, for one policy folder."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    @classmethod
    def load(cls, folder: Path) -> TextCodec:
        """Read tokenizer.json. Raises FileNotFoundError naming the fix."""
        path = folder / TOKENIZER_FILE
        if not path.is_file():
            raise FileNotFoundError(
                f"{folder} has no {TOKENIZER_FILE}; rebuild the policy folder with `ar1 sft`"
            )
        return cls(Tokenizer.from_file(str(path)))

    def encode(self, text: str) -> list[int]:
        """Ids of plain text; special-token spellings inside it are not interpreted by callers' contract."""
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: list[int]) -> str:
        """Text of ids, special tokens skipped."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True))
