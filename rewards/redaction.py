"""Take secrets out of texts that are kept: logs, explanations, alerts.

Invariant: a secret that this process read through `rewards.secret_files` never leaves it in a text that went
through `redact`; secrets that something else read are recognised by their form only.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

HIDDEN = "[redacted]"
# Shorter values would blank ordinary words; `rewards.secret_files` refuses them as secrets.
SHORTEST = 8

_known: set[str] = set()
# Credentials in a URL; bearer and basic headers; keys of OpenAI, GitHub, Hugging Face, AWS, NVIDIA, GitLab and
# Slack by their published prefixes; JSON web tokens; PEM private keys; `api_key=...` and its like.
_FORMS = re.compile(
    r"(?P<url>\b[a-z][a-z0-9+.-]*://)[^\s/@'\"]+@"
    r"|(?P<header>\b(?:bearer|basic)\s+)(?=[\w.~+/-]*[\d._~+/-])[\w.~+/-]{8,}=*"
    r"|\b(?:sk|pk|rk)-[\w-]{8,}|\bgh[pousr]_\w{16,}|\bgithub_pat_\w{16,}|\bhf_\w{16,}|\bAKIA[0-9A-Z]{12,}"
    r"|\bnvapi-[\w-]{8,}|\bglpat-[\w-]{8,}|\bxox[abprs]-[\w-]{8,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|(?P<name>(?:api[_-]?key|access[_-]?key|secret|passw(?:or)?d|auth[_-]?token|access[_-]?token)"
    r"['\"]?\s*[:=]\s*['\"]?)[^\s'\",;&}]{4,}",
    re.IGNORECASE | re.DOTALL,
)
# What every form above contains, in lower case: most texts hold none of it and are left after one look.
_TRACES = (
    *(
        "://",
        "bearer",
        "basic",
        "sk-",
        "pk-",
        "rk-",
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github_",
        "hf_",
        "akia",
        "nvapi-",
        "glpat-",
        "xox",
        "eyj",
    ),
    *("-----begin", "key", "secret", "passw", "token"),
)
# Not every *_token is one: eos_token and stop_token are texts of a tokenizer.
_NAMES = re.compile(
    r"api_?key|secret|passw(or)?d|credential|^token$|(auth|access|bearer|api|hf|refresh)_?token$", re.I
)


def remember(secret: str) -> None:
    """Redact this very value from now on, whatever it looks like."""
    if len(secret) >= SHORTEST:
        _known.add(secret)


def redact(text: str) -> str:
    """The text without secrets: known values, and what looks like one."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    lowered = text.lower()
    if not any(trace in lowered for trace in _TRACES):
        return text
    return _FORMS.sub(_blank, text)


def _blank(match: re.Match[str]) -> str:
    found = match.groupdict()
    if found["url"]:
        return f"{found['url']}{HIDDEN}@"
    return f"{found['header'] or found['name'] or ''}{HIDDEN}"


def secret_in(options: Mapping[str, Any], where: str = "") -> str | None:
    """Where a mapping of plain options holds a secret's value ("judge.api_key"), or None.

    Names of secrets (api_key, token, password, ...) must end in _file or _env and so name a place; any text
    that looks like a secret counts, under whatever name."""
    for key, value in options.items():
        place = f"{where}{key}"
        if isinstance(value, Mapping):
            if found := secret_in(value, f"{place}."):
                return found
        elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
            if found := secret_in({str(i): item for i, item in enumerate(value)}, f"{place}."):
                return found
        elif isinstance(value, str) and value:
            named = _NAMES.search(str(key)) and not str(key).lower().endswith(("_file", "_env"))
            if named or redact(value) != value:
                return place
    return None


class RedactingFormatter(logging.Formatter):
    """A formatter whose lines, tracebacks included, hold no secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        return redact(super().format(record))


class RedactingStream:
    """A text stream that redacts what is written to it, a line at a time.

    For the output of code that is not ours: what a reward prints, and the traceback it dies with. Output that
    native code writes to the descriptor itself is not seen."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun = ""

    def write(self, text: str) -> int:
        """Write whole lines; keep the beginning of the last one until it ends or `flush` is called."""
        whole, newline, rest = (self._begun + text).rpartition("\n")
        if newline:
            self._stream.write(redact(whole) + newline)
        self._begun = rest
        return len(text)

    def flush(self) -> None:
        """Write what is there."""
        self._stream.write(redact(self._begun))
        self._begun = ""
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def log_to_stderr() -> None:
    """Logging of a server process: one redacted line a record on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactingFormatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
