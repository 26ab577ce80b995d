"""What a language-model judge is asked.

Invariants: the wording is a file named by its version, and its digest enters every cache key and score version,
so that grades of two wordings never mix; the policy's text stands escaped between tags that carry a digest of
that very text, so that it cannot close them.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from critic_server.verdict import Question

VERSION = "grade-2"


@cache
def system_text(version: str = VERSION) -> str:
    """The rubric as the judge reads it; FileNotFoundError for a version that is not shipped."""
    return (files("critic_server") / "prompts" / f"{version}.txt").read_text(encoding="utf-8").strip()


@cache
def digest(version: str = VERSION) -> str:
    """12 hex digits of the wording."""
    return hashlib.sha256(system_text(version).encode()).hexdigest()[:12]


def messages(question: Question, seen: str, swapped: bool = False) -> list[dict[str, Any]]:
    """Chat messages for one question. seen: its trace as `critic_server.untrusted.inspect` lets it through;
    swapped: the trace before the reference, to measure what the order does."""
    label = question.label
    causes = ", ".join(sorted({factor.kind.replace("_", " ") for factor in label.factors})) or "none"
    side = f" {label.direction}" if label.direction else ""
    path = f"{(label.lateral or 'lane_keeping').replace('_', ' ')}{side}"
    speed = (label.longitudinal or "set_speed_tracking").replace("_", " ")
    reference = (
        f"<reference>{html.escape(label.text, quote=False)}</reference>\n"
        f"<reference_decisions>speed: {speed}; path: {path}</reference_decisions>\n"
        f"<reference_causes>{causes}</reference_causes>"
    )
    tag = f"trace_{hashlib.sha256(seen.encode()).hexdigest()[:8]}"
    trace = f"<{tag}>{html.escape(seen, quote=False)}</{tag}>"
    question_text = "\n".join((trace, reference) if swapped else (reference, trace))
    user: Any = question_text
    if question.images:
        user = [{"type": "text", "text": question_text}]
        user += [{"type": "image_url", "image_url": {"url": data_uri(image)}} for image in question.images]
    return [{"role": "system", "content": system_text()}, {"role": "user", "content": user}]


def png(image: np.ndarray) -> bytes:
    """PNG file of an image [h, w, 3] uint8."""
    from PIL import Image  # only where images are sent: a text judge's process stays small

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def data_uri(image: bytes) -> str:
    """A PNG file as data URI."""
    return "data:image/png;base64," + base64.b64encode(image).decode()
