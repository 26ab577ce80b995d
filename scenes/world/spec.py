"""What a situation draws: one scene before it is simulated.

Role: the plain description that samplers fill in and the simulation, road map and clip builder read.
Frame: Frenet coordinates (s, d) of the ego's route; s = 0 is the rear axle at the first history step, d = 0
the centre of the ego's lane, left positive. Times are seconds relative to t0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

EGO_SIZE = (4.8, 1.9, 1.6, 1.4)
"""Length, width, height and rear-axle-to-box-centre offset of the ego, m."""
EGO_FRONT = EGO_SIZE[3] + EGO_SIZE[0] / 2
EGO_REAR = EGO_SIZE[0] / 2 - EGO_SIZE[3]
ALONG, AGAINST, ACROSS = 1, -1, 0


@dataclass
class AgentSpec:
    """One road user. course: ALONG the ego's route, AGAINST it or ACROSS it (then v moves d, towards the side
    of `sign`). From t_event on it moves towards v_event at rate a_event. From t_shift on it shifts sideways
    by `shift` m within shift_s. follows: keeps distance to whoever drives ahead in its lane (IDM). edge: the
    side (+1 left, -1 right) from which a standing obstacle reaches into the lane; 0 when it does not."""

    name: str
    kind: str
    size: tuple[float, float, float]
    s: float
    d: float
    v: float = 0.0
    course: int = ALONG
    sign: int = 1
    follows: bool = False
    t_event: float = math.inf
    v_event: float = 0.0
    a_event: float = 2.0
    t_shift: float = math.inf
    shift: float = 0.0
    shift_s: float = 3.0
    edge: int = 0


@dataclass
class SceneSpec:
    """One scene. bends: (start s, length m, curvature 1/m) of the route, with clothoid ramps of `ramp` m.
    lanes_left, lanes_right: same-direction lanes beside the ego's; oncoming: lanes beyond those on the left.
    left_line, right_line: kind of the boundary of the ego's lane ("dashed" may be crossed for a lane change).
    shoulder: paved strip right of the road, m. control: "none", "red", "green" or "stop" at stop_s.
    cross_s, cross_half: centre and half width of a crossing road. onset: when the expert may start a lateral
    manoeuvre. started: side (+1 left, -1 right) of a lane change it began at t_started and may abort from
    onset on. turn: +1 or -1 when the bends are a junction turn. other_signs: (kind, s, d, yaw against the
    route) of signs that address other traffic."""

    situation: str
    v0: float
    v_set: float
    width: float
    bends: list[tuple[float, float, float]] = field(default_factory=list)
    ramp: float = 8.0
    lanes_left: int = 0
    lanes_right: int = 0
    oncoming: int = 1
    left_line: str = "solid"
    right_line: str = "solid"
    edge: str = "kerb"
    shoulder: float = 0.0
    control: str = "none"
    stop_s: float = math.inf
    signal_far: bool = False
    crosswalks: list[float] = field(default_factory=list)
    cross_s: float = math.inf
    cross_half: float = 4.0
    lane_end_s: float = math.inf
    limit_s: float = math.inf
    limit_v: float = math.inf
    onset: float = 0.3
    started: int = 0
    t_started: float = -1.0
    turn: int = 0
    other_signs: list[tuple[str, float, float, float]] = field(default_factory=list)
    agents: list[AgentSpec] = field(default_factory=list)

    @property
    def right_edge(self) -> float:
        """d of the right edge of the outermost same-direction lane, m (negative)."""
        return -self.width * (0.5 + self.lanes_right)

    @property
    def left_edge(self) -> float:
        """d of the left edge of the road, m."""
        return self.width * (0.5 + self.lanes_left + self.oncoming)
