"""ScoreGroup: values that depend on the siblings are asked for, and answered, by the whole group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rewards.conformance.probe import CODE
from rewards.conformance.registry import reward_check
from rewards.conformance.result import NotApplicableError, require
from rewards.conformance.subject import Subject


@reward_check("group/siblings")
async def siblings(subject: Subject) -> str:
    """ScoreGroup takes rollouts of one group_id; of two it is INVALID_ARGUMENT."""
    if not subject.per_group:
        raise NotApplicableError("the reward is scored per rollout")
    clip_id = await subject.scene()
    await subject.scored(subject.samples.rollouts(clip_id, subject.batch(8)))
    two = [subject.samples.rollout(clip_id, group_id=f"group-{n}") for n in range(2)]
    code = await subject.refused(subject.request(two), CODE.INVALID_ARGUMENT, group=True)
    return f"a group scored; two groups in one call: {code}"


@reward_check("group/composition")
async def composition(subject: Subject) -> str:
    """The answer for a group belongs to the whole group: a rollout that comes back among other siblings is
    scored among those."""
    if not subject.per_group:
        raise NotApplicableError("the reward is scored per rollout")
    if subject.description.max_batch < 2:
        raise NotApplicableError("max_batch is 1: there are no siblings")
    clip_id = await subject.scene()
    groups = ((0, 1), (0, 2), (0,))
    apart = [await _among(subject, clip_id, kinds, {}) for _ in range(2) for kinds in groups]
    if apart[:3] != apart[3:]:
        raise NotApplicableError("the reward is not deterministic: the same group got other values")
    if len({values[0] for values in apart}) == 1:
        raise NotApplicableError("the sample rollouts have the same value among any siblings")
    names = {kind: subject.samples.name("rollout") for kind in range(3)}
    shared = [await _among(subject, clip_id, kinds, names) for _ in range(2) for kinds in groups]
    require(shared == apart, f"groups that share a rollout: values {shared}; {apart} are due")
    return (
        f"the same rollout has {', '.join(f'{values[0]:.3g}' for values in apart[:3])} among other siblings"
    )


async def _among(
    subject: Subject, clip_id: str, kinds: Sequence[int], names: Mapping[int, str]
) -> list[float]:
    """Values of one group; rollouts without a name get a fresh one."""
    group = [subject.samples.rollout(clip_id, kind, names.get(kind)) for kind in kinds]
    return [result.value for result in await subject.scored(group)]
