"""Ray: a local one sized for the job, or the cluster that is there.

Invariant: every wait on Ray has a deadline; actors get their thread counts explicitly, because unset OpenMP
threads make the CPU engine several times slower.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import ray

from policy.vllm_engine import VllmOptions
from rl.actors import LearnerActor
from rl.config import JobConfig
from rl.rollout_worker import RolloutWorker

CPU_ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "RAY_DEDUP_LOGS": "0"}


def connect(config: JobConfig) -> None:
    """Join the configured cluster, or start a local Ray whose logical CPUs fit the job's actors."""
    if ray.is_initialized():
        return
    # Ray would otherwise run workers through `uv run` when it finds itself started that way.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    if config.ray_address is not None:
        ray.init(address=config.ray_address, log_to_driver=False)
        return
    rollout, learner = config.rollout, config.learner
    needed = math.ceil(rollout.actors * rollout.threads + learner.threads)
    ray.init(
        num_cpus=max(needed, os.cpu_count() or 1),
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        object_store_memory=512 * 2**20,
    )


def start_worker(config: JobConfig, store: Path, policy: Path | None = None) -> Any:
    """A rollout worker actor; ask `ready` of it before use."""
    rollout = config.rollout
    options = VllmOptions(
        threads=rollout.threads,
        max_sequences=rollout.max_sequences,
        max_model_len=rollout.max_model_len,
        dtype=rollout.dtype,
        gpu_memory_utilization=rollout.gpu_memory,
    )
    environment = {**CPU_ENVIRONMENT, "OMP_NUM_THREADS": str(rollout.threads)}
    actor = ray.remote(RolloutWorker).options(
        num_cpus=rollout.threads, num_gpus=rollout.gpus, runtime_env={"env_vars": environment}
    )
    return actor.remote((policy or config.policy).resolve(), store.resolve(), options, flow=rollout.flow)


def start_learner(config: JobConfig, store: Path, scratch: Path, resume: Path | None) -> Any:
    """The learner actor."""
    learner = config.learner
    environment = {**CPU_ENVIRONMENT, "OMP_NUM_THREADS": str(learner.threads)}
    absolute = config.model_copy(update={"policy": config.policy.resolve()})
    actor = ray.remote(LearnerActor).options(
        num_cpus=learner.threads, num_gpus=learner.gpus, runtime_env={"env_vars": environment}
    )
    return actor.remote(absolute, store.resolve(), scratch.resolve(), resume.resolve() if resume else None)
