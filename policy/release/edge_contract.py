"""What NVIDIA's edge exporter takes for granted of a release.

Role: names beforehand what `tensorrt-edgellm-export` (0.11) has built in, so that a checkpoint it would export
wrongly is known. Invariant: warnings only; other loaders read these values from the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policy.release.findings import Finding

ROPE_THETA = 5_000_000
MROPE_SECTION = (24, 20, 20)
NORM_EPSILON = 1e-6
DEEPSTACK = 3


def rope_parameters(text: Mapping[str, Any]) -> dict[str, Any]:
    """theta and sections of a text configuration, in the spelling of transformers 4 or 5."""
    given = text.get("rope_parameters") or text.get("rope_scaling") or {}
    return {
        "rope_theta": given.get("rope_theta", text.get("rope_theta")),
        "mrope_section": tuple(given.get("mrope_section", ())),
        "mrope_interleaved": given.get("mrope_interleaved"),
    }


def edge_findings(base: Mapping[str, Any]) -> list[Finding]:
    """Values of a backbone's configuration that the exporter would replace by its own."""
    text, vision = base["text_config"], base["vision_config"]
    rope = rope_parameters(text)
    given = {
        "rope_theta": (rope["rope_theta"], ROPE_THETA),
        "mrope_section": (rope["mrope_section"], MROPE_SECTION),
        "mrope_interleaved": (rope["mrope_interleaved"], True),
        "rms_norm_eps": (text.get("rms_norm_eps"), NORM_EPSILON),
        "deepstack planes": (len(vision["deepstack_visual_indexes"]), DEEPSTACK),
    }
    return [
        Finding("edge export", key, f"{found}; the edge exporter always takes {due}", error=False)
        for key, (found, due) in given.items()
        if found != due
    ]
