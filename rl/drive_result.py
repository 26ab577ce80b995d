"""One clip driven: texts, discrete and flow trajectories, and how far each lands from the expert.

Role: what `ar1 drive` prints, writes and draws. Invariant: both kinds of trajectory come from one pass over one
prompt and go through one integrator, so that they differ in the decoder alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from policy.completion import Completion, drive, drive_actions
from policy.flow_options import FlowOptions
from policy.planner import Planner, Plans
from policy.prompt import PromptBuilder
from policy.trajectory_tokens import FutureCodec
from scenes.clip import Clip
from scenes.trajectory import Trajectory


@dataclass(frozen=True)
class Drive:
    """R samples of one clip. discrete: [R], None where a completion is invalid; flow: [R]."""

    clip: Clip
    completions: tuple[Completion, ...]
    discrete: tuple[Trajectory | None, ...]
    flow: tuple[Trajectory, ...]
    seconds: dict[str, float]


def drive_clip(
    planner: Planner,
    builder: PromptBuilder,
    clip: Clip,
    samples: int,
    temperature: float,
    seed: int,
    flow: FlowOptions,
) -> Drive:
    """Sample texts of a clip, each text's own trajectory, and a flow trajectory for each text."""
    plans: Plans = planner.plan(builder.build(clip), samples, temperature, seed, flow)
    codec: FutureCodec = planner.spec.future_codec()
    speed = float(clip.ego_history[-1, 3])
    return Drive(
        clip,
        plans.completions,
        tuple(drive(completion, codec, speed) for completion in plans.completions),
        tuple(drive_actions(actions[0], codec, speed) for actions in plans.flow),
        plans.seconds,
    )


def displacement(trajectory: Trajectory, clip: Clip) -> float:
    """Mean distance m from the expert over the horizon (ADE)."""
    return float(np.linalg.norm(trajectory.states[:, :2] - clip.ego_future[:, :2], axis=1).mean())


def displacements(trajectories: tuple[Trajectory | None, ...], clip: Clip) -> list[float | None]:
    """ADE of each trajectory, None where there is none."""
    return [None if each is None else displacement(each, clip) for each in trajectories]


def least(values: list[float | None]) -> float | None:
    """The smallest that is there."""
    known = [value for value in values if value is not None]
    return min(known) if known else None


def as_json(result: Drive) -> dict[str, Any]:
    """Plain data: every sample's text, trajectories [T, 4] of x, y, yaw, v and distances, and seconds by stage."""
    clip = result.clip
    discrete, flow = displacements(result.discrete, clip), displacements(tuple(result.flow), clip)
    samples = [
        {
            "text": completion.text,
            "valid": completion.valid,
            "reason": completion.reason,
            "ade": {"discrete": discrete[row], "flow": flow[row]},
            "discrete": _states(result.discrete[row]),
            "flow": _states(result.flow[row]),
        }
        for row, completion in enumerate(result.completions)
    ]
    return {
        "clip": clip.clip_id,
        "label": None if clip.label is None else clip.label.text,
        "min_ade": {"discrete": least(discrete), "flow": least(flow)},
        "seconds": {name: round(value, 6) for name, value in result.seconds.items()},
        "samples": samples,
    }


def _states(trajectory: Trajectory | None) -> list[list[float]] | None:
    return None if trajectory is None else [[round(float(v), 4) for v in row] for row in trajectory.states]
