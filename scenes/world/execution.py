"""Whether the expert visibly does what its decision says, safely and comfortably.

Role: the last gate before a scene may be rendered. Invariant: every accepted clip shows its decision within
the horizon on both axes, in terms of the meta-action detector's thresholds (0.8 m/s, 0.015 rad).
"""

from __future__ import annotations

import numpy as np

from scenes.decisions import Lateral, Longitudinal
from scenes.geometry import box_clearance, ego_box_pose, wrap_angle
from scenes.trajectory import STEP_S
from scenes.world.batch import Batch
from scenes.world.labels import NOW, Decision, RefusedError
from scenes.world.simulation import Trace
from scenes.world.spec import EGO_SIZE, SceneSpec

SPEED_STEP = 0.8
"""Least change of speed, m/s, that the detector calls acceleration or deceleration."""
MOST_BRAKING, MOST_LATERAL, MOST_JERK = 4.05, 4.89, 8.37


def agent_poses(batch: Batch, agents: np.ndarray) -> np.ndarray:
    """World poses [B, K, N, 3] of agents [B, K, N, 4] (s, d, v, lateral rate)."""
    b, k, n = agents.shape[:3]
    flat = agents.reshape(b, k * n, 4)
    x, y, yaw = (a.reshape(b, k, n) for a in batch.routes.pose(flat[..., 0], flat[..., 1]))
    traffic = batch.traffic
    course, sign = traffic.course[:, None], traffic.sign[:, None]
    drift = np.arctan2(agents[..., 3] * np.where(course == 0, 0.0, 1.0), np.maximum(agents[..., 2], 1.0))
    # A vehicle that comes the other way and shifts left of the route turns right of its own heading.
    turned = np.where(course == 1, drift, np.where(course == -1, np.pi - drift, sign * 0.5 * np.pi))
    return np.stack([x, y, wrap_angle(yaw + turned)], axis=-1)


def collision_free(batch: Batch, trace: Trace, clearance: float) -> np.ndarray:
    """[B] bool: the expert keeps `clearance` m from every box, and boxes of others do not overlap."""
    poses = agent_poses(batch, trace.agents)
    size = batch.traffic.size[:, None]
    here = batch.traffic.present
    ego = ego_box_pose(trace.ego, EGO_SIZE[3])[:, :, None]
    hit = (box_clearance(ego, np.array(EGO_SIZE), poses, size) < clearance) & here[:, None]
    sparse, b_size = poses[:, ::5], np.broadcast_to(size, (*poses[:, ::5].shape[:3], 3))
    i, j = np.triu_indices(poses.shape[2], 1)
    near = np.hypot(*np.moveaxis(sparse[:, :, i, :2] - sparse[:, :, j, :2], -1, 0)) < 7.0
    near &= (here[:, i] & here[:, j])[:, None]
    rows, steps, pairs = np.nonzero(near)
    overlap = (
        box_clearance(
            sparse[rows, steps, i[pairs]],
            b_size[rows, steps, i[pairs]],
            sparse[rows, steps, j[pairs]],
            b_size[rows, steps, j[pairs]],
        )
        < 0.0
    )
    clash = np.zeros(len(poses), bool)
    clash[rows[overlap]] = True
    return ~(hit.any(axis=(1, 2)) | clash)


def _speed_ok(decision: Longitudinal, v: np.ndarray) -> bool:
    drop = v[0] - v.min()
    if decision is Longitudinal.SET_SPEED_TRACKING:
        return bool(drop < SPEED_STEP and v.max() - v[0] < 2.0)
    if decision is Longitudinal.PASSING_ACCELERATION:
        return bool(v.max() - v[0] >= SPEED_STEP and drop < SPEED_STEP)
    if decision is Longitudinal.STOP_STATIC:
        return bool(v.min() <= 0.12 or drop >= 0.6 * v[0])
    if decision is Longitudinal.YIELD:
        return bool(drop >= max(1.5, 0.3 * v[0]))
    return bool(drop >= SPEED_STEP)


def _path_ok(decision: Lateral, spec: SceneSpec, d: np.ndarray, yaw: np.ndarray, target: np.ndarray) -> bool:
    moved = np.max(np.abs(d))
    if decision is Lateral.TURN:
        return bool(abs(yaw[-1] - yaw[0]) > 0.85 and moved < 1.0)
    if decision is Lateral.LANE_KEEPING:
        return bool(moved < 0.3)
    if decision in (Lateral.LANE_CHANGE, Lateral.MERGE_SPLIT):
        return bool(abs(d[-1] - target[-1]) < 0.6 and abs(d[-1] - d[0]) > 2.4)
    if decision is Lateral.IN_LANE_NUDGE:
        return bool(moved >= 0.4)
    if decision is Lateral.OUT_OF_LANE_NUDGE:
        return bool(moved + 0.5 * EGO_SIZE[1] > 0.5 * spec.width + 0.1)
    if decision is Lateral.PULL_OVER:
        return bool(d.min() < -0.8)
    return bool(abs(d[0]) > 0.15 and abs(d[-1]) < 0.5 and moved - abs(d[-1]) > 0.4)


def check(spec: SceneSpec, decision: Decision, trace: Trace, b: int) -> None:
    """Raises RefusedError when row b does not execute its decision or drives harder than comfort allows."""
    ego, actions = trace.ego[b], trace.actions[b]
    if ego[:, 3].min() < 0.0:
        raise RefusedError("reverses")
    lateral = np.abs(actions[:, 1]) * ego[:-1, 3] ** 2
    jerk = np.abs(np.diff(actions[:, 0])) / STEP_S
    if actions[:, 0].min() < -MOST_BRAKING or lateral.max() > MOST_LATERAL or jerk.max() > MOST_JERK + 1e-6:
        raise RefusedError("uncomfortable")
    if not _speed_ok(decision.longitudinal, ego[NOW:, 3]):
        raise RefusedError(f"{decision.longitudinal.value} not executed")
    if not _path_ok(decision.lateral, spec, trace.d[b, NOW:], ego[NOW:, 2], trace.target[b, NOW:]):
        raise RefusedError(f"{decision.lateral.value} not executed")
