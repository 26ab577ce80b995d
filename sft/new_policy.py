"""The embedded policy that a configuration describes, made from scratch.

Invariant: the same configuration and seed give the same policy folder; its tokenizer knows every word of the
world's labels.
"""

from __future__ import annotations

from pathlib import Path

from policy.embedded import build_embedded
from policy.spec import PolicySpec
from sft.config import DataConfig, PolicyConfig
from sft.corpus import corpus


def new_policy(folder: Path, policy: PolicyConfig, data: DataConfig, seed: int) -> PolicySpec:
    """Write an untrained policy folder that sees the cameras of `data`."""
    return build_embedded(
        folder,
        corpus(),
        size=policy.size,
        future=policy.future,
        history=policy.history,
        prompt=policy.prompt,
        cameras=policy.cameras(data),
        max_text=policy.max_text,
        vision_tokens=policy.vision_tokens,
        seed=seed,
    )
