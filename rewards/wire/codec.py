"""RolloutView, Score and Description ⇄ messages.

Invariant: decoding never lets a malformed or non-finite item through: it raises WireError, which a server
turns into that item's DATA status. A score survives the round trip except for fields only the caller knows
(reward, version and attempts are told once a response, or by the caller).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from rewards.description import Component, Description, Mode, Need
from rewards.redaction import redact
from rewards.score import RolloutView, Score, Status
from rewards.wire import reward_pb2 as pb
from rewards.wire.arrays import WireError, decode_as, encode
from rewards.wire.clips import MOST_ID_CHARS

PROTOCOL = 1
MESSAGE_BYTES = 64 * 2**20
TEXT_BYTES = 64 * 2**10
EXPLANATION_CHARS = 2_000
# Of other people's servers: the contract allows 8 KiB.
TOLD_CHARS = 8 * 2**10
MOST_COMPONENTS = 256
MOST_STEPS = 1_024

STATUS_CODES: dict[Status, pb.Status] = {
    Status.OK: pb.OK,
    Status.INFRASTRUCTURE: pb.INFRASTRUCTURE,
    Status.DATA: pb.DATA,
    Status.REWARD_BUG: pb.REWARD_BUG,
    Status.DEADLINE: pb.DEADLINE,
    Status.REFUSED: pb.REFUSED,
}
STATUSES = {code: status for status, code in STATUS_CODES.items()}


def encode_rollout(rollout: RolloutView) -> pb.Rollout:
    """Pack one rollout; arrays keep their precision."""
    return pb.Rollout(
        rollout_id=rollout.rollout_id,
        group_id=rollout.group_id,
        clip_id=rollout.clip_id,
        text=rollout.text,
        valid=rollout.valid,
        reason=rollout.reason or "",
        actions=None if rollout.actions is None else encode(rollout.actions),
        states=None if rollout.states is None else encode(rollout.states),
        tokens=rollout.tokens,
        policy_version=rollout.version,
    )


def decode_rollout(message: pb.Rollout) -> RolloutView:
    """Unpack and validate one rollout; WireError says what is wrong with it."""
    texts = checked_texts(message)
    if not message.HasField("actions") == message.HasField("states") == message.valid:
        raise WireError("a valid rollout carries actions and states, an invalid one carries neither")
    if not message.valid:
        return rollout_view(message, texts, None, None)
    actions = decode_as(message.actions, "actions", (None, 2))
    states = decode_as(message.states, "states", (len(actions), 4))
    if not 1 <= len(actions) <= MOST_STEPS:
        raise WireError(f"actions: {len(actions)} steps, 1 to {MOST_STEPS} are allowed")
    return rollout_view(message, texts, actions, states)


class Texts(NamedTuple):
    """The texts of a rollout, within their bounds."""

    rollout_id: str
    group_id: str
    clip_id: str
    text: str
    reason: str


def checked_texts(message: pb.Rollout) -> Texts:
    """A rollout's texts; WireError for ids that are missing or too long, because scores are remembered by the
    hundred thousand with them, and for texts that are."""
    texts = Texts(message.rollout_id, message.group_id, message.clip_id, message.text, message.reason)
    check_ids(texts.rollout_id, texts.group_id, texts.clip_id)
    for what, text in (("text", texts.text), ("reason", texts.reason)):
        # A character takes 4 bytes at most.
        if 4 * len(text) > TEXT_BYTES and (size := len(text.encode())) > TEXT_BYTES:
            raise WireError(f"{what}: {size} bytes, at most {TEXT_BYTES} are allowed")
    return texts


def check_ids(rollout_id: str, group_id: str, clip_id: str) -> None:
    """WireError for ids that are missing or too long."""
    if not rollout_id or not clip_id:
        raise WireError("rollout: rollout_id and clip_id must not be empty")
    if max(len(rollout_id), len(group_id), len(clip_id)) > MOST_ID_CHARS:
        raise WireError(f"rollout: an id is longer than {MOST_ID_CHARS} characters")


def rollout_view(
    message: pb.Rollout, texts: Texts, actions: np.ndarray | None, states: np.ndarray | None
) -> RolloutView:
    """What a reward sees of a rollout whose texts and arrays are checked."""
    return RolloutView(
        texts.rollout_id,
        texts.group_id,
        texts.clip_id,
        texts.text,
        actions is not None,
        texts.reason or None,
        actions,
        states,
        message.tokens,
        message.policy_version,
    )


def encode_score(rollout_id: str, score: Score) -> pb.Result:
    """Pack one score. A component that is not finite is a bug of the reward: the score becomes missing."""
    for name, number in score.components.items():
        if not math.isfinite(number):
            return missing_result(rollout_id, pb.REWARD_BUG, f"component {name!r} is {number}")
    return pb.Result(
        rollout_id=rollout_id,
        status=STATUS_CODES[score.status],
        value=score.value,
        components={name: float(number) for name, number in score.components.items()},
        explanation=score.explanation[:EXPLANATION_CHARS],
        latency_s=score.latency_s,
        cached=score.cached,
    )


def missing_result(rollout_id: str, status: pb.Status, why: str) -> pb.Result:
    """A result without a value; secrets are taken out of the reason (see rewards.redaction)."""
    return pb.Result(rollout_id=rollout_id, status=status, explanation=redact(why)[:EXPLANATION_CHARS])


def decode_score(message: pb.Result, reward: str, version: str, attempts: int) -> Score:
    """Unpack one result; a server's nonsense raises WireError."""
    if len(version) > MOST_ID_CHARS or len(message.components) > MOST_COMPONENTS:
        raise WireError(
            f"a version of {len(version)} characters or {len(message.components)} components; at most "
            f"{MOST_ID_CHARS} and {MOST_COMPONENTS} are kept in a ledger"
        )
    status = STATUSES.get(message.status)
    if status is None:
        raise WireError(f"result of {message.rollout_id!r}: status {message.status} is no final status")
    has_value = message.HasField("value")
    if has_value != (status is Status.OK):
        raise WireError(f"result of {message.rollout_id!r}: status {status}, value present: {has_value}")
    numbers = [*message.components.values(), *([message.value] if has_value else [])]
    if not all(map(math.isfinite, numbers)):
        raise WireError(f"result of {message.rollout_id!r} holds a number that is not finite")
    return Score(
        reward=reward,
        value=message.value if has_value else None,
        status=status,
        components=dict(message.components),
        explanation=message.explanation[:TOLD_CHARS],
        version=version,
        attempts=attempts,
        latency_s=message.latency_s,
        cached=message.cached,
    )


def encode_description(description: Description) -> pb.Description:
    """Pack what a reward says of itself."""
    return pb.Description(
        name=description.name,
        version=description.version,
        low=description.low,
        high=description.high,
        components=[
            pb.Component(name=c.name, low=c.low, high=c.high, doc=c.doc) for c in description.components
        ],
        needs=[pb.Need.Value(need.name) for need in description.needs],
        max_batch=description.max_batch,
        mode=pb.Mode.Value(description.mode.name),
        doc=description.doc,
    )


def decode_description(message: pb.Description) -> Description:
    """Unpack a description; needs this build does not know raise WireError, because they cannot be met."""
    names = {pb.Need.Value(need.name): need for need in Need}
    modes = {pb.Mode.Value(mode.name): mode for mode in Mode}
    unknown = [n for n in message.needs if n not in names]
    if unknown or message.mode not in modes:
        raise WireError(f"reward {message.name!r}: needs {unknown} or mode {message.mode} are unknown here")
    return Description(
        name=message.name,
        version=message.version,
        low=message.low,
        high=message.high,
        components=tuple(Component(c.name, c.low, c.high, c.doc) for c in message.components),
        needs=tuple(names[n] for n in message.needs),
        max_batch=message.max_batch,
        mode=modes[message.mode],
        doc=message.doc,
    )
