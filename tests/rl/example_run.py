"""An example run for tests: hand-made clips, and groups whose rewards rise with the step.

Everything is built from the contracts' own types; a seed and a step fix every number.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from policy.completion import Completion
from rewards.score import Score, Status
from rl.ledger import LedgerWriter
from rl.metrics_log import MetricsLog
from rl.rollout import Fate, Group, Rollout
from rl.run_directory import RunDirectory
from rl.run_registry import EventKind, Phase, RunRegistry
from scenes.clip import CAMERA_NAMES, Agents, Cameras, CausalFactor, ChainOfCausation, Clip, RoadMap, Signals
from scenes.decisions import FactorKind, Lateral, Longitudinal
from scenes.dynamics import integrate
from scenes.trajectory import FUTURE_STEPS, HISTORY_STEPS, STEP_S, Trajectory

WEIGHTS = {"reasoning": 0.4, "consistency": 0.2, "trajectory": 0.4, "comfort": 0.0}
SENTENCES = (
    "Slow down and keep distance to the lead vehicle ahead since it is braking.",
    "Keep lane and hold speed since the road is clear.",
    "Stop before the crosswalk for the pedestrian crossing from the right.",
    "Nudge left around the parked vehicle because it narrows the lane.",
)
STEPS = HISTORY_STEPS + FUTURE_STEPS


def without_reversing(actions: np.ndarray, speed: float) -> np.ndarray:
    """The same actions, braking no further than to a standstill."""
    kept = actions.copy()
    for step in range(len(kept)):
        kept[step, 0] = max(kept[step, 0], -speed / STEP_S)
        speed += kept[step, 0] * STEP_S
    return kept


def make_clip(number: int, with_label: bool = True) -> Clip:
    """A two-lane road that bends by the number, a braking lead, an oncoming car and a pedestrian."""
    rng = np.random.default_rng(number)
    bend = (number % 5 - 2) * 0.004
    speed = 6.0 + number % 4 * 2.0
    actions = np.zeros((FUTURE_STEPS, 2))
    actions[:, 0] = -0.5 * (number % 3)
    actions[:, 1] = bend
    actions = without_reversing(actions, speed)
    future = integrate(actions, np.float64(speed))
    along = np.linspace(-20, 90, 56)
    centre = np.stack([along, 0.5 * bend * along**2], 1)
    side = [centre + np.array([0.0, offset]) for offset in (-1.8, 1.8, 3.6, 5.4)]
    history = np.zeros((HISTORY_STEPS, 4))
    history[:, 0] = speed * STEP_S * (np.arange(HISTORY_STEPS) - HISTORY_STEPS + 1)
    history[:, 3] = speed
    time = STEP_S * (np.arange(STEPS) - HISTORY_STEPS + 1)
    poses = np.zeros((3, STEPS, 3))
    poses[0, :, 0] = 18 + speed * 0.8 * time
    poses[1, :, 0], poses[1, :, 1], poses[1, :, 2] = 60 - 9 * time, 3.6, np.pi
    poses[2, :, 0], poses[2, :, 1], poses[2, :, 2] = 34, -5 + 0.9 * np.maximum(time, 0), np.pi / 2
    poses[:2, :, 1] += 0.5 * bend * poses[:2, :, 0] ** 2
    valid = np.ones((3, STEPS), bool)
    valid[2, :4] = False
    poses[2, :4] = np.nan
    label = ChainOfCausation(
        text=SENTENCES[number % len(SENTENCES)],
        longitudinal=Longitudinal.LEAD_FOLLOWING,
        lateral=Lateral.LANE_KEEPING,
        direction=None,
        factors=(CausalFactor(FactorKind.LEAD_VEHICLE, "car:0", "front_wide", 0, 140),),
    )
    frames = rng.integers(40, 90, (len(CAMERA_NAMES), 2, 24, 36, 3), dtype=np.uint8)
    frames[:, :, :12] = (130, 175, 225)
    return Clip(
        clip_id=f"clip-{number:04d}",
        source="procedural/lead_braking",
        t0=0.0,
        cameras=Cameras(CAMERA_NAMES, frames, np.array([-0.1, 0.0])),
        ego_history=history,
        ego_future=future,
        actions=actions,
        ego_size=(4.6, 1.9, 1.5, 1.35),
        agents=Agents(
            ids=("car:0", "car:1", "pedestrian:0"),
            classes=("car", "car", "pedestrian"),
            sizes=np.array([[4.5, 1.9, 1.5], [4.5, 1.9, 1.5], [0.5, 0.6, 1.8]]),
            poses=poses,
            valid=valid,
        ),
        road=RoadMap(
            lanes=(centre, (centre + np.array([0.0, 3.6]))[::-1]),
            lane_widths=(3.6, 3.6),
            boundaries=(side[0], side[1], side[3]),
            boundary_kinds=("kerb", "dashed", "kerb"),
            drivable=(np.concatenate([side[0], side[3][::-1]]),),
            crosswalks=(np.array([[32, -2.5], [36, -2.5], [36, 6.0], [32, 6.0]]),),
            stop_lines=(np.array([[30.0, -1.8], [30.0, 1.8]]),),
        ),
        signals=Signals(
            ids=("signal:0",),
            positions=np.array([[31.0, -3.0]]),
            yaws=np.zeros(1),
            states=np.full((1, STEPS), 1, np.uint8),
        ),
        label=label if with_label else None,
    )


def make_group(
    step: int, number: int, clip: Clip, size: int = 8, progress: float = 0.5, seed: int = 0
) -> Group:
    """One trained group; `progress` in [0, 1] is how good the policy is. Every sixth group has a reward
    server failing for one rollout, every ninth an invalid completion."""
    rng = np.random.default_rng((seed, step, number))
    group_id = f"g{step:05d}-{number:03d}"
    rollouts = [
        _rollout(
            rng,
            group_id,
            i,
            clip,
            progress,
            step,
            failed=number % 6 == 5 and i == 2,
            invalid=(number % 9, i) == (4, 1),
        )
        for i in range(size)
    ]
    scored = [r for r in rollouts if r.total is not None]
    totals = np.array([r.total for r in scored])
    spread = float(totals.std()) + 1e-6
    means = {n: np.mean([s.value for r in scored for s in r.scores if s.reward == n]) for n in WEIGHTS}
    ready = {}
    for rollout in scored:
        shares = {
            s.reward: float(WEIGHTS[s.reward] * (s.value - means[s.reward]) / spread) for s in rollout.scores
        }
        ready[rollout.index] = replace(rollout, shares=shares, advantage=sum(shares.values()))
    rollouts = [ready.get(r.index, r) for r in rollouts]
    stale = number % 11 == 10
    return Group(
        group_id=group_id,
        step=step,
        clip_id=clip.clip_id,
        version=step - 1,
        rollouts=tuple(rollouts),
        fate=Fate.DROPPED if stale else Fate.TRAINED,
        fate_reason="stale" if stale else None,
        disagreement=float(rng.gamma(2.0, 0.4)),
    )


def _rollout(
    rng: np.random.Generator,
    group_id: str,
    index: int,
    clip: Clip,
    progress: float,
    step: int,
    failed: bool,
    invalid: bool,
) -> Rollout:
    tokens = int(rng.integers(150, 175)) - int(10 * progress)
    skill = np.clip(progress + rng.normal(0, 0.22), 0.02, 1.0)
    noise = np.stack(
        [np.full(FUTURE_STEPS, rng.normal(0, 1.4)), np.full(FUTURE_STEPS, rng.normal(0, 0.012))], 1
    )
    actions = without_reversing(clip.actions + (1.05 - skill) * noise, clip.ego_history[-1, 3])
    states = integrate(actions, clip.ego_history[-1, 3])
    ade = float(np.linalg.norm(states[:, :2] - clip.ego_future[:, :2], axis=1).mean())
    values = {
        "reasoning": round(float(np.clip(skill + rng.normal(0, 0.15), 0, 1)) * 5) / 5,
        "consistency": float(skill > rng.random() * 0.7),
        "trajectory": float(np.exp(-ade / 3)),
        "comfort": float(np.exp(-np.abs(actions[:, 0]).mean() / 2)),
    }
    parts = {"trajectory": {"ade_m": ade, "collision": float(ade > 6)}, "comfort": {"jerk": 0.3}}
    scores = [
        Score(
            n,
            v,
            components=parts.get(n, {}),
            explanation=f"{n} graded",
            version="1",
            latency_s=float(rng.gamma(2, 0.01)),
        )
        for n, v in values.items()
    ]
    if failed:
        scores[0] = Score("reasoning", None, Status.DEADLINE, explanation="no answer within 10 s", attempts=3)
    if invalid:
        scores = [Score(n, None, Status.DATA, explanation="the completion is invalid") for n in WEIGHTS]
    complete = not failed and not invalid
    total = sum(WEIGHTS[n] * v for n, v in values.items()) if complete else None
    completion = Completion(
        token_ids=rng.integers(0, 4000, tokens).astype(np.int32),
        logprobs=-rng.gamma(1.0, 0.6 - 0.3 * progress, tokens).astype(np.float32),
        versions=np.full(tokens, step - 1, np.int32),
        forced=np.arange(tokens) >= tokens - 2,
        finish_reason="length" if invalid else "stop",
        text=clip.label.text if clip.label and skill > 0.5 else SENTENCES[int(rng.integers(len(SENTENCES)))],
        bins=None if invalid else rng.integers(0, 3000, 2 * FUTURE_STEPS).astype(np.int32),
        valid=not invalid,
        reason="128 trajectory tokens expected, 97 found" if invalid else None,
    )
    return Rollout(
        rollout_id=f"{group_id}/{index}",
        group_id=group_id,
        index=index,
        clip_id=clip.clip_id,
        seed=int(rng.integers(2**31)),
        completion=completion,
        trajectory=None if invalid else Trajectory(actions, states),
        scores=tuple(scores),
        total=total,
        fate=Fate.TRAINED if complete else Fate.DROPPED,
        fate_reason=None if complete else "a reward is missing",
    )


def make_step(
    step: int, clips: Sequence[Clip], groups: int = 12, steps: int = 60, seed: int = 0
) -> list[Group]:
    """All groups of a step; the policy learns along 1 - exp."""
    progress = 0.25 + 0.6 * (1 - np.exp(-2.5 * step / steps))
    return [
        make_group(step, n, clips[(step * groups + n) % len(clips)], progress=progress, seed=seed)
        for n in range(groups)
    ]


def learner_metrics(step: int) -> dict[str, float]:
    """Scalars of the kind that the learner, the curator and the job log."""
    rng = np.random.default_rng(step)
    return {
        "loss": float(0.02 * np.exp(-step / 30) + rng.normal(0, 0.002)),
        "kl": float(0.02 * (1 - np.exp(-step / 20)) + abs(rng.normal(0, 0.001))),
        "entropy": float(1.4 * np.exp(-step / 50) + rng.normal(0, 0.02)),
        "grad_norm": float(0.8 + rng.gamma(2, 0.1)),
        "clip_ratio/region_mean": float(rng.gamma(2, 0.002)),
        "sampling/sampling_logp_difference/mean": float(rng.gamma(2, 0.0005)),
        "perf/step_s": float(4 + rng.gamma(2, 0.2)),
        "perf/rollout_wait_s": float(1.5 + rng.gamma(2, 0.1)),
        "perf/weight_sync_s": float(0.2 + rng.gamma(2, 0.02)),
        "perf/generated_tok_s": float(1900 + rng.normal(0, 60)),
        "curator/learnable_share": float(0.7 - 0.2 * np.exp(-step / 20)),
        "curator/temperature": float(1 / (1 + step / 20)),
    }


def write_summary(run: RunDirectory) -> None:
    """A summary in the agreed format."""

    def row(before: float, after: float, half: float) -> dict[str, list[float]]:
        difference = after - before
        return {
            "before": [before, before - half, before + half],
            "after": [after, after - half, after + half],
            "paired": [difference, difference - 0.7 * half, difference + 0.7 * half],
        }

    summary = {
        "metrics": {
            "reward": row(0.482, 0.731, 0.012),
            "reasoning": row(0.41, 0.69, 0.02),
            "consistency": row(0.55, 0.83, 0.02),
            "ade": row(2.31, 1.42, 0.09),
            "min_ade": row(1.10, 1.06, 0.06),
            "collision": row(0.071, 0.042, 0.011),
            "validity": row(0.984, 0.999, 0.004),
            "decision/yield": row(0.31, 0.62, 0.08),
            "decision/lane_keeping": row(0.72, 0.90, 0.03),
            "recorded/ade": row(1.2, 1.3, 0.2),
            "reward@greedy": row(0.552, 0.764, 0.014),
            "ade@greedy": row(1.71, 1.21, 0.08),
        },
        "counts": {"groups": 720, "rollouts": 5760, "missing": 118, "dropped": 60},
        "seconds": {"collect": 212.4, "train": 160.2, "evaluate": 71.0, "weight_sync": 14.3},
        "peak_rss_gib": 5.8,
        "versions": {"ar1-rl": "0.1.0", "torch": "2.13.0", "vllm": "0.32.0", "trl": "1.16.0"},
        "config_sha256": "9f2c4e1b7a",
    }
    run.summary.write_text(json.dumps(summary, indent=1))


def write_run(
    path: Path, clips: Sequence[Clip], steps: int, groups: int = 12, clip_stores: Sequence[Path] = ()
) -> RunDirectory:
    """A finished run with everything a job leaves behind, checkpoints aside."""
    run = RunDirectory.create(path)
    run.config.write_text(
        f"run:\n  name: {run.name}\nrollout:\n  group_size: 8\nrewards:\n  reasoning: 0.4\n"
    )
    registry = RunRegistry(run.path)
    registry.set_fact("clip_stores", [str(store) for store in clip_stores])
    registry.set_fact("reward_weights", WEIGHTS)
    registry.add_event(EventKind.INFO, "run started")
    writer, log = LedgerWriter(run.path), MetricsLog(run.path)
    for step in range(1, steps + 1):
        writer.append(step, make_step(step, clips, groups, steps))
        log.append(step, learner_metrics(step))
    registry.add_event(EventKind.WARNING, "reward server reasoning: 3 deadlines in step 2")
    registry.set_state(Phase.FINISHED, steps, steps, "done")
    write_summary(run)
    return run
