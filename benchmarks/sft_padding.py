"""How much of a supervised batch is padding: shuffled examples against length buckets.

    python -m benchmarks.sft_padding [--clips 1024] [--batch 16]

Of the quickstart's prompts and targets, over one epoch; shares of all tokens of a row, prompt included.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from policy.config_file import load_config
from policy.prompt import PromptBuilder
from policy.spec import PolicySpec
from policy.tokenizer import TextCodec
from scenes.store import ClipStore
from sft.bucketing import bucketed_order, padding_share
from sft.config import SftConfig
from sft.data import split_store
from sft.demonstrations import demonstrations
from sft.examples import Examples

QUICKSTART = Path(__file__).parents[1] / "configs" / "quickstart" / "sft.yaml"
CASES = (("action", "varied"), ("text", "canonical"), ("text", "varied"), ("joint", "varied"))


def main(
    clips: Annotated[int, typer.Option(help="Clips of the epoch.")] = 1024,
    batch: Annotated[int, typer.Option(help="Global batch.")] = 16,
    policy: Annotated[Path, typer.Option(help="Policy folder; its tokenizer counts.")] = Path(
        "runs/quickstart-sft/policy"
    ),
    data: Annotated[Path, typer.Option(help="Where clips are, or go.")] = Path("runs/data"),
) -> None:
    """Print the shares."""
    config = load_config(SftConfig, QUICKSTART, [f"data.train={clips}", f"data.folder={data}"])
    store = ClipStore.open(split_store(config.data, "train"))
    text = TextCodec.load(policy)
    builder = PromptBuilder(PolicySpec.load(policy), text)
    examples = Examples(store, list(demonstrations(store, config)), builder, text)
    prompt = len(examples.prompt(0).ids)
    table = Table("stage", "wording", "tokens a row", "padding, shuffled", "padding, bucketed")
    for kind, wording in CASES:
        lengths = prompt + examples.target_lengths(kind, wording)
        rng = np.random.default_rng(0)
        shuffled = padding_share(lengths, rng.permutation(len(lengths)), batch)
        bucketed = padding_share(lengths, bucketed_order(lengths, batch, rng), batch)
        shape = f"{lengths.min()} to {lengths.max()}"
        table.add_row(kind, wording, shape, f"{100 * shuffled:.1f} %", f"{100 * bucketed:.1f} %")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
