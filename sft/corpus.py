"""What the embedded tokenizer learns its words from: every word the world's labels can hold."""

from __future__ import annotations

from scenes.world.phrasing import vocabulary


def corpus() -> list[str]:
    """Each word inside a sentence and at its start, so that most words become one token."""
    lines = []
    for word in vocabulary():
        lines += [f"and {word} .", f"{word[0].upper()}{word[1:]} and"]
    return lines
