"""Small correct reward servers, one a mode, that the wrong ones are made from."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from rewards.wire import reward_pb2 as pb
from rewards.wire import reward_pb2_grpc
from rewards.wire.arrays import WireError
from rewards.wire.clips import decode_clip
from rewards.wire.codec import decode_rollout

SERVING = health_pb2.HealthCheckResponse.SERVING
SERVICE = pb.DESCRIPTOR.services_by_name["RewardService"].full_name


class Right(reward_pb2_grpc.RewardServiceServicer):
    """Value: minus the distance to the expert's last place, over 1000 m. Forgets nothing, remembers no score:
    it is deterministic."""

    limit_bytes = 64 * 2**20
    ready = SERVING

    def __init__(self):
        self.clips = {}

    def health(self):
        servicer = health.HealthServicer()
        servicer.set("", SERVING)
        servicer.set(SERVICE, self.ready)
        return servicer

    def Describe(self, request, context):  # noqa: N802, ARG002
        return pb.DescribeResponse(protocol=1, instance="one", rewards=[self.description()])

    def description(self):
        told = pb.Description(
            name="right", version="1", low=-1.0, high=0.0, max_batch=256, mode=pb.PER_ROLLOUT
        )
        told.components.add(name="distance", low=0.0, high=1000.0, doc="m")
        return told

    def PutClips(self, request, context):  # noqa: N802, ARG002
        return pb.PutClipsResponse(results=[self.put(clip) for clip in request.clips], instance="one")

    def put(self, message):
        try:
            self.clips[message.clip_id] = decode_clip(message)
        except WireError as error:
            return pb.ItemStatus(status=pb.DATA, explanation=str(error))
        return pb.ItemStatus(status=pb.OK)

    def Score(self, request, context):  # noqa: N802
        if request.reward not in ("", "right"):
            context.abort(grpc.StatusCode.NOT_FOUND, "no such reward")
        if not 1 <= len(request.rollouts) <= 256:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "1 to 256 rollouts")
        results = self.results(request.rollouts, context)
        return pb.ScoreResponse(reward="right", version="1", instance="one", results=results)

    def ScoreGroup(self, request, context):  # noqa: N802, ARG002
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "per rollout")

    def results(self, rollouts, context):  # noqa: ARG002
        return [self.result(rollout) for rollout in rollouts]

    def result(self, message):
        try:
            rollout = decode_rollout(message)
        except WireError as error:
            return self.missing(message, pb.DATA, str(error))
        if rollout.clip_id not in self.clips:
            return self.missing(message, pb.UNKNOWN_CLIP, "not put")
        if rollout.states is None:
            return pb.Result(rollout_id=rollout.rollout_id, status=pb.OK, value=-1.0)
        gap = abs(rollout.states[-1, :2] - self.clips[rollout.clip_id].ego_future[-1, :2]).sum()
        return pb.Result(
            rollout_id=rollout.rollout_id, status=pb.OK, value=-gap / 1000, components={"distance": gap}
        )

    def missing(self, message, status, why):
        return pb.Result(rollout_id=message.rollout_id, status=status, explanation=why)


class Siblings(Right):
    """A PER_GROUP reward: each rollout's share of the group's words."""

    def description(self):
        return pb.Description(name="right", version="1", low=0.0, high=1.0, max_batch=256, mode=pb.PER_GROUP)

    def Score(self, request, context):  # noqa: N802, ARG002
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "per group")

    def ScoreGroup(self, request, context):  # noqa: N802
        if len({(r.group_id, r.clip_id) for r in request.rollouts}) > 1:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "one group a call")
        return Right.Score(self, request, context)

    def results(self, rollouts, context):
        results = super().results(rollouts, context)
        total = sum(len(r.text.split()) for r in rollouts) or 1
        for rollout, result in zip(rollouts, results, strict=True):
            if result.status == pb.OK:
                result.components.clear()
                result.value = len(rollout.text.split()) / total
        return results


@contextmanager
def serving(service):
    """Serve on loopback; yields host:port."""
    pool = ThreadPoolExecutor(16)
    options = [("grpc.max_receive_message_length", service.limit_bytes)]
    server = grpc.server(pool, options=options)
    health_pb2_grpc.add_HealthServicer_to_server(service.health(), server)
    reward_pb2_grpc.add_RewardServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()
        pool.shutdown()
