"""Everything the page of one group shows, as JSON.

Role: the same record feeds the dashboard and the report. Values are as the ledger holds them; a missing score
stays null with its status and explanation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rl.bird_eye import bird_eye
from rl.rollout import Group, Rollout
from scenes.clip import ChainOfCausation, Clip


def group_page(group: Group, clip: Clip | None, clip_error: str | None = None) -> dict[str, Any]:
    """{step, group_id, clip_id, version, fate, fate_reason, disagreement, rewards [names], rollouts, clip,
    scene, clip_error}; clip and scene are None when the clip is not at hand, and clip_error says why."""
    rewards = sorted({score.reward for rollout in group.rollouts for score in rollout.scores})
    return {
        "step": group.step,
        "group_id": group.group_id,
        "clip_id": group.clip_id,
        "version": group.version,
        "fate": group.fate.value,
        "fate_reason": group.fate_reason,
        "disagreement": group.disagreement,
        "rewards": rewards,
        "rollouts": [_rollout(rollout) for rollout in group.rollouts],
        "clip": None if clip is None else _clip(clip),
        "scene": None if clip is None else bird_eye(clip, group.rollouts),
        "clip_error": clip_error,
    }


def _rollout(rollout: Rollout) -> dict[str, Any]:
    completion = rollout.completion
    free = completion.logprobs[~np.asarray(completion.forced, bool)].astype(np.float64)
    versions = np.asarray(completion.versions)
    return {
        "index": rollout.index,
        "rollout_id": rollout.rollout_id,
        "seed": rollout.seed,
        "text": completion.text,
        "valid": completion.valid,
        "reason": completion.reason,
        "tokens": len(completion.token_ids),
        "finish_reason": completion.finish_reason,
        "versions": [int(versions.min()), int(versions.max())] if len(versions) else None,
        "mean_logprob": float(free.mean()) if len(free) else None,
        "total": rollout.total,
        "advantage": rollout.advantage,
        "fate": rollout.fate.value,
        "fate_reason": rollout.fate_reason,
        "scores": {
            score.reward: {
                "value": score.value,
                "status": score.status.value,
                "components": dict(score.components),
                "explanation": score.explanation,
                "version": score.version,
                "attempts": score.attempts,
                "latency_s": score.latency_s,
                "cached": score.cached,
                "share": rollout.shares.get(score.reward),
            }
            for score in rollout.scores
        },
    }


def _clip(clip: Clip) -> dict[str, Any]:
    cameras = clip.cameras
    return {
        "clip_id": clip.clip_id,
        "source": clip.source,
        "speed": float(clip.ego_history[-1, 3]),
        "label": None if clip.label is None else _label(clip.label),
        "cameras": None
        if cameras is None
        else {
            "names": list(cameras.names),
            "times": [float(time) for time in cameras.times],
            "height": int(cameras.frames.shape[2]),
            "width": int(cameras.frames.shape[3]),
        },
    }


def _label(label: ChainOfCausation) -> dict[str, Any]:
    return {
        "text": label.text,
        "longitudinal": label.longitudinal,
        "lateral": label.lateral,
        "direction": label.direction,
        "factors": [
            {"kind": f.kind, "instance": f.instance, "camera": f.camera, "frame": f.frame, "pixels": f.pixels}
            for f in label.factors
        ],
    }
