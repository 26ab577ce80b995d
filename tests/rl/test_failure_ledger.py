"""From a failing server to the ledger: what the client reported is what the ledger holds, every rollout once, and
who was scored learns as if the others had not been there."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from example_run import make_clip

from policy.completion import Completion
from rewards.breaker import BreakerConfig
from rewards.client import RewardClient
from rewards.client_config import ClientConfig
from rewards.credentials import Tls
from rewards.score import Score
from rl.config import AdvantageConfig
from rl.group_scoring import finish_group, make_rollouts, view
from rl.ledger import LedgerReader, LedgerWriter
from rl.ledger_proof import check_accounting
from rl.reward_config import RewardConfig
from rl.rollout import Fate, Group, Rollout

pytestmark = pytest.mark.process
CLIP = make_clip(0)
TEXTS = ("one", "one two", "one two three", "four words are here")
REWARDS = (RewardConfig(name="words", source="grpc://127.0.0.1:1/words"),)
BEFORE, AFTER = "s00001-g000", "s00001-g001"


def completion(text: str) -> Completion:
    ids, free = np.arange(3, dtype=np.int32), np.zeros(3, bool)
    logprobs, versions = np.full(3, -1.0, np.float32), np.zeros(3, np.int32)
    return Completion(ids, logprobs, versions, free, "stop", text, None, False, "no trajectory")


def rollouts_of(group_id: str, texts: Sequence[str]) -> tuple[Rollout, ...]:
    return make_rollouts(group_id, CLIP.clip_id, 7, [completion(t) for t in texts], [None] * len(texts))


def finished(rollouts: Sequence[Rollout], scores: list[Score]) -> Group:
    return finish_group(1, 0, rollouts, {"words": scores}, REWARDS, AdvantageConfig())


def step_through(tmp_path: Path, servers, fault: Callable[[], None], texts=TEXTS, **options) -> Path:
    """A step of two groups, the fault between them; returns the run directory, proven complete."""

    async def main() -> list[Group]:
        address = ",".join(server.address for server in servers)
        quick = BreakerConfig(failures=3, cool_down_s=0.2, most_s=0.5)
        config = ClientConfig(f"grpc://{address}/words", breaker=quick, **{"deadline_s": 2.0, **options})
        client, groups = RewardClient(config), []
        for group_id in (BEFORE, AFTER):
            rollouts = rollouts_of(group_id, texts)
            scores = await client.score([view(r) for r in rollouts], {CLIP.clip_id: CLIP})
            groups.append(finished(rollouts, scores))
            fault()
        await client.close()
        return groups

    LedgerWriter(tmp_path / "run").append(1, asyncio.run(main()))
    assert check_accounting(tmp_path / "run", [BEFORE, AFTER]).rollouts == 2 * len(texts)
    return tmp_path / "run"


def told(run: Path) -> tuple[Group, Group, Counter[str]]:
    """Both groups as the ledger has them, and the second one's scores by status."""
    reader = LedgerReader(run)
    before, after = reader.group(1, BEFORE), reader.group(1, AFTER)
    scores = [score for rollout in after.rollouts for score in rollout.scores]
    assert all((score.value is None) == bool(score.status != "ok") for score in scores)
    assert all(score.explanation for score in scores if score.value is None)
    return before, after, Counter(score.status.value for score in scores)


def trained_alike(before: Group, after: Group) -> bool:
    return after.fate is Fate.TRAINED and [r.advantage for r in before.rollouts] == [
        r.advantage for r in after.rollouts
    ]


def test_killed(tmp_path, unreliable) -> None:
    only = unreliable()

    def kill() -> None:
        only.process.kill()
        only.process.wait()

    before, after, statuses = told(step_through(tmp_path, [only], kill))
    assert before.fate is Fate.TRAINED
    assert statuses == {"infrastructure": 4}
    assert (after.fate, after.fate_reason) == (Fate.DROPPED, "0 of 4 rollouts scored, quorum is 3")
    assert all(r.total is None and r.advantage is None for r in after.rollouts)


def test_killed_with_a_replica_left(tmp_path, unreliable) -> None:
    first, second = unreliable(), unreliable()
    before, after, statuses = told(step_through(tmp_path, [first, second], second.process.kill))
    assert statuses == {"ok": 4}
    assert trained_alike(before, after)


def test_hung(tmp_path, unreliable) -> None:
    only = unreliable()
    stop = lambda: os.kill(only.process.pid, signal.SIGSTOP)  # noqa: E731
    before, after, statuses = told(step_through(tmp_path, [only], stop))
    assert before.fate is Fate.TRAINED
    assert statuses == {"deadline": 4}
    assert after.fate is Fate.DROPPED


def test_flapping(tmp_path, unreliable) -> None:
    only = unreliable(fail_every=2)
    before, after, statuses = told(step_through(tmp_path, [only], lambda: None))
    assert statuses == {"ok": 4}
    assert {r.scores[0].attempts for r in after.rollouts} == {2}
    assert trained_alike(before, after)


def test_poisoned(tmp_path, unreliable) -> None:
    only = unreliable(nan="poison")
    texts = (*TEXTS, "poison")
    _, after, statuses = told(step_through(tmp_path, [only], lambda: None, texts))
    assert statuses == {"ok": 4, "reward_bug": 1}
    assert (after.fate, after.rollouts[-1].fate) == (Fate.TRAINED, Fate.DROPPED)
    assert after.rollouts[-1].fate_reason == "missing score: words"
    without = rollouts_of(AFTER, TEXTS)
    alone = finished(without, [replace(r.scores[0], latency_s=0.0) for r in after.rollouts[:4]])
    assert [r.advantage for r in after.rollouts[:4]] == [r.advantage for r in alone.rollouts]


def test_expired(tmp_path, unreliable) -> None:
    pytest.importorskip("cryptography", reason="makes the certificates")
    from reward_certificates import Authority

    authority, day = Authority(tmp_path), timedelta(days=1)
    cert, key = authority.issue("expired", -2 * day, -day)
    only = unreliable(cert=cert, key=key)
    before, after, statuses = told(step_through(tmp_path, [only], lambda: None, tls=Tls(ca=authority.ca)))
    assert statuses == {"refused": 4}
    assert {r.scores[0].attempts for r in after.rollouts} == {1}
    assert "certificate has expired" in after.rollouts[0].scores[0].explanation
    assert before.fate is after.fate is Fate.DROPPED
