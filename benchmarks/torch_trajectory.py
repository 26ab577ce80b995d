"""The trajectory reward as one would first write it with torch: one rollout at a time, one road user at a time.

Role: the baseline of `rule_rewards.py`, written from the formulas in docs/rewards-trajectory.md and sharing no code
with the reward; steps are vectorised, a clip's tensors are made once for all its rollouts.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rewards.trajectory import TrajectoryWeights
from scenes.clip import Clip

DT = 0.1


@dataclass(frozen=True)
class Scene:
    """A clip as tensors. users: (poses [T, 3], speed [T], size [2], counted [T]) each; rings: drivable polygons;
    judged: [T] steps at which the expert is on the road."""

    expert: Tensor
    size: Tensor
    ahead: float
    users: list[tuple[Tensor, Tensor, Tensor, Tensor]]
    rings: list[Tensor]
    judged: Tensor


def scene_of(clip: Clip) -> Scene:
    """Tensors of a clip, with what its expert tells of its annotations."""
    expert = torch.from_numpy(clip.ego_future)
    steps = len(expert)
    size, ahead = torch.tensor(clip.ego_size[:2], dtype=torch.float64), clip.ego_size[3]
    box = center(expert, ahead)
    users = []
    for i in range(len(clip.agents.ids)):
        poses = torch.from_numpy(clip.agents.poses[i])
        valid = torch.from_numpy(clip.agents.valid[i])
        theirs = torch.from_numpy(clip.agents.sizes[i, :2]).double()
        speed = speed_of(poses, valid)[-steps:]
        poses, valid = poses[-steps:], valid[-steps:]
        still = torch.zeros(steps, 2, dtype=torch.float64)
        overlap, _ = contact(box, still, size, poses, still, theirs)
        users.append((poses, speed, theirs, valid & ~overlap))
    rings = [torch.from_numpy(ring) for ring in (clip.road.drivable if clip.road else ())]
    judged = torch.zeros(steps, dtype=torch.bool)
    if rings:
        judged = ~leaves(corners(box, size), rings)
    return Scene(expert, size, ahead, users, rings, judged)


def score_one(states: Tensor, actions: Tensor, scene: Scene, w: TrajectoryWeights) -> dict[str, float]:
    """Components by name, and "value", of states [T, 4] and actions [T, 2]."""
    squared = ((states[:, :2] - scene.expert[:, :2]) ** 2).sum(-1)
    distance = squared.sqrt()
    box = center(states, scene.ahead)
    velocity = states[:, 3:] * torch.stack([states[:, 2].cos(), states[:, 2].sin()], -1)
    grown = scene.size + 2.0 * w.collision_margin_m
    collided = torch.zeros(len(states), dtype=torch.bool)
    seconds = torch.full((len(states),), w.ttc_horizon_s, dtype=torch.float64)
    for poses, speed, size, counted in scene.users:
        theirs = speed[:, None] * torch.stack([poses[:, 2].cos(), poses[:, 2].sin()], -1)
        overlap, until = contact(box, velocity, grown, poses, theirs, size)
        collided |= overlap & counted
        seconds = torch.where(counted, torch.minimum(seconds, until), seconds)
    parts = {
        "ade": distance.mean().item(),
        "fde": distance[-1].item(),
        "squared_l2": squared.mean().item(),
        "collision": float(collided.any()),
        "min_ttc": seconds.min().item(),
        "short_ttc": (seconds < w.ttc_threshold_s).double().mean().item(),
        "mean_jerk": (actions[:, 0].diff().abs().mean() / DT).item(),
        "reverse": float((states[:, 3] < -0.3).any()),
        **comfort(states),
    }
    if scene.judged.any():
        off = leaves(corners(box, scene.size), scene.rings) & scene.judged
        parts["off_road"] = (off.sum() / scene.judged.sum()).item()
    parts["value"] = value(parts, w)
    return parts


def value(parts: dict[str, float], w: TrajectoryWeights) -> float:
    """The weighted sum."""
    lost = w.ade * min(parts["ade"] / w.ade_scale_m, w.ade_cap)
    lost += w.fde * min(parts["fde"] / w.ade_scale_m, w.ade_cap)
    lost += w.squared_l2 * min(parts["squared_l2"] / w.ade_scale_m**2, w.ade_cap**2)
    lost += w.collision * parts["collision"] + w.short_ttc * parts["short_ttc"]
    lost += w.ttc * max(0.0, 1.0 - parts["min_ttc"] / w.ttc_threshold_s)
    lost += w.jerk * min(parts["mean_jerk"] / w.jerk_scale, w.jerk_cap)
    lost += w.reverse * parts["reverse"] + w.comfort * (1.0 - parts["comfort"])
    return -(lost + w.off_road * parts.get("off_road", 0.0))


def center(states: Tensor, ahead: float) -> Tensor:
    """Box-centre poses [T, 3] of rear-axle states [T, 3+]."""
    x, y, yaw = states[:, 0], states[:, 1], states[:, 2]
    return torch.stack([x + ahead * yaw.cos(), y + ahead * yaw.sin(), yaw], -1)


def corners(box: Tensor, size: Tensor) -> Tensor:
    """Corners [T, 4, 2] of boxes at poses [T, 3]."""
    signs = torch.tensor([[1, 1], [-1, 1], [-1, -1], [1, -1]], dtype=torch.float64)
    local = 0.5 * size * signs
    cos, sin = box[:, 2:].cos(), box[:, 2:].sin()
    x = box[:, :1] + cos * local[:, 0] - sin * local[:, 1]
    y = box[:, 1:2] + sin * local[:, 0] + cos * local[:, 1]
    return torch.stack([x, y], -1)


def leaves(points: Tensor, rings: list[Tensor]) -> Tensor:
    """Whether any of the points [T, 4, 2] of a step lies outside all rings, by the even-odd rule."""
    inside = torch.zeros(points.shape[:-1], dtype=torch.bool)
    x, y = points[..., 0, None], points[..., 1, None]
    for ring in rings:
        x0, y0 = ring[:, 0], ring[:, 1]
        x1, y1 = x0.roll(-1), y0.roll(-1)
        spans = (y0 > y) != (y1 > y)
        at = x0 + (x1 - x0) * (y - y0) / torch.where(y1 == y0, torch.ones_like(y0), y1 - y0)
        inside |= (spans & (x < at)).sum(-1) % 2 == 1
    return ~inside.all(-1)


def speed_of(poses: Tensor, valid: Tensor) -> Tensor:
    """Speed [K] along the heading from the neighbouring valid poses; NaN where there is none."""
    speeds = []
    for i in range(len(poses)):
        low = i - 1 if i > 0 and valid[i - 1] else i
        high = i + 1 if i + 1 < len(poses) and valid[i + 1] else i
        if not valid[i] or high == low:
            speeds.append(torch.tensor(float("nan"), dtype=torch.float64))
            continue
        moved = (poses[high, :2] - poses[low, :2]) / ((high - low) * DT)
        speeds.append(moved[0] * poses[i, 2].cos() + moved[1] * poses[i, 2].sin())
    return torch.stack(speeds)


def contact(
    a: Tensor, va: Tensor, size_a: Tensor, b: Tensor, vb: Tensor, size_b: Tensor
) -> tuple[Tensor, Tensor]:
    """Overlap [T] and seconds until overlap [T] (inf: never) of boxes at poses [T, 3] with velocities [T, 2]."""
    offset, velocity = b[:, :2] - a[:, :2], vb - va
    turn = b[:, 2] - a[:, 2]
    cos, sin = turn.cos().abs(), turn.sin().abs()
    (la, wa), (lb, wb) = 0.5 * size_a, 0.5 * size_b
    gap = torch.full((len(a),), -torch.inf, dtype=torch.float64)
    begin, end = gap.clone(), torch.full((len(a),), torch.inf, dtype=torch.float64)
    for pose, reaches in (
        (a, (la + lb * cos + wb * sin, wa + lb * sin + wb * cos)),
        (b, (lb + la * cos + wa * sin, wb + la * sin + wa * cos)),
    ):
        along = torch.stack([pose[:, 2].cos(), pose[:, 2].sin()], -1)
        across = torch.stack([-along[:, 1], along[:, 0]], -1)
        for axis, reach in zip((along, across), reaches, strict=True):
            at, rate = (offset * axis).sum(-1), (velocity * axis).sum(-1)
            gap = torch.maximum(gap, at.abs() - reach)
            one, other = (-reach - at) / rate, (reach - at) / rate
            begin = torch.maximum(begin, torch.minimum(one, other))
            end = torch.minimum(end, torch.maximum(one, other))
    overlap = gap < 0.0
    meet = (begin < end) & (begin >= 0.0)
    never = torch.full_like(begin, torch.inf)
    return overlap, torch.where(overlap, torch.zeros_like(begin), torch.where(meet, begin, never))


def comfort(states: Tensor) -> dict[str, float]:
    """Comfort flags of states [T, 4], and their mean."""

    def rate(values: Tensor) -> Tensor:
        step = values.diff() / DT
        return torch.cat([step, step[-1:]])

    yaw = states[:, 2]
    turns = yaw.diff()
    wrapped = turns - 2.0 * torch.pi * torch.round(turns / (2.0 * torch.pi))
    vx, vy = rate(states[:, 0]), rate(states[:, 1])
    along, across = yaw.cos() * vx + yaw.sin() * vy, yaw.cos() * vy - yaw.sin() * vx
    acceleration = rate(along)
    yaw_rate = torch.cat([wrapped, wrapped[-1:]]) / DT
    flags = {
        "longitudinal_acceleration": (acceleration > -4.05) & (acceleration < 2.40),
        "lateral_acceleration": rate(across).abs() < 4.89,
        "jerk": rate(rate(torch.hypot(vx, vy))).abs() < 8.37,
        "longitudinal_jerk": rate(acceleration).abs() < 4.13,
        "yaw_acceleration": rate(yaw_rate).abs() < 1.93,
        "yaw_rate": yaw_rate.abs() < 0.95,
    }
    passed = {f"comfort/{name}": float(steps.all()) for name, steps in flags.items()}
    return {"comfort": sum(passed.values()) / len(passed), **passed}
