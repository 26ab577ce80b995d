"""What a job will do, before it does it: processes, placement, memory, batch arithmetic (`--dry-run`)."""

from __future__ import annotations

from typing import Any

from rl.config import JobConfig

ENGINE_GIB = 1.9
"""Resident memory of a CPU engine actor with the embedded policy, measured (docs/architecture.md)."""
LEARNER_GIB = 1.8
SERVER_GIB = 0.15


def plan(config: JobConfig) -> dict[str, Any]:
    """The resolved plan as plain data."""
    rollout, learner = config.rollout, config.learner
    servers = [r.name for r in config.rewards if not r.source.startswith("grpc://")]
    rows_per_update = config.rollouts_per_step // learner.updates_per_step
    return {
        "run": str(config.folder),
        "processes": {
            "driver": 1,
            "rollout workers": f"{rollout.actors} x {rollout.threads} threads, {rollout.gpus:g} GPUs each",
            "learner": f"{learner.threads} threads, {learner.gpus:g} GPUs",
            "reference": f"KL x {learner.kl_beta:g} on {learner.kl_on}" if learner.kl_beta else "none",
            "reward servers": ", ".join(servers) or "none (all remote)",
        },
        "ray": config.ray_address or "local",
        "trajectory": f"{rollout.trajectory_from}, {rollout.flow_steps} {rollout.flow_method} steps"
        if rollout.flow
        else rollout.trajectory_from,
        "memory_gib": round(rollout.actors * ENGINE_GIB + LEARNER_GIB + SERVER_GIB * len(servers) + 1.0, 1),
        "batch": {
            "rollouts a step": f"{rollout.clips_per_step} x {rollout.group_size} = {config.rollouts_per_step}",
            "updates a step": f"{learner.updates_per_step} of {rows_per_update} rows",
            "micro-batches an update": config.micro_batches // learner.updates_per_step,
            "steps": config.steps,
            "rollouts in all": config.steps * config.rollouts_per_step,
        },
        "rewards": {r.name: f"{r.source} x {r.weight:g}, missing: {r.on_failure}" for r in config.rewards},
    }
