"""How often the clean expert of the procedural world is consistent with its own label: the reward's ceiling.

Printed by `python -m rewards.consistency --ceiling N`. A decision well below 1 here means that table or
detectors are wrong about it, and that a policy would be taught so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated

import typer

from rewards.consistency import ConsistencyReward
from rewards.score import RolloutView
from scenes.clip import Clip


def ceiling(clips: Iterable[Clip]) -> Mapping[str, tuple[int, int]]:
    """Decision, and "all" → (experts consistent with their label's text on the decision's axis, experts)."""
    reward = ConsistencyReward()
    passed: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for clip in clips:
        if clip.label is None:
            continue
        view = RolloutView(
            clip.clip_id,
            clip.clip_id,
            clip.clip_id,
            clip.label.text,
            True,
            None,
            clip.actions,
            clip.ego_future,
        )
        score = reward.score([view], {clip.clip_id: clip})[0]
        axes = {
            str(clip.label.longitudinal): score.components["longitudinal"],
            str(clip.label.lateral): score.components["lateral"],
            "all": score.value or 0.0,
        }
        seen.update(axes.keys())
        passed.update({decision: int(value) for decision, value in axes.items()})
    return {decision: (passed[decision], count) for decision, count in seen.most_common()}


def main(
    ceiling_of: Annotated[int, typer.Option("--ceiling", help="Clips of the procedural world.")] = 300,
    seed: Annotated[int, typer.Option(help="World seed.")] = 0,
) -> None:
    """Print the clean expert's consistency by decision."""
    from scenes.cameras import default_rig  # the world and its renderer are only needed here
    from scenes.world import WorldConfig, generate

    clips = generate(WorldConfig(seed=seed), 0, ceiling_of, default_rig(("front_wide", "front_tele")))
    for decision, (passed, count) in ceiling(clips).items():
        print(f"{decision:28s} {passed:5d}/{count:<5d} {passed / count:6.1%}")


def run() -> None:
    """Entry for `python -m rewards.consistency`."""
    typer.run(main)
