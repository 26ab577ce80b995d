"""How a flow expert is sampled. Import-light: configurations name these without loading torch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Integrator(StrEnum):
    """How a sampler follows the velocity. Evaluations a step: Euler 1, midpoint and Heun 2."""

    EULER = "euler"
    MIDPOINT = "midpoint"
    HEUN = "heun"

    @property
    def evaluations(self) -> int:
        """Network evaluations of one step."""
        return 1 if self is Integrator.EULER else 2


@dataclass(frozen=True)
class FlowOptions:
    """Steps (the release takes 10), integrator (the release's is Euler), and guidance (1: none)."""

    steps: int = 10
    method: Integrator = Integrator.EULER
    guidance: float = 1.0
