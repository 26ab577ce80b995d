"""How stages are run: ranks, DeepSpeed, precision, memory, order of examples, adapters.

Role: the options beside what a stage learns. Invariants: import-light (no torch); with every option at its default
a run is bit for bit what it is without this file; batch_size of a stage is the global batch, however many ranks
and parts it is cut into.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt

from policy.config_file import ConfigModel

TEXT_STACK = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class LoraOptions(ConfigModel):
    """Low-rank adapters in place of full weights (Hu et al. 2021, arXiv:2106.09685): W + alpha / rank * B A.
    targets: names of the linear layers that get one; the vision tower's are qkv, proj, linear_fc1, linear_fc2."""

    rank: PositiveInt = 16
    alpha: float = Field(32.0, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: tuple[str, ...] = TEXT_STACK


class ExecutionConfig(ConfigModel):
    """How the text, action and joint stages run. ranks: processes that share a batch, one a GPU or, without GPUs,
    with SftConfig.threads threads each. deepspeed: JSON file of configs/deepspeed/. micro_batch: examples a rank
    holds at once; its share of the batch is accumulated from such parts (None: in one). precision: "bf16" computes
    in bfloat16 and keeps float32 weights (under DeepSpeed its own float32 copies). gradient_checkpointing: compute
    activations twice instead of keeping them. bucket_lengths: batches of like-long examples, less padding in
    another order. rank_timeout_s: how long a rank waits for the others in one exchange before it gives up."""

    ranks: PositiveInt = 1
    deepspeed: Path | None = None
    micro_batch: PositiveInt | None = None
    precision: Literal["fp32", "bf16"] = "fp32"
    gradient_checkpointing: bool = False
    bucket_lengths: bool = False
    rank_timeout_s: float = Field(1800.0, gt=0)

    @property
    def launches(self) -> bool:
        """Whether stages run in processes of their own."""
        return self.ranks > 1 or self.deepspeed is not None

    def cut(self, batch_size: int) -> tuple[int, int]:
        """(examples a rank holds at once, parts it accumulates). Raises ValueError when these do not fit."""
        share, rest = divmod(batch_size, self.ranks)
        if rest or not share:
            raise ValueError(
                f"batch_size {batch_size} cannot be shared by execution.ranks={self.ranks}; choose a multiple"
            )
        micro = self.micro_batch or share
        parts, rest = divmod(share, micro)
        if rest or not parts:
            raise ValueError(
                f"a rank's {share} examples cannot be cut into parts of execution.micro_batch={micro}; "
                "choose a divisor"
            )
        return micro, parts
