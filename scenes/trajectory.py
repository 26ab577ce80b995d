"""A driven or predicted trajectory: actions and the states they integrate to.

Invariant: `states` is what `scenes.dynamics.integrate` gives for `actions` from the clip's last history
state; nothing builds one by padding or truncating.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HISTORY_STEPS = 16
FUTURE_STEPS = 64
STEP_S = 0.1


@dataclass(frozen=True)
class Trajectory:
    """T future steps at 10 Hz in the ego frame at t0 (rear axle, x forward, y left).

    actions: [T, 2] float64, acceleration m/s² and curvature 1/m.
    states: [T, 4] float64, x m, y m, yaw rad, speed m/s at the end of each step (t0+0.1 s … t0+6.4 s).
    """

    actions: np.ndarray
    states: np.ndarray
