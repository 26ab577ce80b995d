"""Places on one route, seen from the ego at t0.

Role: turns Frenet coordinates of a scene into the ego frame for the road map and for visibility tests.
Invariant: the only state is a memo of centre lines, so equal calls give equal points.
"""

from __future__ import annotations

import numpy as np

from scenes.geometry import to_frame, wrap_angle
from scenes.world.route import YAW, Routes


class Place:
    """One route (Routes of one row) and the world pose [3] of the ego at t0."""

    def __init__(self, routes: Routes, origin: np.ndarray) -> None:
        self.routes, self.origin = routes, origin
        self._centres: dict[tuple[float, float, float], tuple[np.ndarray, np.ndarray]] = {}

    def __call__(self, s: np.ndarray, d: np.ndarray) -> np.ndarray:
        """Points [P, 2] at s [P], d [P]."""
        x, y, _ = self.routes.pose(np.asarray(s, np.float64)[None], np.asarray(d, np.float64)[None])
        return to_frame(np.stack([x[0], y[0]], axis=-1), self.origin)

    def heading(self, s: float) -> float:
        """Heading rad of the route at s."""
        return float(wrap_angle(self.routes.at(np.array([s]))[0, YAW] - self.origin[2]))

    def line(self, d: float, first: float, last: float, spacing: float) -> np.ndarray:
        """Polyline [P, 2] at constant d from s = first to last, points at most about `spacing` m apart."""
        key = (first, last, spacing)
        if key not in self._centres:
            s = np.linspace(first, last, max(2, round((last - first) / spacing) + 1))
            yaw = self.routes.at(s[None])[0, :, YAW] - self.origin[2]
            self._centres[key] = (self(s, np.zeros_like(s)), np.stack([-np.sin(yaw), np.cos(yaw)], axis=-1))
        centre, normal = self._centres[key]
        return centre + d * normal
