"""The interface of an intent parser: texts in, intents out, or why one could not be read.

Role: lets the consistency reward ask a second parser (say, a language model) where the rules find nothing.
Invariant: a parser that could not be asked says so in `status`; it never passes for "nothing was said".
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rewards.intent import Intent, parse_intent
from rewards.score import Status

RULES = "rules"


@dataclass(frozen=True)
class Parse:
    """intent: what the text says; parser: who read it; status: OK, or why it could not be read at all (then
    `why` tells and the intent is empty)."""

    intent: Intent
    parser: str = RULES
    status: Status = Status.OK
    why: str = ""


class IntentParser(Protocol):
    """Reads intents. `version` changes whenever the same text may be read differently."""

    version: str

    def parse(self, texts: Sequence[str]) -> list[Parse]:
        """One parse a text, in order."""
        ...


class RuleParser:
    """The rules of `rewards.intent`: deterministic, no model, remembered."""

    version = "rules-2"

    def parse(self, texts: Sequence[str]) -> list[Parse]:
        """One parse a text, in order; never fails."""
        return [Parse(parse_intent(text)) for text in texts]


class RulesFirst:
    """The rules, and a second parser for the texts in which the rules find no decision at all. A text that
    contradicts itself is not asked about: naming several decisions must gain nothing."""

    def __init__(self, second: IntentParser) -> None:
        self.second = second
        self.version = f"{RuleParser.version}+{second.version}"

    def parse(self, texts: Sequence[str]) -> list[Parse]:
        """One parse a text, in order; equal texts are asked once."""
        parses = {text: Parse(parse_intent(text)) for text in texts}
        asked = [t for t, p in parses.items() if not p.intent.parsed and not p.intent.conflicts and t.strip()]
        if asked:
            parses.update(zip(asked, self.second.parse(asked), strict=True))
        return [parses[text] for text in texts]


def parser_named(name: str, options: Mapping[str, Any] | None = None) -> IntentParser:
    """ "rules", or the rules backed by what "package.module:factory" makes of the options.

    Raises ValueError for another name or for options to the rules, ImportError or AttributeError for a path
    that leads nowhere, TypeError for a factory that makes no parser."""
    if name == RULES:
        if options:
            raise ValueError(f"the rule parser takes no options, not {sorted(options)}")
        return RuleParser()
    module, colon, attribute = name.partition(":")
    if not colon:
        raise ValueError(f"parser {name!r} is neither 'rules' nor 'package.module:factory'")
    made = getattr(importlib.import_module(module), attribute)(**(options or {}))
    if not callable(getattr(made, "parse", None)) or not hasattr(made, "version"):
        raise TypeError(f"{name} made a {type(made).__name__} without parse(texts) and version")
    return RulesFirst(made)
