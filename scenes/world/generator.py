"""Generates clips by index.

Role: the world's public face. Invariant: a clip depends on (config, index, rig) alone: index ranges may be
generated in any order, batch size or process. An index draws scenes of its situation until one is accepted, so
situations keep their configured shares.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from scenes.cameras import CameraRig
from scenes.clip import Clip
from scenes.world.batch import Batch, State, initial_state, stack, take
from scenes.world.causality import deviations
from scenes.world.clips import Scene, assemble, finish
from scenes.world.config import WorldConfig
from scenes.world.execution import check, collision_free
from scenes.world.labels import NOW, Decision, RefusedError, decide
from scenes.world.phrasing import DEFAULT_LATERAL, DEFAULT_LONGITUDINAL
from scenes.world.simulation import STEPS, Trace, simulate
from scenes.world.situations import SITUATIONS
from scenes.world.spec import SceneSpec

GOLDEN = 0.6180339887498949
MOST_FACTORS = 2


def situation_of(config: WorldConfig, index: int) -> str:
    """Name of the situation that an index shows: shares of any index range follow the weights."""
    unknown = sorted(set(config.weights) - set(SITUATIONS))
    if unknown:
        raise ValueError(f"unknown situations {unknown}; known are {', '.join(SITUATIONS)}")
    names = [name for name in SITUATIONS if not config.weights or config.weights.get(name, 0.0) > 0.0]
    weights = np.array([config.weights.get(name, 0.0) if config.weights else 1.0 for name in names])
    place = (index * GOLDEN + 0.5) % 1.0
    return names[
        min(int(np.searchsorted(np.cumsum(weights) / weights.sum(), place, side="right")), len(names) - 1)
    ]


def draw(config: WorldConfig, index: int, attempt: int) -> SceneSpec:
    """The scene that an index draws at an attempt."""
    rng = np.random.default_rng([config.seed, index, attempt])
    return SITUATIONS[situation_of(config, index)](rng)


def run_batch(specs: Sequence[SceneSpec]) -> tuple[Batch, Trace, State]:
    """Batch, full trace and the state at t0 of scene specs."""
    batch = stack(specs)
    past, now = simulate(batch, initial_state(batch), NOW)
    ahead, _ = simulate(batch, now, STEPS - NOW)
    joined = []
    for name in Trace.__dataclass_fields__:
        first, then = getattr(past, name), getattr(ahead, name)
        instants = first.shape[1] == NOW + 1
        joined.append(np.concatenate([first[:, :-1] if instants else first, then], axis=1))
    return batch, Trace(*joined), now


def row(trace: Trace, b: int) -> Trace:
    """The trace of one scene, still with a leading axis of 1."""
    return Trace(*(getattr(trace, name)[b : b + 1] for name in Trace.__dataclass_fields__))


def _named(config: WorldConfig, decision: Decision, moved: np.ndarray) -> tuple[int, ...]:
    """Positions of the candidates that are causal, strongest first; RefusedError when a decision has no cause."""
    causal = (moved[:, 0] > config.causal_longitudinal_m) | (moved[:, 1] > config.causal_lateral_m)
    defaults = (decision.longitudinal is DEFAULT_LONGITUDINAL) + (decision.lateral is DEFAULT_LATERAL)
    needed = min(len(causal), 2 - defaults)
    if not causal[:needed].all():
        weak = decision.candidates[int(np.argmin(causal[:needed]))].kind.value
        raise RefusedError(f"{weak} is not causal")
    return tuple(int(i) for i in np.flatnonzero(causal)[:MOST_FACTORS])


def simulate_scenes(
    config: WorldConfig, specs: Sequence[SceneSpec], clip_ids: Sequence[str]
) -> list[Scene | RefusedError]:
    """Simulate, judge and test causes of scene specs: for each a scene to draw, or why it was refused."""
    batch, trace, now = run_batch(specs)
    safe = collision_free(batch, trace, config.clearance_m)
    outcomes: list[Scene | RefusedError] = []
    decisions: dict[int, Decision] = {}
    for b, spec in enumerate(specs):
        try:
            if not safe[b]:
                raise RefusedError("collision")
            decision = decide(spec, trace, b, config.ambiguity)
            check(spec, decision, trace, b)
            decisions[b] = decision
            outcomes.append(RefusedError("pending"))
        except RefusedError as refusal:
            outcomes.append(refusal)
    asks = [(b, candidate) for b, decision in decisions.items() for candidate in decision.candidates]
    moved = deviations(batch, now, trace, specs, asks) if asks else np.zeros((0, 2))
    first = 0
    for b, decision in decisions.items():
        count = len(decision.candidates)
        mine, first = moved[first : first + count], first + count
        try:
            named = [decision.candidates[i] for i in _named(config, decision, mine)]
            outcomes[b] = assemble(
                specs[b], decision, named, take(batch, np.array([b])), row(trace, b), clip_ids[b]
            )
        except RefusedError as refusal:
            outcomes[b] = refusal
    return outcomes


def generate(
    config: WorldConfig, start: int, count: int, rig: CameraRig, tally: Counter[str] | None = None
) -> Iterator[Clip]:
    """Clips start … start+count-1, in order, with pictures and labels.

    tally, when given, counts "<situation>: <reason>" of every refused draw and "<situation>: accepted". Raises
    RuntimeError when an index finds no acceptable scene in config.attempts draws.
    """
    for first in range(start, start + count, config.chunk):
        done: dict[int, Clip] = {}
        pending = list(range(first, min(first + config.chunk, start + count)))
        for attempt in range(config.attempts):
            if not pending:
                break
            specs = [draw(config, index, attempt) for index in pending]
            names = [f"world-{config.seed}-{index:06d}" for index in pending]
            left = []
            for index, spec, outcome in zip(
                pending, specs, simulate_scenes(config, specs, names), strict=True
            ):
                result: Clip | RefusedError
                try:
                    if isinstance(outcome, RefusedError):
                        raise outcome
                    rng = np.random.default_rng([config.seed, index, attempt, 1])
                    result = done[index] = finish(outcome, rig, config.pixels, rng)
                except RefusedError as refusal:
                    result = refusal
                    left.append(index)
                if tally is not None:
                    reason = str(result) if isinstance(result, RefusedError) else "accepted"
                    tally[f"{spec.situation}: {reason}"] += 1
            pending = left
        if pending:
            situations = sorted({situation_of(config, index) for index in pending})
            raise RuntimeError(
                f"indices {pending[:8]} ({', '.join(situations)}) found no acceptable scene in {config.attempts}"
                " draws; relax the thresholds or see the reasons with python -m scenes.world --report"
            )
        yield from (done[index] for index in sorted(done))
