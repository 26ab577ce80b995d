"""One deliberately wrong server for each way to break the reward contract."""

from __future__ import annotations

import random
import threading
import time

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from right_servers import SERVING, Right, Siblings

from rewards.wire import reward_pb2 as pb


class WrongOrder(Right):
    """Ids in order, values reversed."""

    def results(self, rollouts, context):
        results = super().results(rollouts, context)
        values = [r.value for r in results if r.status == pb.OK]
        for result in results:
            if result.status == pb.OK:
                result.value = values.pop()
        return results


class WrongIds(Right):
    """Whole results reversed."""

    def results(self, rollouts, context):
        return super().results(rollouts, context)[::-1]


class LosesOne(Right):
    """Leaves the last result of a batch out."""

    def results(self, rollouts, context):
        results = super().results(rollouts, context)
        return results[:-1] if len(results) > 1 else results


class NotANumber(Right):
    """NaN as a value."""

    def result(self, message):
        result = super().result(message)
        if result.status == pb.OK and message.valid:
            result.value = float("nan")
        return result


class ZeroForFailure(Right):
    """0 where nothing could be scored."""

    def missing(self, message, status, why):  # noqa: ARG002
        return pb.Result(rollout_id=message.rollout_id, status=pb.OK, value=0.0, explanation=why)


class OutOfRange(Right):
    """Values in metres, described as shares."""

    def result(self, message):
        result = super().result(message)
        result.value *= 1000.0 if result.status == pb.OK else 1.0
        return result if result.status == pb.OK else self.missing(message, result.status, result.explanation)


class ErrorForAll(Right):
    """One bad item costs the batch."""

    def results(self, rollouts, context):
        results = super().results(rollouts, context)
        bad = [r for r in results if r.status == pb.DATA]
        if bad:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, bad[0].explanation)
        return results


class Forgetful(Right):
    """Another answer each time."""

    def result(self, message):
        result = super().result(message)
        if result.status == pb.OK:
            result.value = -random.random()
        return result


class ById(Right):
    """Remembers by id alone."""

    def __init__(self):
        super().__init__()
        self.known = {}

    def result(self, message):
        return self.known.setdefault(message.rollout_id, super().result(message))


class KeepsTheFirstClip(Right):
    """An id that is put again changes nothing."""

    def put(self, message):
        return pb.ItemStatus(status=pb.OK) if message.clip_id in self.clips else super().put(message)


class AnyBatch(Right):
    """Takes no notice of its own max_batch, nor of an empty batch."""

    def Score(self, request, context):  # noqa: N802
        if request.reward not in ("", "right"):
            context.abort(grpc.StatusCode.NOT_FOUND, "no such reward")
        results = self.results(request.rollouts, context)
        return pb.ScoreResponse(reward="right", version="1", instance="one", results=results)


class AnyName(Right):
    """Answers for rewards that it has not."""

    def Score(self, request, context):  # noqa: N802
        request.reward = ""
        return super().Score(request, context)


class RefusesInvalid(Right):
    """Holds the policy's mistake against the data."""

    def result(self, message):
        return super().result(message) if message.valid else self.missing(message, pb.DATA, "invalid")


class SmallMessages(Right):
    """The library's default limit of 4 MiB."""

    limit_bytes = 4 * 2**20


class BlindToNan(Right):
    """Reads arrays without looking at the numbers."""

    def result(self, message):
        result = super().result(message)
        if result.status == pb.DATA and "finite" in result.explanation:
            return pb.Result(rollout_id=message.rollout_id, status=pb.OK, value=-0.5)
        return result


class RemembersDeadlines(Right):
    """Late once, late for ever: what was asked for with little time stays DEADLINE."""

    def __init__(self):
        super().__init__()
        self.late = set()

    def results(self, rollouts, context):
        if context.time_remaining() < 1.0:
            time.sleep(0.05)
            self.late.update(r.rollout_id for r in rollouts)
        return [
            self.missing(r, pb.DEADLINE, "too late") if r.rollout_id in self.late else self.result(r)
            for r in rollouts
        ]


class Hangs(Right):
    """Sits out every deadline over the slow text."""

    def results(self, rollouts, context):
        if any(r.text == "hang" for r in rollouts):
            time.sleep(1.2 * context.time_remaining())
        return super().results(rollouts, context)


class NewInstanceEachTime(Right):
    """An instance that changes without a restart."""

    def Describe(self, request, context):  # noqa: N802
        answer = super().Describe(request, context)
        answer.instance = str(random.random())
        return answer


class EmptyRange(Right):
    """A range whose ends are swapped."""

    def description(self):
        told = super().description()
        told.low, told.high = told.high, told.low
        return told


class SameComponentTwice(Right):
    """Two components of one name."""

    def description(self):
        told = super().description()
        told.components.add(name="distance", low=0.0, high=1.0)
        return told


class NeverReady(Right):
    """Serves, and says that it does not."""

    ready = health_pb2.HealthCheckResponse.NOT_SERVING


class HealthyWhateverIsAsked(health_pb2_grpc.HealthServicer):
    """SERVING for services that are not there."""

    def Check(self, request, context):  # noqa: N802, ARG002
        return health_pb2.HealthCheckResponse(status=SERVING)


class AlwaysHealthy(Right):
    """A health check that looks at nothing."""

    def health(self):
        return HealthyWhateverIsAsked()


class WantsEveryPart(Right):
    """Refuses a clip without the optional parts."""

    def put(self, message):
        if not message.HasField("label"):
            return pb.ItemStatus(status=pb.DATA, explanation="no label")
        return super().put(message)


class ClipErrorForAll(Right):
    """One bad clip costs the call."""

    def PutClips(self, request, context):  # noqa: N802
        answer = super().PutClips(request, context)
        bad = [r for r in answer.results if r.status != pb.OK]
        if bad:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, bad[0].explanation)
        return answer


class ResultForNoClip(Right):
    """Answers at least one result."""

    def PutClips(self, request, context):  # noqa: N802
        answer = super().PutClips(request, context)
        return answer if answer.results else pb.PutClipsResponse(results=[pb.ItemStatus(status=pb.OK)])


class SmallBatches(Right):
    """Takes fewer rollouts than it describes."""

    most = 200

    def results(self, rollouts, context):
        if len(rollouts) > self.most:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "too many")
        return super().results(rollouts, context)


class WantsSeveral(Right):
    """Has nothing to say about a rollout alone."""

    def results(self, rollouts, context):
        results = super().results(rollouts, context)
        return results if len(results) > 1 else [self.missing(rollouts[0], pb.DATA, "alone")]


class OneClipACall(Right):
    """Refuses rollouts of two clips."""

    def results(self, rollouts, context):
        if len({r.clip_id for r in rollouts}) > 1:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "two clips")
        return super().results(rollouts, context)


class OneCallAtATime(Right):
    """Fails a call that comes while it is busy, and not as RESOURCE_EXHAUSTED."""

    def __init__(self):
        super().__init__()
        self.busy = threading.Lock()

    def results(self, rollouts, context):
        if not self.busy.acquire(blocking=False):
            context.abort(grpc.StatusCode.INTERNAL, "busy")
        time.sleep(0.2)
        self.busy.release()
        return super().results(rollouts, context)


class GroupOfAny(Right):
    """Scores by the method of the other mode too."""

    def ScoreGroup(self, request, context):  # noqa: N802
        return self.Score(request, context)


class NeedsAName(Right):
    """Does not know its only reward without its name."""

    def Score(self, request, context):  # noqa: N802
        if request.reward == "":
            context.abort(grpc.StatusCode.NOT_FOUND, "which?")
        return super().Score(request, context)


class ReadsWhateverShape(Right):
    """Takes what it finds in the array."""

    def result(self, message):
        result = super().result(message)
        if result.status == pb.DATA and "shape" in result.explanation:
            return pb.Result(rollout_id=message.rollout_id, status=pb.OK, value=-0.5)
        return result


class DoublesOnly(Right):
    """Takes no float32."""

    def result(self, message):
        if message.actions.dtype == pb.FLOAT32:
            return self.missing(message, pb.DATA, "float64 please")
        return super().result(message)


class TrustsTheFlag(Right):
    """Does not look whether the arrays are there."""

    def result(self, message):
        if not message.valid:
            message.ClearField("actions")
            message.ClearField("states")
        return super().result(message)


class AnyText(Right):
    """Takes texts of any length."""

    def result(self, message):
        if len(message.text.encode()) > 64 * 2**10:
            message.text = ""
        return super().result(message)


class TripsOverNul(Right):
    """Fails the call over a character."""

    def results(self, rollouts, context):
        if any("\0" in r.text for r in rollouts):
            raise ValueError("embedded null character")
        return super().results(rollouts, context)


class DropsDuplicates(Right):
    """One result an id."""

    def results(self, rollouts, context):
        return super().results(list({r.rollout_id: r for r in rollouts}.values()), context)


class StumblesOverCancelling(Right):
    """Serves no more once a call was cancelled."""

    def __init__(self):
        super().__init__()
        self.stumbled = False

    def results(self, rollouts, context):
        time.sleep(0.2)
        if self.stumbled:
            context.abort(grpc.StatusCode.INTERNAL, "broken")
        self.stumbled |= not context.is_active()
        return super().results(rollouts, context)


class LargeMessages(Right):
    """No limit."""

    limit_bytes = -1


class AnyGroup(Siblings):
    """Takes two groups for one."""

    def ScoreGroup(self, request, context):  # noqa: N802
        return Right.Score(self, request, context)


class RemembersMembers(Siblings):
    """Remembers a value without the siblings that it came from."""

    def __init__(self):
        super().__init__()
        self.known = {}

    def results(self, rollouts, context):
        results = super().results(rollouts, context)
        return [self.known.setdefault(result.rollout_id, result) for result in results]
