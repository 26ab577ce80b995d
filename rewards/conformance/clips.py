"""PutClips: scenes are taken, refused one by one, and replaced."""

from __future__ import annotations

import numpy as np

from rewards.conformance.registry import reward_check
from rewards.conformance.result import NotApplicableError, require
from rewards.conformance.samples import array
from rewards.conformance.subject import Subject, status_name
from rewards.wire import reward_pb2 as pb


@reward_check("clips/good")
async def good(subject: Subject) -> str:
    """Well-formed clips are OK, with one result a clip and the instance that Describe told."""
    clips = [subject.samples.clip() for _ in range(3)]
    bare = subject.samples.clip()
    for field in ("road", "signals", "label", "cameras"):
        bare.ClearField(field)  # type: ignore[arg-type]
    answer = await subject.probe.put(*clips, bare)
    told = [status_name(r.status) for r in answer.results]
    require(told == ["OK"] * 4, f"4 good clips (the last without the optional parts) were answered {told}")
    require(answer.instance == subject.server.served.instance, "PutClips told another instance than Describe")
    return "4 taken"


@reward_check("clips/none")
async def none(subject: Subject) -> str:
    """A PutClips of no clips is answered with no results."""
    answer = await subject.probe.put()
    require(len(answer.results) == 0, f"{len(answer.results)} results for no clips")
    return "no results"


@reward_check("clips/malformed")
async def malformed(subject: Subject) -> str:
    """A malformed clip is DATA with an explanation, and does not cost its neighbours."""
    bad = {name: subject.samples.clip() for name in ("no id", "NaN", "shape", "length", "dtype")}
    bad["no id"].clip_id = ""
    history = np.zeros((16, 4))
    history[3, 1] = np.nan
    bad["NaN"].ego_history.CopyFrom(array(history))
    bad["shape"].ego_future.CopyFrom(array(np.zeros((64, 3))))
    bad["length"].actions.data = bad["length"].actions.data[:-1]
    bad["dtype"].ego_history.dtype = 99  # type: ignore[assignment]
    if pb.AGENTS in subject.description.needs:
        bad["number of agents"] = subject.samples.clip()
        bad["number of agents"].agents.ids.append("one without a pose")
    answer = await subject.probe.put(subject.samples.clip(), *bad.values(), subject.samples.clip())
    require(len(answer.results) == len(bad) + 2, f"{len(answer.results)} results for {len(bad) + 2} clips")
    first, *middle, last = answer.results
    require(first.status == last.status == pb.OK, "a good clip beside malformed ones was refused")
    for name, result in zip(bad, middle, strict=True):
        told = status_name(result.status)
        require(result.status == pb.DATA, f"a clip with a wrong {name} was answered {told}; DATA is due")
        require(result.explanation != "", f"a clip with a wrong {name} was refused without an explanation")
    return f"DATA for {', '.join(bad)}"


@reward_check("clips/unknown")
async def unknown(subject: Subject) -> str:
    """A rollout of a clip that was not put is UNKNOWN_CLIP; after PutClips the same rollout is scored."""
    clip = subject.samples.clip()
    rollout = subject.samples.rollout(clip.clip_id)
    (result,) = await subject.ask([rollout])
    told = status_name(result.status)
    require(result.status == pb.UNKNOWN_CLIP, f"answered {told}, {result.explanation!r}; UNKNOWN_CLIP is due")
    require(not result.HasField("value"), "UNKNOWN_CLIP came with a value")
    await subject.scene(clip.clip_id)
    await subject.scored([rollout])
    return "UNKNOWN_CLIP, then scored"


@reward_check("clips/replaced")
async def replaced(subject: Subject) -> str:
    """Putting an id again replaces the clip: the same rollout is judged by the new scene."""
    rollout = subject.samples.rollout(await subject.scene())
    (before,) = await subject.scored([rollout])
    await subject.scene(rollout.clip_id, other=True)
    (after,) = await subject.scored([rollout])
    due = await subject.settled(await subject.scene(other=True), 0)
    if due is None:
        raise NotApplicableError("the reward is not deterministic: old and new scene cannot be told apart")
    if before.value == due:
        raise NotApplicableError("the reward has the same value in both sample scenes")
    require(after.value == due, f"value {after.value} after the clip was replaced; {due} is due")
    return f"{before.value + 0.0:.3g} before, {after.value + 0.0:.3g} after"
