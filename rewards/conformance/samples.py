"""Scenes and rollouts to ask about: well formed, filled in every field, different from each other.

Invariant: every sample of a run has an id that no other run has used, so that what a server remembers of
an earlier run cannot pass for an answer. Built from protobuf messages and little-endian bytes alone, as any
client in any language would.
"""

from __future__ import annotations

import itertools
import uuid

import numpy as np

from rewards.wire import reward_pb2 as pb
from scenes.dynamics import integrate

HISTORY, FUTURE, SPEED = 16, 64, 8.0
BEND = 1 / 40  # 1/m, of the other scene's road
STEPS = HISTORY + FUTURE
TEXTS = (
    "Keep lane and maintain speed since the road is clear.",
    "Stop for the red light since the signal ahead is red.",
    "Turn left at the intersection since the route leads left.",
    "Slow down to follow the lead vehicle since it is braking.",
    "Nudge to the left since a parked vehicle blocks the lane.",
)


def array(values: np.ndarray) -> pb.Array:
    """A message of a float64, uint8 or bool array."""
    dtype, code = {"f": ("<f8", pb.FLOAT64), "u": ("|u1", pb.UINT8), "b": ("|b1", pb.BOOL)}[values.dtype.kind]
    return pb.Array(dtype=code, shape=values.shape, data=np.ascontiguousarray(values, dtype).tobytes())


class Samples:
    """Makes the clips and rollouts of one run. images: put camera frames into the clips."""

    def __init__(self, images: bool) -> None:
        self._run = uuid.uuid4().hex[:12]
        self._images = images
        self._numbers = itertools.count()

    def name(self, kind: str) -> str:
        """An id that was never used before."""
        return f"check-{self._run}-{kind}-{next(self._numbers)}"

    def clip(self, clip_id: str | None = None, other: bool = False) -> pb.Clip:
        """A straight road with a parked car beside it, along which the expert drives on; or, as different a
        scene as could be: the road bends left at once, a red light stands ahead and the expert stops."""
        history = np.zeros((HISTORY, 4))
        history[:, 0], history[:, 3] = SPEED * 0.1 * np.arange(1 - HISTORY, 1), SPEED
        braking = np.where(np.arange(FUTURE) < 40, -2.0, 0.0) if other else np.zeros(FUTURE)
        actions = np.stack([braking, np.full(FUTURE, BEND if other else 0.0)], axis=-1)
        return pb.Clip(
            clip_id=clip_id or self.name("clip"),
            source="conformance",
            t0=1.5,
            ego_history=array(history),
            ego_future=array(integrate(actions, SPEED)),
            actions=array(actions),
            ego_size=(4.8, 1.9, 1.6, 1.4),
            agents=_parked_car(),
            road=_road(BEND if other else 0.0),
            signals=pb.Signals(
                ids=["light-0"],
                positions=array(np.array([[60.0, 4.0]])),
                yaws=array(np.array([3.14159])),
                states=array(np.full((1, STEPS), 1 if other else 3, np.uint8)),
            ),
            label=_label("stop_for_static_constraint", "red_light", TEXTS[1])
            if other
            else _label("set_speed_tracking", "parked_vehicle", TEXTS[0]),
            cameras=self._cameras() if self._images else None,
        )

    def rollout(
        self, clip_id: str, kind: int = 0, rollout_id: str | None = None, group_id: str = "group-0"
    ) -> pb.Rollout:
        """A valid rollout. kind: which text and which drive; kind 0 is the expert's in a plain clip, each
        following one brakes harder and less smoothly, starting afresh after 40."""
        pulse = 1.0 - np.cos(2.0 * np.pi * np.arange(FUTURE) / FUTURE)
        drive = np.stack([-0.05 * (kind % 40) * pulse, np.full(FUTURE, 0.001 * (kind % 3))], axis=-1)
        return pb.Rollout(
            rollout_id=rollout_id or self.name("rollout"),
            group_id=group_id,
            clip_id=clip_id,
            text=TEXTS[kind % len(TEXTS)],
            valid=True,
            actions=array(drive),
            states=array(integrate(drive, SPEED)),
            tokens=150,
            policy_version=3,
        )

    def rollouts(self, clip_id: str, count: int) -> list[pb.Rollout]:
        """`count` rollouts of one group of one clip."""
        return [self.rollout(clip_id, kind) for kind in range(count)]

    def invalid(self, clip_id: str) -> pb.Rollout:
        """A rollout whose completion did not parse."""
        return pb.Rollout(
            rollout_id=self.name("rollout"),
            group_id="group-0",
            clip_id=clip_id,
            valid=False,
            reason="127 trajectory tokens",
        )

    def _cameras(self) -> pb.Cameras:
        frames = np.linspace(0, 255, 2 * 8 * 8 * 3).astype(np.uint8).reshape(1, 2, 8, 8, 3)
        return pb.Cameras(names=["front_wide"], frames=array(frames), times=array(np.array([-0.1, 0.0])))


def _parked_car() -> pb.Agents:
    return pb.Agents(
        ids=["car-0"],
        classes=["car"],
        sizes=array(np.array([[4.5, 1.8, 1.5]])),
        poses=array(np.tile([40.0, -4.0, 0.0], (1, STEPS, 1))),
        valid=array(np.ones((1, STEPS), bool)),
    )


def _label(longitudinal: str, factor: str, text: str) -> pb.Label:
    cause = pb.CausalFactor(kind=factor, instance="cause-0", camera="front_wide")
    return pb.Label(text=text, longitudinal=longitudinal, lateral="lane_keeping", factors=[cause])


def _road(curvature: float) -> pb.RoadMap:
    x = np.arange(-40.0, 170.0, 2.0)
    heading = curvature * np.maximum(x, 0.0)
    line = np.stack([x[0] + 2.0 * np.cumsum(np.cos(heading)), 2.0 * np.cumsum(np.sin(heading))], axis=-1)
    edge = np.array([[-40.0, -6.0], [170.0, -6.0], [170.0, 6.0], [-40.0, 6.0]])
    return pb.RoadMap(
        lanes=[array(line), array(line + [0.0, 3.5])],
        lane_widths=[3.5, 3.5],
        boundaries=[array(line + [0.0, 1.75])],
        boundary_kinds=["dashed"],
        drivable=[array(edge)],
        signs=[pb.Sign(id="sign-0", kind="speed_limit", x=30.0, y=-3.0, yaw=3.14159)],
    )
