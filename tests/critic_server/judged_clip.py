"""A clip with a label and two cameras, and the reasoning reward over it."""

from __future__ import annotations

from typing import Any

import numpy as np

from critic_server.reasoning import ReasoningReward
from rewards.score import RolloutView, Score
from scenes.clip import Agents, Cameras, CausalFactor, ChainOfCausation, Clip
from scenes.decisions import FactorKind, Lateral, Longitudinal

RED = CausalFactor(FactorKind.RED_LIGHT, "light", "front_wide", 3, 40)
LABEL = ChainOfCausation("Stop, red.", Longitudinal.STOP_STATIC, Lateral.LANE_KEEPING, None, (RED,))


def clip(shade: int = 0) -> Clip:
    """shade: colour of its images, 0 to 255."""
    nobody = Agents((), (), np.zeros((0, 3)), np.zeros((0, 80, 3)), np.zeros((0, 80), bool))
    frames = np.full((2, 3, 4, 6, 3), shade, np.uint8)
    return Clip(
        clip_id="c",
        source="procedural/test",
        t0=0.0,
        cameras=Cameras(("front_wide", "front_tele"), frames, np.array([-0.2, -0.1, 0.0])),
        ego_history=np.zeros((16, 4)),
        ego_future=np.zeros((64, 4)),
        actions=np.zeros((64, 2)),
        ego_size=(4.8, 1.9, 1.6, 1.4),
        agents=nobody,
        label=LABEL,
    )


def reward(url: str, **options: Any) -> ReasoningReward:
    """One judge at `url`, unless the options name others."""
    single = {} if "judges" in options else {"base_url": url, "model": "m"}
    return ReasoningReward(backend="openai", **({"deadline_s": 10.0} | single | options))


def views(*texts: str) -> list[RolloutView]:
    """Valid rollouts that say this."""
    still = {"actions": np.zeros((64, 2)), "states": np.zeros((64, 4))}
    return [RolloutView(f"g/{i}", "g", "c", text, True, **still) for i, text in enumerate(texts)]


def judge(url: str, *texts: str, shade: int = 0, **options: Any) -> list[Score]:
    """Scores of a fresh reward; one plain text unless told."""
    return reward(url, **options).score(views(*(texts or ("Stop at the line.",))), {"c": clip(shade)})
