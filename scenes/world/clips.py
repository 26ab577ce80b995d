"""From a simulated scene to a clip: ego frame, road, agents, pictures and label.

Role: assembles what `generate` yields. Invariant: ego_future is scenes.dynamics.integrate of the actions to
the last bit, history ends exactly at the origin, and every named factor has a view.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from scenes.cameras import CameraRig
from scenes.clip import Agents, Cameras, CausalFactor, ChainOfCausation, Clip
from scenes.decisions import FactorKind
from scenes.dynamics import integrate
from scenes.geometry import to_frame, wrap_angle
from scenes.render import Rendered, render, visible_pixels
from scenes.world.batch import Batch
from scenes.world.execution import agent_poses
from scenes.world.labels import NOW, Candidate, Decision, RefusedError
from scenes.world.phrasing import sentence
from scenes.world.place import Place
from scenes.world.roadmap import TAPER_M, build_road, build_signals
from scenes.world.simulation import Trace
from scenes.world.spec import EGO_SIZE, SceneSpec
from scenes.world.visibility import View, ground_view

REPRODUCTION_M = 1e-6
"""Largest distance allowed between the simulated motion and what its actions integrate to."""


@dataclass(frozen=True)
class Scene:
    """One accepted simulation, ready to be drawn. named: the candidates that are causal, strongest first."""

    spec: SceneSpec
    decision: Decision
    named: tuple[Candidate, ...]
    clip: Clip
    place: Place


def assemble(
    spec: SceneSpec, decision: Decision, named: Sequence[Candidate], batch: Batch, trace: Trace, clip_id: str
) -> Scene:
    """The scene of one row (batch and trace of exactly one scene). Raises RuntimeError when the actions do not
    reproduce the simulated motion."""
    origin = trace.ego[0, NOW, :3]
    ego = trace.ego[0].copy()
    ego[:, :2] = to_frame(ego[:, :2], origin)
    ego[:, 2] -= origin[2]
    ego[NOW, :3] = 0.0
    actions = trace.actions[0, NOW:]
    future = integrate(actions, ego[NOW, 3])
    gap = float(np.max(np.abs(future[:, :2] - ego[NOW + 1 :, :2])))
    if gap > REPRODUCTION_M:
        raise RuntimeError(f"{clip_id}: actions miss the simulated motion by {gap:g} m")
    poses = agent_poses(batch, trace.agents)[0, :, : len(spec.agents)].transpose(1, 0, 2).copy()
    poses[..., :2] = to_frame(poses[..., :2], origin)
    poses[..., 2] = wrap_angle(poses[..., 2] - origin[2])
    agents = Agents(
        ids=tuple(agent.name for agent in spec.agents),
        classes=tuple(agent.kind for agent in spec.agents),
        sizes=np.array([agent.size for agent in spec.agents], dtype=np.float64).reshape(-1, 3),
        poses=poses,
        valid=np.ones(poses.shape[:2], dtype=bool),
    )
    place = Place(batch.routes, origin)
    clip = Clip(
        clip_id,
        f"procedural/{spec.situation}",
        0.0,
        None,
        ego[: NOW + 1],
        future,
        actions,
        EGO_SIZE,
        agents,
        build_road(spec, place),
        build_signals(spec, place),
    )
    return Scene(spec, decision, tuple(named), clip, place)


def _ground_points(scene: Scene, kind: FactorKind) -> np.ndarray:
    """Ground [P, 2] that shows a bend (its first 40 m, between the lane's lines) or the end of a lane."""
    spec = scene.spec
    half = 0.5 * spec.width
    if kind is FactorKind.LANE_END:
        s, d = np.meshgrid(
            np.arange(spec.lane_end_s - TAPER_M, spec.lane_end_s + 8.0, 0.25), np.linspace(-half, half, 9)
        )
    else:
        start = spec.bends[0][0] + 0.5 * spec.ramp
        s, d = np.meshgrid(np.arange(start, start + 40.0, 0.25), np.linspace(-half, half, 9))
    return scene.place(s.ravel(), d.ravel())


def _view(
    scene: Scene, candidate: Candidate, rendered: Rendered, seen: Mapping[str, View], rig: CameraRig
) -> tuple[str, View | None]:
    """Instance id and best view of a candidate."""
    kind, spec = candidate.kind, scene.spec
    if kind in (FactorKind.CURVE, FactorKind.ROUTE_TURN, FactorKind.LANE_END):
        return f"road:{kind.value}", ground_view(_ground_points(scene, kind), rendered, rig)
    fixed = {
        FactorKind.RED_LIGHT: "light-0",
        FactorKind.STOP_SIGN: "sign-stop",
        FactorKind.SPEED_LIMIT: "sign-limit",
    }
    if kind is FactorKind.CONES:
        cones = [agent.name for agent in spec.agents if agent.kind == "cone"]
        name = max(cones, key=lambda cone: seen.get(cone, ("", 0, 0))[2])
    elif candidate.slot is not None:
        name = spec.agents[candidate.slot].name
    else:
        name = fixed[kind]
    return name, seen.get(name)


def finish(scene: Scene, rig: CameraRig, pixels: int, rng: np.random.Generator) -> Clip:
    """The clip with pictures and label. Raises RefusedError when a cause is not visible in `pixels` pixels."""
    rendered = render(scene.clip, rig)
    seen = visible_pixels(rendered)
    factors = []
    for candidate in scene.named:
        name, view = _view(scene, candidate, rendered, seen, rig)
        if view is None or view[2] < pixels:
            raise RefusedError(f"{candidate.kind.value} not visible")
        factors.append(CausalFactor(candidate.kind, name, view[0], view[1], view[2]))
    decision = scene.decision
    kinds = [factor.kind for factor in factors]
    text = sentence(decision.longitudinal, decision.lateral, decision.direction, kinds, rng)
    label = ChainOfCausation(
        text, decision.longitudinal, decision.lateral, decision.direction, tuple(factors)
    )
    return replace(scene.clip, cameras=Cameras(rig.names, rendered.frames, rig.times), label=label)
