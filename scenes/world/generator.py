"""Generates clips by index.

Role: the world's public face. Invariant: a clip depends on (config, index, rig) alone: index ranges may be
generated in any order, batch size or process. An index draws scenes of its situation until one is accepted, so
situations keep their configured shares.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from scenes.cameras import CameraRig
from scenes.clip import Clip
from scenes.world.batch import Batch, State, initial_state, stack, take
from scenes.world.causality import deviations
from scenes.world.clips import assemble, finish
from scenes.world.config import WorldConfig
from scenes.world.execution import check, collision_free
from scenes.world.labels import NOW, Candidate, Decision, RefusedError, decide
from scenes.world.phrasing import DEFAULT_LATERAL, DEFAULT_LONGITUDINAL
from scenes.world.simulation import STEPS, Trace, simulate
from scenes.world.situations import SITUATIONS
from scenes.world.spec import SceneSpec

GOLDEN = 0.6180339887498949
MOST_FACTORS = 2
SPREAD = 48
"""Draws simulated together once fewer indices than this are left."""


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


def _named(config: WorldConfig, decision: Decision, moved: np.ndarray) -> tuple[Candidate, ...]:
    """The candidates that are causal, strongest first; RefusedError when a decision has no cause."""
    causal = (moved[:, 0] > config.causal_longitudinal_m) | (moved[:, 1] > config.causal_lateral_m)
    defaults = (decision.longitudinal is DEFAULT_LONGITUDINAL) + (decision.lateral is DEFAULT_LATERAL)
    needed = min(len(causal), 2 - defaults)
    if not causal[:needed].all():
        weak = decision.candidates[int(np.argmin(causal[:needed]))].kind.value
        raise RefusedError(f"{weak} is not causal")
    return tuple(decision.candidates[i] for i in np.flatnonzero(causal)[:MOST_FACTORS])


@dataclass(frozen=True)
class Verdict:
    """An accepted simulation: what the expert does, and the candidates that are causal, strongest first."""

    decision: Decision
    named: tuple[Candidate, ...]


@dataclass(frozen=True)
class Judged:
    """A simulated batch and, for each scene, its verdict or why it was refused."""

    batch: Batch
    trace: Trace
    outcomes: list[Verdict | RefusedError]


def _judge(config: WorldConfig, spec: SceneSpec, safe: bool, trace: Trace, b: int) -> Decision:
    if not safe:
        raise RefusedError("collision")
    decision = decide(spec, trace, b, config.ambiguity)
    check(spec, decision, trace, b)
    return decision


def judge(config: WorldConfig, specs: Sequence[SceneSpec]) -> Judged:
    """Simulate scene specs, derive and check their decisions, and test their causes by deletion."""
    batch, trace, now = run_batch(specs)
    safe = collision_free(batch, trace, config.clearance_m)
    outcomes: list[Verdict | RefusedError] = []
    asks = []
    for b, spec in enumerate(specs):
        try:
            decision = _judge(config, spec, bool(safe[b]), trace, b)
            outcomes.append(Verdict(decision, ()))
            asks += [(b, candidate) for candidate in decision.candidates]
        except RefusedError as refusal:
            outcomes.append(refusal)
    moved = deviations(batch, now, trace, specs, asks)
    first = 0
    for b, outcome in enumerate(outcomes):
        if isinstance(outcome, Verdict):
            decision = outcome.decision
            mine, first = moved[first : first + len(decision.candidates)], first + len(decision.candidates)
            try:
                outcomes[b] = Verdict(decision, _named(config, decision, mine))
            except RefusedError as refusal:
                outcomes[b] = refusal
    return Judged(batch, trace, outcomes)


def _draw_clip(
    config: WorldConfig, rig: CameraRig, spec: SceneSpec, judged: Judged, b: int, key: list[int]
) -> Clip:
    """The clip of row b; raises RefusedError as simulation or pictures give reason to."""
    outcome = judged.outcomes[b]
    if isinstance(outcome, RefusedError):
        raise outcome
    one, trace = take(judged.batch, np.array([b])), row(judged.trace, b)
    scene = assemble(spec, outcome.decision, outcome.named, one, trace, f"world-{config.seed}-{key[1]:06d}")
    return finish(scene, rig, config.pixels, np.random.default_rng([*key, 1]))


def _chunk(config: WorldConfig, indices: list[int], rig: CameraRig, tally: Counter[str]) -> dict[int, Clip]:
    """Clips of some indices. After the first draw of each, the few left draw several scenes at once and keep
    the first that is accepted, so that the last ones do not run in tiny batches."""
    done: dict[int, Clip] = {}
    pending, attempt = indices, 0
    while pending and attempt < config.attempts:
        each = min(max(1, SPREAD // len(pending)), config.attempts - attempt) if attempt else 1
        draws = [(index, attempt + i) for index in pending for i in range(each)]
        specs = [draw(config, index, number) for index, number in draws]
        judged = judge(config, specs)
        for b, (index, number) in enumerate(draws):
            if index in done:
                continue
            try:
                done[index] = _draw_clip(config, rig, specs[b], judged, b, [config.seed, index, number])
                tally[f"{specs[b].situation}: accepted"] += 1
            except RefusedError as refusal:
                tally[f"{specs[b].situation}: {refusal}"] += 1
        pending, attempt = [index for index in pending if index not in done], attempt + each
    if pending:
        names = sorted({situation_of(config, index) for index in pending})
        raise RuntimeError(
            f"indices {pending[:8]} ({', '.join(names)}) found no acceptable scene in {config.attempts} draws;"
            " relax the thresholds or see the reasons with python -m scenes.world --report"
        )
    return done


def generate(
    config: WorldConfig, start: int, count: int, rig: CameraRig, tally: Counter[str] | None = None
) -> Iterator[Clip]:
    """Clips start … start+count-1, in order, with pictures and labels.

    tally, when given, counts "<situation>: <reason>" of every refused draw and "<situation>: accepted".
    Raises RuntimeError when an index finds no acceptable scene in config.attempts draws, ValueError for an
    unknown situation in the weights.
    """
    tally = Counter() if tally is None else tally
    for first in range(start, start + count, config.chunk):
        indices = list(range(first, min(first + config.chunk, start + count)))
        done = _chunk(config, indices, rig, tally)
        yield from (done[index] for index in indices)
