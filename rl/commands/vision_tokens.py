"""`ar1 vision-tokens`: a copy of a policy that reads fewer vision tokens."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rl.commands.console import console, print_json


class Kind(StrEnum):
    """What to do with the vision tower's tokens."""

    NONE = "none"
    PRUNE = "prune"
    RESAMPLE = "resample"


def vision_tokens(
    policy: Annotated[Path, typer.Argument(help="Policy folder to copy.")],
    target: Annotated[Path, typer.Argument(help="Where the copy goes; must not exist.")],
    kind: Annotated[Kind, typer.Option(help="prune: choose; resample: learn; none: all.")] = Kind.PRUNE,
    ratio: Annotated[float, typer.Option(help="prune: keep ceil(N / ratio) of an image's N tokens.")] = 1.0,
    scene_tokens: Annotated[
        int | None, typer.Option(help="resample: tokens for all images together; at most as many as before.")
    ] = None,
    heads: Annotated[int, typer.Option(help="resample: attention heads; must divide the width.")] = 4,
    seed: Annotated[int, typer.Option(help="resample: seed of the fresh weights.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON line.")] = False,
) -> None:
    """Copy a policy so that its language model reads fewer vision tokens; prompts shrink with it.

    prune needs no training: the same weights, tokens chosen for diversity from the pixels, positions kept. Half
    the tokens is a start; measure before you go further. resample adds a module that must be trained, by
    `ar1 sft` or by GRPO. Every command then serves and trains the copy as any other policy: check it with
    `ar1 doctor ... policy=TARGET`.

    Example: ar1 vision-tokens runs/quickstart-sft/policy runs/pruned --ratio 2
    """
    from policy.compress import compress_policy
    from policy.prompt import PromptBuilder
    from policy.spec import PolicySpec, VisionTokensSpec
    from policy.tokenizer import TextCodec

    tokens = VisionTokensSpec(kind=kind.value, ratio=ratio, scene_tokens=scene_tokens, heads=heads)
    whole = PromptBuilder(PolicySpec.load(policy), TextCodec.load(policy)).length
    spec = compress_policy(policy, target, tokens, seed)
    blocks, each = spec.image_blocks
    result = {
        "policy": str(target),
        "image_tokens": blocks * each,
        "prompt_tokens": PromptBuilder(spec, TextCodec.load(target)).length,
        "prompt_tokens_before": whole,
    }
    if as_json:
        print_json(result)
        return
    console.print(
        f"policy: {target}\nprompt: {whole} → {result['prompt_tokens']} tokens, {blocks * each} of images"
    )
    if kind is Kind.RESAMPLE:
        console.print("the resampler starts as average pooling: train it before you judge it")
