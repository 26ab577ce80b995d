"""Scoring processes of one reward: started, fed, killed when they hang, replaced when they die.

Invariant: every rollout of a batch gets exactly one result, no later than the batch's budget; a rollout that
hangs or kills a process costs that process, not the other rollouts.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import cast

from rewards.description import Description, Mode
from rewards.lru import Lru
from rewards.registry import RewardSource
from rewards.wire import reward_pb2 as pb
from rewards.wire.arrays import WireError
from rewards.wire.call import Call
from rewards.wire.codec import MESSAGE_BYTES, decode_description, missing_result
from rewards.wire.frames import MOST_BYTES, PIPE_BYTES, frame, read_frame_async
from rewards.wire.results import STATUS_NAMES, Packed, packed
from rewards.wire.worker_pb2 import WorkerReply, WorkerRequest

log = logging.getLogger("ar1.rewards")
CLIPS_PER_WORKER = 64
# The rest of a frame is for the rollouts, which came in one message.
MOST_CONTEXT = MOST_BYTES - MESSAGE_BYTES


class LoadError(RuntimeError):
    """The reward cannot be loaded at all: a mistake in its name, options or code."""


class WorkerLostError(RuntimeError):
    """The process died in the middle of a batch; the text says how. from_outside: it was killed by somebody
    (an operator, the kernel short of memory) rather than by what it was computing."""

    def __init__(self, why: str, from_outside: bool = False) -> None:
        super().__init__(why)
        self.from_outside = from_outside


@dataclass(frozen=True)
class Trouble:
    """Why a batch stopped; nobody_free: no process was to be had, so that no rollout is to blame."""

    status: pb.Status
    why: str
    nobody_free: bool = False


@dataclass(frozen=True)
class StoredClip:
    """A clip as the server keeps it: its validated message, packed (parsed it may take many times the memory),
    and a digest that tells contents apart that were put under one id."""

    packed: bytes
    digest: bytes


class Worker:
    """One process. Between `start` and death it answers one batch at a time."""

    def __init__(self, source: RewardSource) -> None:
        self._source = source
        self._process: asyncio.subprocess.Process | None = None
        self._clips: Lru[str, bytes] = Lru(CLIPS_PER_WORKER)
        self._asked = 0

    async def start(self, deadline_s: float) -> Description:
        """Spawn, and wait until the reward is loaded. Raises LoadError, or TimeoutError after deadline_s."""
        command = [sys.executable, "-m", "rewards.worker", json.dumps(asdict(self._source))]
        self._process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=PIPE_BYTES,
        )
        try:
            reply = await asyncio.wait_for(self._reply(), deadline_s)
        except TimeoutError as error:
            await self.kill()
            raise TimeoutError(f"{self._source.target!r} did not load within {deadline_s:g} s") from error
        except WorkerLostError as error:
            why = f"{self._source.target!r}: {error} while loading; see its output above"
            raise LoadError(why) from error
        if reply.failure:
            raise LoadError(reply.failure)
        return decode_description(reply.description)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.returncode is None

    async def ask(
        self, call: Call, indices: Sequence[int], clips: Mapping[str, StoredClip], one_by_one: bool
    ) -> AsyncIterator[list[Packed]]:
        """Yield results of some of a call's rollouts as they come: all at once, or one by one. Raises
        WorkerLostError."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._asked += 1
        request = WorkerRequest(one_by_one=one_by_one, number=self._asked)
        for clip_id in {call.message.rollouts[index].clip_id for index in indices}:
            if self._clips.get(clip_id) != clips[clip_id].digest:
                request.put.add().MergeFromString(clips[clip_id].packed)
                request.drop.extend(self._clips.put(clip_id, clips[clip_id].digest))
        try:
            self._process.stdin.write(frame(request, call.fields(indices)))
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise await self._epitaph() from error
        for count in [1] * len(indices) if one_by_one else [len(indices)]:
            reply = await self._reply()
            sound = STATUS_NAMES.keys() >= set(reply.statuses) and reply.number == self._asked
            if not sound or not len(reply.results) == len(reply.statuses) == count:
                raise await self._disown(f"{len(reply.results)} results that do not answer {count} rollouts")
            yield list(zip(cast("list[pb.Status]", list(reply.statuses)), reply.results, strict=True))

    async def kill(self) -> None:
        """End the process and everything it started."""
        if self._process is not None and self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()

    async def wait(self) -> None:
        """Return when the process has ended."""
        assert self._process is not None
        await self._process.wait()

    async def _reply(self) -> WorkerReply:
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            return await read_frame_async(self._process.stdout, WorkerReply)
        except asyncio.IncompleteReadError as error:
            raise await self._epitaph() from error
        except WireError as error:
            raise await self._disown(str(error)) from error

    async def _disown(self, why: str) -> WorkerLostError:
        """End a process that no longer speaks the protocol: its reward wrote into the pipe."""
        await self.kill()
        return WorkerLostError(f"the scoring process was ended: {why}", from_outside=False)

    async def _epitaph(self) -> WorkerLostError:
        assert self._process is not None
        code = await self._process.wait()
        if code >= 0:
            return WorkerLostError(f"the scoring process exited with {code}", from_outside=False)
        outside = -code in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
        name = signal.Signals(-code).name
        return WorkerLostError(f"the scoring process ended by {name}", from_outside=outside)


class WorkerPool:
    """`count` processes of one reward. `start` waits for the first set; from then on each dead one is
    replaced, at once the first time and with back-off when deaths follow each other."""

    def __init__(self, source: RewardSource, count: int, timeout_s: float, load_s: float = 120.0) -> None:
        self.source = source
        self.timeout_s = timeout_s
        self.restarts = 0
        self.hangs = 0
        self._load_s = load_s
        self._failure: str | None = None
        self._idle: asyncio.Queue[Worker] = asyncio.Queue()
        self._count = count
        self._keepers: list[asyncio.Task[None]] = []
        self._workers: set[Worker] = set()

    async def start(self) -> Description:
        """Load the reward in every process. Raises LoadError or TimeoutError."""
        workers = [Worker(self.source) for _ in range(self._count)]
        descriptions = await asyncio.gather(*(worker.start(self._load_s) for worker in workers))
        self._keepers = [asyncio.create_task(self._keep(worker)) for worker in workers]
        return descriptions[0]

    async def stop(self) -> None:
        """Kill every process."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        await asyncio.gather(*(worker.kill() for worker in list(self._workers)))

    async def _keep(self, worker: Worker) -> None:
        """Own one slot: hand its process out, replace it when it is dead."""
        pause = 0.0
        while True:
            self._workers.add(worker)
            born = time.monotonic()
            if worker.alive:
                self._idle.put_nowait(worker)
                await worker.wait()
            self._workers.discard(worker)
            pause = 0.0 if time.monotonic() - born > 5.0 else min(max(0.05, 2 * pause), 10.0)
            await asyncio.sleep(pause)
            self.restarts += 1
            worker = Worker(self.source)
            try:
                await worker.start(self._load_s)
                self._failure = None
            except (LoadError, TimeoutError) as error:
                self._failure = str(error)
                log.error("scoring process of %s cannot be replaced: %s", self.source.target, error)

    async def score(
        self,
        call: Call,
        indices: Sequence[int],
        clips: Mapping[str, StoredClip],
        mode: Mode,
        budget_s: float,
    ) -> list[Packed]:
        """Results of some of a call's rollouts, in order, within `budget_s` seconds. First all at once; when that
        hangs or kills the process, one by one in a fresh process, so that only the culprits are missing."""
        size = sum(len(clip.packed) for clip in clips.values())
        if size > MOST_CONTEXT:
            why = (
                f"the clips of this batch take {size} bytes, at most {MOST_CONTEXT}: score fewer clips a call"
            )
            return _missing(call, indices, Trouble(pb.DATA, why))
        end = time.monotonic() + budget_s
        whole = len(indices) == 1 or mode is Mode.PER_GROUP
        done, trouble = await self._attempt(call, indices, clips, False, end, whole)
        if whole and trouble is not None:
            return _missing(call, indices, trouble)
        while len(done) < len(indices):
            rest = indices[len(done) :]
            if end - time.monotonic() < 0.01 or (trouble is not None and trouble.nobody_free):
                late = trouble or Trouble(pb.DEADLINE, "the batch's time ran out")
                return done + _missing(call, rest, late)
            more, trouble = await self._attempt(call, rest, clips, True, end, False)
            done += more
            if trouble is not None and not trouble.nobody_free and len(done) < len(indices):
                done += _missing(call, indices[len(done) : len(done) + 1], trouble)
        return done

    async def _attempt(
        self,
        call: Call,
        indices: Sequence[int],
        clips: Mapping[str, StoredClip],
        one_by_one: bool,
        end: float,
        last: bool,
    ) -> tuple[list[Packed], Trouble | None]:
        """Results of a leading part of the rollouts, and what stopped it. Spends at most half of the time
        left on one reply, unless nothing could follow (`last`)."""
        worker = await self._acquire(end)
        if worker is None:
            return [], self._nobody_free()
        done: list[Packed] = []
        replies = worker.ask(call, indices, clips, one_by_one)
        try:
            while len(done) < len(indices):
                left = end - time.monotonic()
                final = last or len(done) == len(indices) - 1
                allowed = min(self.timeout_s, left if final else left / 2)
                done += await asyncio.wait_for(anext(replies), max(allowed, 0.0))
        except TimeoutError:
            self.hangs += 1
            await worker.kill()
            return done, Trouble(pb.DEADLINE, f"not scored within {allowed:.2f} s; its process was ended")
        except WorkerLostError as error:
            return done, Trouble(pb.INFRASTRUCTURE if error.from_outside else pb.REWARD_BUG, str(error))
        self._idle.put_nowait(worker)
        # Whoever waits for the worker feeds it before this answer is packed.
        await asyncio.sleep(0)
        return done, None

    def _nobody_free(self) -> Trouble:
        if self._failure is None:
            return Trouble(pb.DEADLINE, "no scoring process became free in time", nobody_free=True)
        why = f"no scoring process: {self._failure}"
        return Trouble(pb.INFRASTRUCTURE, why, nobody_free=True)

    async def _acquire(self, end: float) -> Worker | None:
        """A living idle process, or None at `end` (monotonic seconds)."""
        while True:
            try:
                worker = await asyncio.wait_for(self._idle.get(), max(end - time.monotonic(), 0.0))
            except TimeoutError:
                return None
            if worker.alive:
                return worker


def _missing(call: Call, indices: Sequence[int], trouble: Trouble) -> list[Packed]:
    rollouts = call.message.rollouts
    return [packed(missing_result(rollouts[i].rollout_id, trouble.status, trouble.why)) for i in indices]
