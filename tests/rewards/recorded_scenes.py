"""A few hundred rollouts made from formulas alone, whose scores are recorded beside this file.

Role: fixed inputs for `test_recorded_scores.py`, which holds a faster reward against what the rewards said before.
Neither the procedural world nor the label texts take part, so that only a change of the rewards changes a score.
`python tests/rewards/recorded_scenes.py` records anew: only where a reward's version changes with its values.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from reward_scenes import make_clip

from rewards.consistency import ConsistencyReward
from rewards.score import Reward, RolloutView
from rewards.trajectory import TrajectoryReward
from scenes.clip import Agents, Clip, RoadMap
from scenes.dynamics import integrate

RECORDED = Path(__file__).with_name("recorded") / "scores.json"
EVERY_TERM = {"fde": 0.1, "squared_l2": 0.1, "ttc": 0.5, "short_ttc": 0.5, "off_road": 1.0, "comfort": 0.2}
GROUP = 26
BENDS = (0.0, 0.004, -0.008, 0.02, 0.0, 0.006, 0.0, 0.003, -0.001, 0.0)
"""1/m of the road of each clip."""
# Each with what would carry it out: acceleration m/s², from and to which tick; metres sideways; net turn, rad.
TEXTS: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("Keep lane and maintain speed since the road is clear.", (0, 0, 0, 0, 0)),
    ("Slow down since the lead vehicle is braking.", (-0.8, 5, 40, 0, 0)),
    ("Follow the lead vehicle because it is slower.", (-0.5, 5, 30, 0, 0)),
    ("Stop because the traffic light ahead is red.", (-1.9, 5, 50, 0, 0)),
    ("Stop for the stop sign ahead.", (-1.9, 2, 50, 0, 0)),
    ("Yield to the pedestrian who is crossing.", (-1.2, 3, 40, 0, 0)),
    ("Change lane to the left to pass the slow truck.", (0.6, 5, 50, 3.5, 0)),
    ("Change to the right lane since the lane ends.", (0, 0, 0, -3.5, 0)),
    ("Nudge to the left within the lane to give the cyclist room.", (0, 0, 0, 0.7, 0)),
    ("Nudge out of the lane to the right because of the parked car.", (0, 0, 0, -1.6, 0)),
    ("Turn left because the route goes left at the junction.", (0, 0, 0, 0, 1.5)),
    ("Turn right at the junction.", (0, 0, 0, 0, -1.5)),
    ("Pull over to the right.", (-0.9, 5, 50, -1.9, 0)),
    ("Accelerate to pass the truck.", (0.8, 5, 50, 0, 0)),
    ("Abort the lane change to the left and return to the lane.", (0, 0, 0, 0, 0)),
    ("Slow down, then turn left.", (-1.2, 0, 30, 0, 1.5)),
    ("Slow down for the pedestrian, then stop.", (-1.7, 3, 55, 0, 0)),
    ("Stop, then turn right after the truck passes.", (-1.9, 5, 50, 0, 0)),
    ("Slow down now, then change lane to the left.", (-1.0, 0, 20, 3.5, 0)),
    ("Change lane to the left, then accelerate to pass the truck.", (1.0, 35, 63, 3.5, 0)),
    ("Nudge to the left, then keep the lane.", (0, 0, 0, 0.8, 0)),
    ("Slow down, then resume speed.", (-0.9, 0, 30, 0, 0)),
    ("Nudge.", (0, 0, 0, 0, 0)),
    ("Turn left and turn right.", (0, 0, 0, 0, 0)),
    ("The weather is fine.", (0, 0, 0, 0, 0)),
    ("", (0, 0, 0, 0, 0)),
)


def lane(bend: float, side: float, begin: float = -40.0, end: float = 160.0) -> np.ndarray:
    """A centre line [P, 2] that bends by `bend` 1/m from the origin on, `side` m left of it."""
    s = np.arange(begin, end, 2.0)
    yaw = bend * np.maximum(s, 0.0)
    x = np.where(s < 0.0, s, np.sin(yaw) / bend if bend else s)
    y = np.where(s < 0.0, 0.0, (1.0 - np.cos(yaw)) / bend if bend else 0.0 * s)
    return np.stack([x - side * np.sin(yaw), y + side * np.cos(yaw)], axis=-1)


def road(bend: float, ends: float | None = None, mapped: bool = True) -> RoadMap:
    """Two lanes, the ego's own perhaps ending, with a stop line and, if mapped, a drivable strip."""
    own = lane(bend, 0.0, end=160.0 if ends is None else ends)
    strip = np.concatenate([lane(bend, -2.2), lane(bend, 5.8)[::-1]])
    across = np.array([[34.0, -2.0], [34.0, 5.0]]) if abs(bend) < 1e-3 else np.zeros((0, 2))
    lines = (across,) if len(across) else ()
    return RoadMap((own, lane(bend, 3.5)), (3.5, 3.5), (), (), (strip,) if mapped else (), (), lines)


def agents(random: np.random.Generator, count: int) -> Agents:
    """Road users at constant speed, each seen for a stretch of the 80 steps."""
    time = 0.1 * (np.arange(80) - 15)
    poses, valid = np.full((count, 80, 3), np.nan), np.zeros((count, 80), bool)
    for i in range(count):
        yaw, speed = random.uniform(-3.0, 3.0) if i % 3 == 2 else 0.05 * i, random.uniform(0.0, 10.0)
        x, y = random.uniform(-15.0, 55.0), random.choice([-3.0, 0.0, 1.2, 3.5])
        first, last = random.integers(0, 30), random.integers(40, 81)
        valid[i, first:last] = True
        path = np.stack([x + speed * time * np.cos(yaw), y + speed * time * np.sin(yaw), yaw + 0 * time], -1)
        poses[i, first:last] = path[first:last]
    sizes = random.uniform((3.8, 1.7, 1.4), (7.5, 2.4, 2.8), (count, 3))
    names = tuple(f"car-{i}" for i in range(count))
    return Agents(names, ("car",) * count, sizes, poses, valid)


def drives(random: np.random.Generator) -> np.ndarray:
    """Actions [64, 2] of a random manoeuvre with noise."""
    tick = np.arange(64)
    acceleration = random.choice([0.0, 0.0, 0.9, -0.6, -1.3, -2.4]) * (tick >= random.integers(0, 30))
    acceleration = acceleration * (tick < random.integers(30, 64))
    bend = random.choice([0.0, 0.0, 0.002, -0.004, 0.02, 0.06, -0.09])
    swerve = random.choice([0.0, 0.0, 0.004, -0.009, 0.015])
    curvature = bend + swerve * np.sin(2 * np.pi * tick / random.integers(24, 60))
    noise = random.normal(0.0, 1.0, (64, 2)) * (0.15, 0.0008)
    return np.stack([acceleration, curvature], axis=-1) + noise


def carried_out(random: np.random.Generator, plan: tuple[float, ...], bend: float) -> np.ndarray:
    """Actions [64, 2] that do what a text says at about 8 m/s on a road with this bend 1/m."""
    acceleration, begin, end, shift, turn = plan
    tick = np.arange(64)
    late = (tick - 12) / 50.0
    along = np.where((tick >= begin) & (tick < end), acceleration, 0.0)
    swerve = shift / 255.0 * np.sin(2 * np.pi * late) * ((late >= 0.0) & (late < 1.0))
    turning = turn / 16.0 * ((tick >= 34) & (tick < 54))
    noise = random.normal(0.0, 1.0, (64, 2)) * (0.04, 0.0002)
    return np.stack([along, bend + swerve + turning], axis=-1) + noise


def scenes() -> list[Clip]:
    """Clips: straight, bent, with an ending lane, without a drivable area, without a map."""
    random = np.random.default_rng(11)
    ends, no_area, no_map = {4: 18.0, 5: 24.0}, 6, 7
    roads: list[RoadMap | None] = [
        road(bend, ends.get(number), number != no_area) for number, bend in enumerate(BENDS)
    ]
    roads[no_map] = None
    clips = []
    for number, one in enumerate(roads):
        clip = make_clip(f"c{number}", agents=agents(random, (0, 1, 3, 6)[number % 4]))
        future = integrate(drives(random) * (1.0, 0.1), 8.0 - 0.5 * number)
        clips.append(replace(clip, road=one, ego_future=future))
    return clips


def rollouts(clips: list[Clip]) -> list[RolloutView]:
    """GROUP rollouts a clip, half of them made to do what their text says; some are unfit in some way."""
    random = np.random.default_rng(12)
    views = []
    for number in range(GROUP * len(clips)):
        clip, (text, plan) = clips[number // GROUP], TEXTS[number % len(TEXTS)]
        taken, speed = drives(random), float(random.uniform(0.5, 12.0))
        if number % 4 < 2:
            taken, speed = carried_out(random, plan, BENDS[number // GROUP]), 8.0
        states = integrate(taken, speed)
        if number % 17 == 5:
            states[40, 1] = (2e6, -3e7)[number % 2]
        name, group = f"g{number // GROUP}/{number % GROUP}", f"g{number // GROUP}"
        view = RolloutView(name, group, clip.clip_id, text, True, None, taken, states, 150, 3)
        if number % 17 == 11:
            view = RolloutView(name, group, clip.clip_id, "", False, "127 trajectory tokens")
        if number % 17 == 16:
            view = replace(view, actions=taken[:40], states=states[:40])
        views.append(view)
    return views


def rewards() -> dict[str, Reward]:
    """What is recorded."""
    return {
        "trajectory": TrajectoryReward(),
        "every term": TrajectoryReward(**EVERY_TERM, collision_margin_m=0.2),
        "consistency": ConsistencyReward(),
    }


def scored(reward: Reward, views: list[RolloutView], clips: list[Clip]) -> list[list[object]]:
    """[value, components, explanation] a rollout."""
    found = reward.score(views, {clip.clip_id: clip for clip in clips})
    return [[s.value, {k: float(f"{v:.9g}") for k, v in s.components.items()}, s.explanation] for s in found]


if __name__ == "__main__":
    clips = scenes()
    views = rollouts(clips)
    told = {name: scored(reward, views, clips) for name, reward in rewards().items()}
    RECORDED.parent.mkdir(exist_ok=True)
    RECORDED.write_text(json.dumps(told, separators=(",", ":")).replace("]],", "]],\n") + "\n")
    for name, scores in told.items():
        values = [s[0] for s in scores if s[0] is not None]
        print(name, len(scores), "rollouts,", len(values), "values, mean", np.mean(values))
