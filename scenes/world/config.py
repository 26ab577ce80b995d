"""Settings of the procedural world.

Role: everything that a clip's content depends on besides its index. Invariant: import-light and frozen, so that
a configuration can be hashed, printed and shipped to worker processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class WorldConfig:
    """seed: with an index it determines a clip entirely. weights: share of each situation by name (empty: all
    alike; names from scenes.world.situations()). pixels: least size of a named factor in its best view.
    causal_longitudinal_m, causal_lateral_m: deleting a factor must move the expert by more than one of these
    within the horizon. ambiguity: a second binding constraint of another decision may cost at most this share
    of the speed that the first costs. clearance_m: least distance of the expert from any box. attempts: draws
    an index may take before generation fails. chunk: indices simulated in one batch (no effect on content)."""

    seed: int = 0
    weights: Mapping[str, float] = field(default_factory=dict)
    pixels: int = 4
    causal_longitudinal_m: float = 1.5
    causal_lateral_m: float = 0.4
    ambiguity: float = 0.6
    clearance_m: float = 0.15
    attempts: int = 60
    chunk: int = 256

    def __post_init__(self) -> None:
        if self.pixels < 1 or self.attempts < 1 or self.chunk < 1:
            raise ValueError("pixels, attempts and chunk must be at least 1")
        bad = {name: weight for name, weight in self.weights.items() if not weight >= 0.0}
        if bad or (self.weights and sum(self.weights.values()) <= 0.0):
            raise ValueError(f"situation weights must be >= 0 and not all 0: {dict(self.weights)}")
