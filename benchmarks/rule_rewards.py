"""What the rule rewards cost against a plain per-sample torch implementation of the same formulas.

`python benchmarks/rule_rewards.py [--rollouts 512] [--rounds 5]` scores the same rollouts both ways in turn,
asserts that values and components agree to 1e-5, and prints µs a trajectory of each side and their ratio (medians
over the rounds). Rollouts are expert drives of the procedural world with noise on the actions, a group of 8 a clip,
with the label's text; the last line gives them texts of two steps.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import numpy as np
import torch
import typer
from torch_consistency import score_one as consistency_one
from torch_trajectory import scene_of
from torch_trajectory import score_one as trajectory_one

from rewards.consistency import ConsistencyReward
from rewards.drive import front_m
from rewards.lane_frame import reference_lane
from rewards.score import Reward, RolloutView, Score
from rewards.trajectory import TrajectoryReward, TrajectoryWeights
from scenes.cameras import default_rig
from scenes.clip import Clip
from scenes.dynamics import integrate
from scenes.world import WorldConfig, generate

GROUP = 8
CLOSE = 1e-5
EVERY_TERM = {"fde": 0.1, "squared_l2": 0.1, "ttc": 0.5, "short_ttc": 0.5, "off_road": 1.0, "comfort": 0.2}
STEPS = (
    "Slow down for the pedestrian, then turn left.",
    "Change lane to the left, then accelerate to pass the truck.",
    "Slow down now, then resume speed.",
    "Stop, then turn right after the truck passes.",
)
Clips = dict[str, Clip]
Result = list[dict[str, float]]


def noisy_rollouts(clips: list[Clip], count: int) -> list[RolloutView]:
    """`count` rollouts, GROUP a clip: the expert's actions with noise, and the label's text."""
    random = np.random.default_rng(0)
    views = []
    for number in range(count):
        clip, group = clips[number // GROUP % len(clips)], f"g{number // GROUP}"
        actions = clip.actions + random.normal(0.0, 1.0, 2) * (0.4, 0.003)
        actions += random.normal(0.0, 1.0, clip.actions.shape) * (0.2, 0.001)
        states = integrate(actions, clip.ego_history[-1, 3])
        text = clip.label.text if clip.label else ""
        views.append(
            RolloutView(f"{group}/{number % GROUP}", group, clip.clip_id, text, True, None, actions, states)
        )
    return views


def torch_trajectory(weights: TrajectoryWeights, views: list[RolloutView], clips: Clips) -> Result:
    """The baseline over a batch; a clip's tensors are made once for its rollouts, within the time."""
    scenes = {clip_id: scene_of(clip) for clip_id, clip in clips.items()}
    results = []
    for view in views:
        assert view.states is not None
        assert view.actions is not None
        states, actions = torch.from_numpy(view.states), torch.from_numpy(view.actions)
        results.append(trajectory_one(states, actions, scenes[view.clip_id], weights))
    return results


def torch_consistency(views: list[RolloutView], clips: Clips) -> Result:
    """The baseline over a batch; a clip's lane is prepared once for its rollouts, within the time."""
    lanes = {clip_id: reference_lane(clip.road) for clip_id, clip in clips.items()}
    results = []
    for view in views:
        assert view.states is not None
        assert view.actions is not None
        states, actions = torch.from_numpy(view.states), torch.from_numpy(view.actions)
        front = front_m(clips[view.clip_id])
        results.append(consistency_one(view.text, states, actions, lanes[view.clip_id], front))
    return results


def compare(
    what: str,
    make: Callable[[], Reward],
    baseline: Callable[[], Result],
    views: list[RolloutView],
    clips: Clips,
    rounds: int,
) -> None:
    """Time both sides in turn, assert that they agree, print one line. Every round takes a new reward, which has
    prepared no clip yet, as the baseline has not; a second time with it shows what clips seen before save."""
    ours, again, theirs = [], [], []
    for number in range(rounds + 1):
        reward = make()
        times = [time.perf_counter()]
        for work in (reward.score, reward.score):
            scores = work(views, clips)
            times.append(time.perf_counter())
        results = baseline()
        times.append(time.perf_counter())
        if number:  # the first round warms both sides up
            for side, first, last in zip((ours, again, theirs), times, times[1:], strict=False):
                side.append(1e6 * (last - first) / len(views))
    apart = max(_apart(score, result) for score, result in zip(scores, results, strict=True))
    if not apart <= CLOSE:
        raise RuntimeError(f"{what}: the sides differ by {apart:g}; at most {CLOSE:g} is allowed")
    mine, other = statistics.median(ours), statistics.median(theirs)
    print(
        f"{what:24s} ours {mine:6.1f} µs ({min(ours):.1f} to {max(ours):.1f}; clips seen before "
        f"{statistics.median(again):.1f})  torch {other:7.1f} µs ({min(theirs):.0f} to {max(theirs):.0f})  "
        f"ratio {other / mine:6.1f}  largest difference {apart:.1e}"
    )


def _apart(score: Score, result: dict[str, float]) -> float:
    """Largest difference of value and components; inf when one side lacks a component."""
    mine = {**score.components, "value": score.value}
    if mine.keys() != result.keys():
        return float("inf")
    return max(abs(float(mine[key] or 0.0) - result[key]) for key in mine)


def main(
    rollouts: Annotated[int, typer.Option(help="Rollouts a batch.")] = 512,
    rounds: Annotated[int, typer.Option(help="Timed rounds of each side.")] = 5,
    threads: Annotated[int, typer.Option(help="Threads of torch; numpy uses one here.")] = 1,
) -> None:
    """Print one line a reward."""
    torch.set_num_threads(threads)
    rig = default_rig(("front_wide", "front_tele"))
    clips = [clip.without_cameras() for clip in generate(WorldConfig(), 0, rollouts // GROUP, rig)]
    views, by_id = noisy_rollouts(clips, rollouts), {clip.clip_id: clip for clip in clips}
    users = np.mean([len(clip.agents.ids) for clip in clips])
    print(
        f"{rollouts} rollouts of {len(clips)} clips with {users:.1f} road users on average; "
        f"torch {torch.__version__}, {torch.get_num_threads()} thread(s); µs a trajectory"
    )
    weights = TrajectoryReward(**EVERY_TERM).weights
    stepwise = [replace(view, text=STEPS[number % len(STEPS)]) for number, view in enumerate(views)]
    sides: list[tuple[str, Callable[[], Reward], Callable[[], Result], list[RolloutView]]] = [
        (
            "trajectory",
            lambda: TrajectoryReward(**EVERY_TERM),
            lambda: torch_trajectory(weights, views, by_id),
            views,
        ),
        ("consistency", ConsistencyReward, lambda: torch_consistency(views, by_id), views),
        ("consistency, two steps", ConsistencyReward, lambda: torch_consistency(stepwise, by_id), stepwise),
    ]
    for what, make, baseline, scored in sides:
        compare(what, make, baseline, scored, by_id, rounds)


if __name__ == "__main__":
    typer.run(main)
