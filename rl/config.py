"""Configuration of a GRPO job.

Invariant: import-light (no torch, vllm, ray): `--dry-run` and `--help` answer at once. What holds between
sections (batch arithmetic, trainable sampling) is checked here, before a process starts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from policy.config_file import ConfigModel
from policy.flow_options import FlowOptions, Integrator
from rl.advantages import Combine
from rl.reward_config import RewardConfig
from sft.config import DataConfig


class RolloutConfig(ConfigModel):
    """Generation. clips_per_step groups of group_size rollouts; actors: vLLM engines placed by Ray; threads:
    OpenMP threads of each on CPU; gpus: GPUs of each (0 is CPU); gpu_memory: share of a GPU's memory it may take;
    max_model_len: tokens of prompt and completion; deadline_s: for one step's generation. trajectory_from: whose
    trajectory is rewarded: that of the completion's own tokens, or the flow expert's for the completion's text (one
    more prefill of every text and flow_steps evaluations of the expert; the loss is then over the text alone)."""

    clips_per_step: PositiveInt = 16
    group_size: PositiveInt = 8
    temperature: float = Field(0.7, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    top_k: NonNegativeInt = 0
    actors: PositiveInt = 1
    threads: PositiveInt = 1
    gpus: float = 0.0
    dtype: Literal["float32", "bfloat16"] = "float32"
    max_sequences: PositiveInt = 128
    max_model_len: PositiveInt = 1024
    gpu_memory: float = Field(0.5, gt=0, lt=1)
    start_deadline_s: float = 300.0
    deadline_s: float = 300.0
    trajectory_from: Literal["discrete", "expert"] = "discrete"
    flow_steps: PositiveInt = 10
    flow_method: Integrator = Integrator.EULER
    flow_guidance: float = 1.0

    @property
    def flow(self) -> FlowOptions | None:
        """How the expert drives rollouts; None where their own tokens do."""
        if self.trajectory_from == "discrete":
            return None
        return FlowOptions(self.flow_steps, self.flow_method, self.flow_guidance)


class AdvantageConfig(ConfigModel):
    """How scores become advantages. quorum: share of a group that must be scored, else the group is dropped."""

    combine: Combine = Combine.SUM_THEN_NORMALISE
    scale_by_std: bool = True
    quorum: float = Field(0.75, gt=0, le=1)


class CuratorSection(ConfigModel):
    """Arguments of curation.boltzmann.CuratorConfig."""

    beta: float = 2.0
    likelihood_beta: float = 8.0
    sharpness: float = 2.0
    uniform_share: float = Field(0.5, ge=0, le=1)
    half_life: float = Field(50.0, gt=0)


class LearnerConfig(ConfigModel):
    """Optimisation, in the terms of TRL's GRPOConfig. schedule: of the learning rate after warmup_steps, "linear"
    and "cosine" fall to 0 at the job's last step; updates_per_step optimiser updates share one step's rollouts;
    micro_batch rows go through the model at once; kl_beta above 0 holds the policy near the one it started from,
    in the section kl_on; logp_bound: largest allowed difference between sampler and learner log-probabilities,
    nats."""

    learning_rate: float = Field(1.5e-4, gt=0)
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    updates_per_step: PositiveInt = 2
    micro_batch: PositiveInt = 32
    epsilon_low: float = 0.2
    epsilon_high: float = 0.2
    kl_beta: float = Field(0.0, ge=0)
    kl_on: Literal["all", "text", "trajectory"] = "all"
    loss_type: Literal["grpo", "dapo", "dr_grpo", "bnpo"] = "dapo"
    gradient_clip: float = 1.0
    adam_beta2: float = 0.99
    weight_decay: float = 0.0
    warmup_steps: NonNegativeInt = 0
    threads: PositiveInt = 2
    gpus: float = 0.0
    bf16: bool = False
    deepspeed: Path | None = None
    logp_bound: float = Field(1e-3, gt=0)
    deadline_s: float = 600.0


class EvaluationConfig(ConfigModel):
    """Figures before and after. samples: rollouts a clip when sampling (greedy has one); low_temperature: the
    second sampling temperature; recorded: folder of CommonRoad files (None: skip), windows of it to take."""

    samples: PositiveInt = 6
    low_temperature: float = Field(0.4, gt=0)
    low_samples: PositiveInt = 2
    recorded: Path | None = None
    recorded_windows: PositiveInt = 64
    batch_clips: PositiveInt = 16


class JobConfig(ConfigModel):
    """A GRPO job. policy: folder to start from; max_staleness: weight versions a trained token may be old (0 is
    synchronous); ray_address: None starts a local Ray, "auto" joins a cluster."""

    name: str = "grpo"
    runs: Path = Path("runs")
    policy: Path = Path("runs/sft/policy")
    seed: int = 0
    steps: PositiveInt = 80
    max_staleness: Literal[0] = 0
    checkpoint_every: PositiveInt = 20
    ray_address: str | None = None
    data: DataConfig = DataConfig()
    rollout: RolloutConfig = RolloutConfig()
    rewards: tuple[RewardConfig, ...] = (
        RewardConfig(name="trajectory", source="trajectory"),
        RewardConfig(name="consistency", source="consistency"),
        RewardConfig(name="reasoning", source="reasoning"),
    )
    advantage: AdvantageConfig = AdvantageConfig()
    curator: CuratorSection = CuratorSection()
    learner: LearnerConfig = LearnerConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @property
    def folder(self) -> Path:
        """Run directory."""
        return self.runs / self.name

    @property
    def rollouts_per_step(self) -> int:
        """Completions of one step."""
        return self.rollout.clips_per_step * self.rollout.group_size

    @property
    def micro_batches(self) -> int:
        """Micro-batches of one step."""
        return self.rollouts_per_step // self.learner.micro_batch

    @model_validator(mode="after")
    def _consistent(self) -> JobConfig:
        if self.rollout.group_size < 2:
            raise ValueError("rollout.group_size must be at least 2: a group of one has no baseline")
        rows = self.learner.micro_batch * self.learner.updates_per_step
        if self.rollouts_per_step % rows:
            raise ValueError(
                f"{self.rollouts_per_step} rollouts a step do not divide into {self.learner.updates_per_step} "
                f"updates of micro-batches of {self.learner.micro_batch}; change learner.micro_batch"
            )
        if self.rollout.top_p != 1 or self.rollout.top_k:
            raise ValueError(
                "rollout.top_p below 1 and rollout.top_k are refused for training: the learner cannot know "
                "which tokens were kept; lower rollout.temperature instead"
            )
        if self.learner.deepspeed is not None and not self.learner.gpus:
            raise ValueError(
                "learner.deepspeed needs learner.gpus above 0: on a CPU accelerate leaves it out without a word"
            )
        names = [reward.name for reward in self.rewards]
        if len(set(names)) != len(names) or not any(r.weight and not r.shadow for r in self.rewards):
            raise ValueError(f"rewards need distinct names and one weight above 0, got {names}")
        for reward in self.rewards:
            if reward.gate and reward.gate.reward not in set(names) - {reward.name}:
                raise ValueError(
                    f"reward {reward.name} is gated by {reward.gate.reward!r}, which is no other reward"
                )
        return self
