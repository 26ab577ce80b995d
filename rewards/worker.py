"""A scoring process: holds one reward, reads requests from stdin, answers on stdout, dies with its parent.

Role: the killable half of a reward server. What the reward prints goes to stderr, so it cannot corrupt the
frames, and without secrets (see rewards.redaction). Started by `rewards.worker_pool` as
`python -m rewards.worker '<RewardSource as JSON>'`.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Sequence
from typing import BinaryIO, TextIO, cast

from rewards.batch import Guard, answer_batch, blame
from rewards.description import describe
from rewards.redaction import RedactingStream, redact
from rewards.registry import RewardSource, resolve
from rewards.score import Reward, RolloutView, Score
from rewards.wire import reward_pb2 as pb
from rewards.wire.arrays import WireError
from rewards.wire.clips import decode_clip
from rewards.wire.codec import encode_description, missing_result
from rewards.wire.frames import frame, read_frame, widen
from rewards.wire.results import Packed, packed, packed_scores
from rewards.wire.rollouts import decode_rollouts
from rewards.wire.worker_pb2 import WorkerReply, WorkerRequest
from scenes.clip import Clip


def main() -> int:
    """Serve until stdin closes; exit status 3 when the reward cannot be loaded."""
    source = RewardSource(**json.loads(sys.argv[1]))
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    widen(0)
    widen(replies.fileno())
    sys.stdout = sys.stderr = cast(TextIO, RedactingStream(sys.stderr))
    guard = Guard()
    reward, error = guard.call(lambda: _load(source))
    if reward is None:
        _send(replies, WorkerReply(failure=f"reward {source.target!r}: {redact(blame(error))}"))
        return 3
    requests: queue.SimpleQueue[WorkerRequest] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, requests), daemon=True).start()
    description = describe(reward)
    _send(replies, WorkerReply(description=encode_description(description)))
    clips: dict[str, Clip] = {}
    while True:
        request = requests.get()
        clips.update((clip.clip_id, decode_clip(clip)) for clip in request.put)
        messages = request.rollouts
        for part in [[m] for m in messages] if request.one_by_one else [messages]:
            results = _results(part, lambda some: answer_batch(guard, reward, description, some, clips))
            statuses = bytes(status for status, _ in results)
            packed = [result for _, result in results]
            _send(replies, WorkerReply(results=packed, statuses=statuses, number=request.number))
        for clip_id in request.drop:
            clips.pop(clip_id, None)


def _results(
    messages: Sequence[pb.Rollout], score: Callable[[Sequence[RolloutView]], Sequence[Score]]
) -> list[Packed]:
    """A packed result a message; one that is no rollout costs no other its score."""
    views = decode_rollouts(messages)
    good = [view for view in views if isinstance(view, RolloutView)]
    scored = packed_scores([view.rollout_id for view in good], score(good)) if good else []
    if len(good) == len(views):
        return scored
    rest = iter(scored)
    return [
        packed(missing_result(message.rollout_id, pb.DATA, str(view)))
        if isinstance(view, WireError)
        else next(rest)
        for message, view in zip(messages, views, strict=True)
    ]


def _send(stream: BinaryIO, reply: WorkerReply) -> None:
    stream.write(frame(reply))
    stream.flush()


def _load(source: RewardSource) -> Reward:
    reward = resolve(source)
    warm = getattr(reward, "warm", None)
    if warm is not None:
        warm()
    return reward


def _read(stream: BinaryIO, requests: queue.SimpleQueue[WorkerRequest]) -> None:
    """Leave at once when the server is gone, even while the reward computes."""
    try:
        while (request := read_frame(stream, WorkerRequest)) is not None:
            requests.put(request)
    except WireError as error:
        print(f"scoring process: {error}", file=sys.stderr, flush=True)
        os._exit(4)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
