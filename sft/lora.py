"""Low-rank adapters on a backbone, through peft.

Role: puts adapters into a stage's backbone and, when the stage is done, their product into its weights. Invariants:
only adapters are trained; after `merge` the backbone is a plain one again, so that a policy folder never depends
on peft; the same seed gives the same adapters.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from sft.options import LoraOptions

ADAPTER_FOLDER = "adapter"


def with_adapter(model: Any, options: LoraOptions, seed: int) -> Any:
    """A peft model around the backbone, whose own weights are frozen from then on.

    Raises RuntimeError when peft is not installed, ValueError when no layer is named as a target.
    """
    peft = _peft()
    torch.manual_seed(seed)
    config = peft.LoraConfig(
        r=options.rank,
        lora_alpha=options.alpha,
        lora_dropout=options.dropout,
        target_modules=list(options.targets),
    )
    return peft.get_peft_model(model, config)


def merge(adapted: Any) -> Any:
    """The backbone with the adapters' product added to its weights, trainable again; takes `adapted` apart."""
    return adapted.merge_and_unload().requires_grad_(True)


def merge_saved(model: Any, folder: Path) -> Any:
    """`merge` of an adapter folder into a backbone that has none."""
    return merge(_peft().PeftModel.from_pretrained(model, folder))


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise RuntimeError(
            "a stage with lora needs peft; install it with pip install 'ar1-rl[lora]'"
        ) from error
    return peft
