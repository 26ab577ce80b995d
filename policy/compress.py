"""A copy of a policy folder that reads fewer vision tokens.

Invariant: the source is not touched; a pruned copy has the source's weights bit for bit, a resampled one has them
and a fresh `model.resampler.*`, to be trained.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from policy.backbone import Backbone, tell_vision_tokens
from policy.spec import PolicySpec, VisionTokensSpec
from policy.vision_tokens import check_processor


def compress_policy(source: Path, target: Path, tokens: VisionTokensSpec, seed: int = 0) -> PolicySpec:
    """Write `target`; returns its spec. Raises FileExistsError when it is there, ValueError where the policy does
    not fit: it resamples already, or its processor normalises pixels differently."""
    if target.exists():
        raise FileExistsError(f"{target} exists; choose another folder or remove it")
    spec = PolicySpec.load(source)
    if spec.vision_tokens.kind == "resample":
        raise ValueError(f"{source} resamples its vision tokens; start from the policy it was made of")
    if tokens.kind != "none":
        check_processor(source)
    spec = spec.model_copy(update={"vision_tokens": tokens})
    partial = target.with_name("." + target.name)
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(source, partial)
    spec.save(partial)
    if tokens.kind == "resample":
        from transformers import Qwen3VLConfig

        config = tell_vision_tokens(Qwen3VLConfig.from_pretrained(partial), spec)
        model = Backbone.from_pretrained(partial, config=config, dtype="auto")
        model.model.resampler.reset(seed)
        model.save_pretrained(partial)
    partial.rename(target)
    return spec
