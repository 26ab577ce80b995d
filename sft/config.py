"""Configuration of the supervised stages and of the clips that every stage and job reads.

Invariant: import-light (no torch), so that commands can validate and explain before anything heavy starts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from policy.config_file import ConfigModel
from policy.expert_spec import FeatureSpec
from policy.spec import (
    CameraSpec,
    EmbeddedSize,
    FutureSpec,
    HistorySpec,
    PromptSpec,
    VisionTokensSpec,
)
from sft.options import ExecutionConfig, LoraOptions

SPLITS = ("train", "pool", "validation", "test")
SEQUENCE_KINDS = ("text", "action", "joint")
MIN_RATE = 0.05
"""Where a stage's cosine ends, as a share of its peak learning rate."""


class DataConfig(ConfigModel):
    """Procedural clips. Each split draws from a world seed of its own: train for SFT, pool for GRPO, validation
    for choices, test for figures. folder holds one clip store a split. situations: names to draw from, alike
    often (`python -m scenes.world --report` lists them); none means all. test_round: raise it once the test split
    has been looked at and anything is changed after that: every round is a world of its own."""

    folder: Path = Path("runs/data")
    seed: int = 7
    train: PositiveInt = 20_000
    pool: PositiveInt = 4_000
    validation: PositiveInt = 256
    test: PositiveInt = 512
    test_round: NonNegativeInt = 0
    cameras: tuple[str, ...] = ("front_wide", "front_tele")
    frames: PositiveInt = 1
    width: PositiveInt = 96
    height: PositiveInt = 64
    processes: PositiveInt = 2
    situations: tuple[str, ...] = ()


class NoiseConfig(ConfigModel):
    """Imperfections of the demonstrations (arguments of scenes.imperfection.ImperfectionConfig)."""

    wrong_share: float = Field(0.15, ge=0, le=1)
    accel_sigma: float = Field(0.3, ge=0)
    kappa_sigma: float = Field(0.001, ge=0)


class PolicyConfig(ConfigModel):
    """The embedded policy to build; its images come from `data`."""

    size: EmbeddedSize = EmbeddedSize()
    future: FutureSpec = FutureSpec(bins=257, low=(-5.1, -0.128), high=(2.58, 0.128), carry_error=True)
    history: HistorySpec = HistorySpec(bins=512)
    prompt: PromptSpec = PromptSpec()
    vision_tokens: VisionTokensSpec = VisionTokensSpec()
    max_text: PositiveInt = 32

    def cameras(self, data: DataConfig) -> CameraSpec:
        """Images of a prompt, as the clip stores hold them."""
        return CameraSpec(names=data.cameras, frames=data.frames, width=data.width, height=data.height)


class ExpertStageConfig(ConfigModel):
    """The flow expert of an "expert" stage. hidden, feed_forward, heads: its widths (layers, KV heads and head
    size are the backbone's); draws: flow times and noises an example, which share its prefix;
    unconditional_share: of rows that see no prefix, so that guidance is possible; cotrain: train the backbone on
    its own loss beside it; stop_gradient: the flow loss does not reach a backbone that is trained too (the
    release)."""

    hidden: PositiveInt = 64
    feed_forward: PositiveInt = 192
    heads: PositiveInt = 4
    features: FeatureSpec = FeatureSpec(hidden=128, max_frequency=16.0)
    draws: PositiveInt = 4
    unconditional_share: float = Field(0.0, ge=0, lt=1)
    cotrain: bool = False
    stop_gradient: bool = True

    @model_validator(mode="after")
    def _someone_is_trained(self) -> ExpertStageConfig:
        if not self.stop_gradient and not self.cotrain:
            raise ValueError(
                "stop_gradient: false sends the flow loss into a frozen backbone; set cotrain: true as well"
            )
        return self


class StageConfig(ConfigModel):
    """One supervised stage. kind: "vision" warms the vision tower up (policies from scratch only), "text" stops
    after the reasoning (otherwise 128 copy-like tokens drown the images), "action" trains the trajectory without
    reasoning (the release's stage 1), "joint" trains reasoning then trajectory (stage 2), "expert" trains the flow
    expert on the backbone's cache (last of all). wording: "canonical" says each decision in one way only. The rate
    warms up over `warmup` of the steps, then falls as a cosine to MIN_RATE of its peak. lora: train adapters and
    merge them when the stage is done."""

    kind: Literal["vision", "text", "action", "joint", "expert"]
    steps: PositiveInt
    wording: Literal["varied", "canonical"] = "varied"
    batch_size: PositiveInt = 32
    learning_rate: float = Field(1e-3, gt=0)
    warmup: float = Field(0.03, ge=0, lt=1)
    text_weight: float = Field(0.9, ge=0)
    expert: ExpertStageConfig = ExpertStageConfig()
    lora: LoraOptions | None = None


class SftConfig(ConfigModel):
    """Supervised training to a policy folder. start: policy folder to go on from; None builds `policy` from
    scratch. checkpoint_every and log_every are in steps."""

    name: str = "sft"
    runs: Path = Path("runs")
    seed: int = 0
    threads: PositiveInt = 2
    start: Path | None = None
    data: DataConfig = DataConfig()
    policy: PolicyConfig = PolicyConfig()
    noise: NoiseConfig = NoiseConfig()
    stages: tuple[StageConfig, ...] = (
        StageConfig(kind="text", steps=400),
        StageConfig(kind="joint", steps=800),
    )
    beta2: float = 0.97
    weight_decay: float = 0.05
    gradient_clip: float = 1.0
    checkpoint_every: PositiveInt = 400
    log_every: PositiveInt = 20
    validation_clips: PositiveInt = 192
    execution: ExecutionConfig = ExecutionConfig()

    @model_validator(mode="after")
    def _some_stage(self) -> SftConfig:
        if not self.stages:
            raise ValueError("stages is empty: name at least one of text, action, joint, expert")
        if any(stage.kind == "expert" for stage in self.stages[:-1]):
            raise ValueError(
                "the expert stage must be last: a backbone that changes afterwards leaves it stale"
            )
        return self

    @model_validator(mode="after")
    def _stages_can_run_so(self) -> SftConfig:
        for stage in self.stages:
            if stage.kind in SEQUENCE_KINDS:
                self.execution.cut(stage.batch_size)
            elif stage.lora is not None:
                raise ValueError(f"a {stage.kind} stage takes no lora; {', '.join(SEQUENCE_KINDS)} do")
        return self

    @property
    def folder(self) -> Path:
        """Run directory."""
        return self.runs / self.name
