"""The rules of single decisions, as one would first write them with torch: part of `torch_consistency.py`.

A fault is named with its value to two digits, as the reward does: of several divisions of a drive the one with the
fewest different faults counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from rewards.consistency_rules import PathRule, SpeedRule
from scenes.decisions import Direction

Run = tuple[str, int, int]


def speed_faults(rule: SpeedRule, speed: Tensor, runs: Sequence[Run]) -> list[str]:
    """Where a speed [K] with its longitudinal runs breaks a rule."""
    names = [name for name, _, _ in runs]
    found = [name for name in dict.fromkeys(names) if name not in rule.allowed]
    moving = [name for name in names if name != "maintain_speed"]
    if rule.opening and moving and moving[0] not in rule.opening:
        found.append(f"begins with {moving[0]}")
    start, low, high = float(speed[0]), float(speed.min()), float(speed.max())
    return [
        *found,
        *outside("change", float(speed[-1]) - start, rule.change),
        *outside("drop", start - low, rule.drop),
        *outside("gain", high - start, rule.gain),
        *outside("lowest", low / max(start, 0.1), rule.lowest),
    ]


def path_faults(
    rule: PathRule, shift: Tensor, turned: float, end: tuple[float, float | None], side: int
) -> list[str]:
    """Where a path breaks a rule towards a side."""
    most, wrong = float((side * shift).max()), float((-side * shift).max())
    last = side * float(shift[-1])
    settled, off = end
    return [
        *outside("peak", most, rule.peak),
        *outside("final", last, rule.final),
        *outside("back", last + wrong, rule.back),
        *outside("wrong", wrong, (float("-inf"), rule.wrong)),
        *outside("turn", side * turned, rule.turn),
        *outside("settled", settled, (float("-inf"), rule.settled)),
        *([] if off is None else outside("centred", off, (float("-inf"), rule.centred))),
    ]


def sided_faults(
    directional: bool, direction: Direction | None, faults: Callable[[int], list[str]]
) -> list[str]:
    """Faults on the side that is said; on the better one where none is; on both where the decision has none."""
    if directional and direction is None:
        return min(faults(1), faults(-1), key=len)
    found = faults(-1 if direction is Direction.RIGHT else 1)
    if not directional:
        found += [fault for fault in faults(-1) if fault not in found]
    return found


def outside(what: str, value: float, bounds: tuple[float, float]) -> list[str]:
    """One fault where bounds do not hold a value."""
    return [] if bounds[0] <= value <= bounds[1] else [f"{what} {value:.2f}"]
