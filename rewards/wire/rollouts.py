"""The rollouts of a batch unpacked together.

Role: `codec.decode_rollout` for many, with one look at all their numbers.
Invariant: item i is decode_rollout(messages[i]), or the WireError that it raises.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from rewards.score import RolloutView
from rewards.wire import reward_pb2 as pb
from rewards.wire.arrays import WireError
from rewards.wire.codec import MOST_STEPS, checked_texts, decode_rollout, rollout_view

_ACTIONS, _STATES = 2, 4
_BYTES = 8


def decode_rollouts(messages: Sequence[pb.Rollout]) -> list[RolloutView | WireError]:
    """One rollout, or what is wrong with it, a message."""
    found: list[RolloutView | WireError | None] = [None] * len(messages)
    by_steps: dict[int, list[tuple[int, bytes, bytes]]] = defaultdict(list)
    for index, message in enumerate(messages):
        steps, actions, states = _plain(message) if message.valid else (0, b"", b"")
        if steps:
            by_steps[steps].append((index, actions, states))
        else:
            found[index] = _alone(message)
    for steps, some in by_steps.items():
        actions_of = _stacked([actions for _, actions, _ in some], steps, _ACTIONS)
        states_of = _stacked([states for _, _, states in some], steps, _STATES)
        finite = np.isfinite(actions_of).all(axis=(1, 2)) & np.isfinite(states_of).all(axis=(1, 2))
        for (index, _, _), taken, driven, good in zip(
            some, actions_of, states_of, finite.tolist(), strict=True
        ):
            message = messages[index]
            found[index] = _view(message, taken, driven) if good else _alone(message)
    return [one for one in found if one is not None]


def _plain(message: pb.Rollout) -> tuple[int, bytes, bytes]:
    """(steps, bytes of the actions, bytes of the states) where both are float64 arrays that fit each other; (0, …)
    for anything that needs a closer look."""
    actions, states = message.actions, message.states
    shape = tuple(actions.shape)
    if actions.dtype != pb.FLOAT64 or states.dtype != pb.FLOAT64 or len(shape) != 2:
        return 0, b"", b""
    steps, one, other = shape[0], actions.data, states.data
    fits = (
        1 <= steps <= MOST_STEPS
        and shape[1] == _ACTIONS
        and tuple(states.shape) == (steps, _STATES)
        and len(one) == steps * _ACTIONS * _BYTES
        and len(other) == steps * _STATES * _BYTES
    )
    return (steps, one, other) if fits else (0, b"", b"")


def _stacked(parts: list[bytes], steps: int, width: int) -> np.ndarray:
    numbers = np.frombuffer(b"".join(parts), dtype="<f8").astype(np.float64, copy=False)
    return numbers.reshape(len(parts), steps, width)


def _view(message: pb.Rollout, actions: np.ndarray, states: np.ndarray) -> RolloutView | WireError:
    try:
        return rollout_view(message, checked_texts(message), actions, states)
    except WireError as error:
        return error


def _alone(message: pb.Rollout) -> RolloutView | WireError:
    try:
        return decode_rollout(message)
    except WireError as error:
        return error
