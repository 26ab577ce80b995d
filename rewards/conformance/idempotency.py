"""The same question has the same answer: a client may ask again after a lost answer."""

from __future__ import annotations

from rewards.conformance.registry import reward_check
from rewards.conformance.result import NotApplicableError, require
from rewards.conformance.subject import Subject
from rewards.wire import reward_pb2 as pb


@reward_check("idempotent/again")
async def again(subject: Subject) -> str:
    """The same rollouts asked again get the same values and components."""
    rollouts = subject.samples.rollouts(await subject.scene(), subject.batch(16))
    first, second = await subject.scored(rollouts), await subject.scored(rollouts)
    for rollout, before, after in zip(rollouts, first, second, strict=True):
        _require_same(rollout.rollout_id, before, after)
    remembered = sum(result.cached for result in second)
    return f"{len(rollouts)} asked twice, {remembered} from the cache"


@reward_check("idempotent/duplicates")
async def duplicates(subject: Subject) -> str:
    """A rollout that stands twice in a batch has a result at each place, and they are the same."""
    if subject.description.max_batch < 3:
        raise NotApplicableError(f"max_batch is {subject.description.max_batch}: no room for a duplicate")
    first, other = subject.samples.rollouts(await subject.scene(), 2)
    results = await subject.scored([first, other, first])
    _require_same(first.rollout_id, results[0], results[2])
    return "two results, the same"


@reward_check("idempotent/content")
async def content(subject: Subject) -> str:
    """The answer belongs to id and content: an id that comes back with other content is scored anew."""
    clip_id = await subject.scene()
    alone = [await subject.settled(clip_id, kind) for kind in range(5)]
    if None in alone:
        raise NotApplicableError("the reward is not deterministic: the same content got two values")
    other = next((kind for kind, value in enumerate(alone) if value != alone[0]), None)
    if other is None:
        raise NotApplicableError(f"all {len(alone)} samples have the value {alone[0]}")
    name = subject.samples.name("rollout")
    (before,) = await subject.scored([subject.samples.rollout(clip_id, 0, rollout_id=name)])
    (result,) = await subject.scored([subject.samples.rollout(clip_id, other, rollout_id=name)])
    require(
        result.value == alone[other],
        f"value {result.value} for new content under a known id; {alone[other]} is due",
    )
    return f"{before.value + 0.0:.3g}, then {result.value:.3g}"


def _require_same(rollout_id: str, before: pb.Result, after: pb.Result) -> None:
    require(
        before.value == after.value,
        f"{rollout_id}: value {before.value} the first time, {after.value} the second",
    )
    require(
        dict(before.components) == dict(after.components),
        f"{rollout_id}: components {dict(before.components)}, then {dict(after.components)}",
    )
