"""Rewards that fail systematically: seen from their missing scores, waited for, and named when they stay away.

Role: between scoring and learning. A few missing scores are the groups' matter (drop, neutral, quorum); when most
of a reward's recent scores are missing, training on would be training without it, so the job pauses.
Invariant: the verdict depends on the scores observed alone, in the order of observation; a reward is judged over
whole groups, and never before `pause.at_least` of them.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from rewards.backoff import Backoff
from rewards.errors import RewardError
from rewards.score import Score, Status
from rl.reward_config import PauseSection, RewardConfig

MOST_GROUPS = 64
EXPLANATIONS = 3
EXPLANATION_CHARS = 300
PROBE_BACKOFF = Backoff(first_s=0.5, most_s=10.0)


@dataclass(frozen=True)
class GroupRecord:
    """One group's scores of one reward. statuses: rollouts by status, those of value "ok" included;
    explanations: the first distinct ones of missing scores."""

    statuses: Mapping[str, int]
    explanations: tuple[str, ...] = ()

    @property
    def rollouts(self) -> int:
        """Rollouts of the group."""
        return sum(self.statuses.values())

    @property
    def missing(self) -> int:
        """Rollouts without a score."""
        return self.rollouts - self.statuses.get(Status.OK.value, 0)


@dataclass(frozen=True)
class FailingReward:
    """A reward and why it is thought to fail. share: of `rollouts` scores over `groups` groups that are missing."""

    name: str
    share: float
    groups: int
    rollouts: int
    statuses: Mapping[str, int]
    explanations: tuple[str, ...]

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {status}" for status, count in self.statuses.items())
        told = " | ".join(self.explanations)
        return (
            f"reward {self.name!r} scored too little: {self.share:.0%} of {self.rollouts} scores over the last "
            f"{self.groups} groups are missing ({kinds}); last causes: {told}"
        )

    @property
    def status(self) -> Status:
        """The most frequent cause."""
        return Status(max(self.statuses, key=lambda status: self.statuses[status]))


class RewardFailingError(RewardError):
    """A reward did not answer again before its pause ended; the text says which and why."""


class RewardHealth:
    """Recent groups of each reward.

    In a job, between a step's scoring and its learning (observed in the groups' order, so that the verdict does not
    depend on which group happened to finish first):

        health = RewardHealth()
        for group_scores in scores_of_step:          # {reward: [Score] * G} of one group each
            health.observe(group_scores)
        if failing := health.failing(config.rewards):
            registry.set_state(Phase.PAUSED, step, total, "; ".join(map(str, failing)))
            await until_answering(fleet, failing, config.rewards, say=registry_event)   # may raise
            for reward in failing:
                health.forget(reward.name)
            # score the groups that missed it again (fleet.score), then go on with the step

    Pass to `failing` the rewards that move the policy; one in shadow fails without stopping anything."""

    def __init__(self) -> None:
        self._groups: dict[str, deque[GroupRecord]] = {}

    def observe(self, scores: Mapping[str, Sequence[Score]]) -> None:
        """Note one group's scores by reward."""
        for name, column in scores.items():
            if column:
                self._groups.setdefault(name, deque(maxlen=MOST_GROUPS)).append(_record(column))

    def failing(self, rewards: Iterable[RewardConfig]) -> tuple[FailingReward, ...]:
        """Those of `rewards` whose share of missing scores exceeds their bound, in the order given."""
        verdicts = (self._verdict(reward.name, reward.pause) for reward in rewards)
        return tuple(verdict for verdict in verdicts if verdict is not None)

    def forget(self, name: str) -> None:
        """Begin anew with a reward: it answers again, or another one took its name."""
        self._groups.pop(name, None)

    def metrics(self) -> dict[str, float]:
        """rewards/<name>/recent_missing: share of missing scores over the groups that are remembered."""
        return {
            f"rewards/{name}/recent_missing": sum(g.missing for g in groups) / sum(g.rollouts for g in groups)
            for name, groups in self._groups.items()
        }

    def state_dict(self) -> dict[str, Any]:
        """The groups that are remembered, as plain JSON."""
        return {name: [asdict(group) for group in groups] for name, groups in self._groups.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore; ValueError for a status that is unknown here."""
        self._groups = {
            name: deque(
                (
                    GroupRecord(
                        {Status(status).value: int(count) for status, count in group["statuses"].items()},
                        tuple(group["explanations"]),
                    )
                    for group in groups
                ),
                maxlen=MOST_GROUPS,
            )
            for name, groups in state.items()
        }

    def _verdict(self, name: str, pause: PauseSection) -> FailingReward | None:
        recent = list(self._groups.get(name, ()))[-pause.groups :]
        if len(recent) < pause.at_least:
            return None
        rollouts = sum(group.rollouts for group in recent)
        share = sum(group.missing for group in recent) / rollouts
        if share <= pause.missing_share:
            return None
        statuses = sum((Counter(group.statuses) for group in recent), Counter[str]())
        statuses.pop(Status.OK.value, None)
        explanations = dict.fromkeys(why for group in reversed(recent) for why in group.explanations)
        last = tuple(explanations)[:EXPLANATIONS]
        return FailingReward(name, share, len(recent), rollouts, dict(statuses.most_common()), last)


class Fleet(Protocol):
    """What of rl.reward_fleet.RewardFleet the pause needs."""

    async def ask_again(self, name: str, deadline_s: float) -> list[Score]:
        """See RewardFleet."""
        ...

    def log_tail(self, name: str, lines: int = 5) -> str:
        """See RewardFleet."""
        ...


async def until_answering(
    fleet: Fleet,
    failing: Sequence[FailingReward],
    rewards: Iterable[RewardConfig],
    say: Callable[[str], None] = lambda _: None,
    seed: int = 0,
) -> None:
    """Pause until each failing reward scores the group that it last missed, well enough not to fail by it. They are
    waited for one after the other, each for its own pause.deadline_s.

    say: told once a reward, at the start, at every failed probe and at the end. Raises RewardFailingError with the
    causes, the last probe's and the end of its server's log once the deadline has passed."""
    by_name = {reward.name: reward for reward in rewards}
    for verdict in failing:
        reward, began = by_name[verdict.name], time.monotonic()
        log = f"\nits server's log ends:\n{tail}" if (tail := fleet.log_tail(reward.name)) else ""
        say(f"paused: {verdict}{log}")
        end = began + reward.pause.deadline_s
        await _until_one_answers(fleet, verdict, reward, end, say, random.Random(seed))
        say(f"reward {reward.name!r} answers again after {time.monotonic() - began:.1f} s")


async def _until_one_answers(
    fleet: Fleet,
    verdict: FailingReward,
    reward: RewardConfig,
    end: float,
    say: Callable[[str], None],
    rng: random.Random,
) -> None:
    why, probe = "not asked again yet", 0
    while (left := end - time.monotonic()) > 0:
        probe += 1
        scores = await fleet.ask_again(reward.name, min(reward.deadline_s, left))
        missed = [score for score in scores if score.value is None]
        if len(missed) <= reward.pause.missing_share * len(scores):
            return
        why = f"{missed[0].status}: {missed[0].explanation[:EXPLANATION_CHARS]}"
        say(f"reward {reward.name!r}, probe {probe}: {len(missed)} of {len(scores)} still missing: {why}")
        await asyncio.sleep(min(PROBE_BACKOFF.pause(probe, rng), max(end - time.monotonic(), 0.0)))
    tail = fleet.log_tail(reward.name)
    raise RewardFailingError(
        f"{verdict}; it did not answer within pause.deadline_s = {reward.pause.deadline_s:g} s, last probe: {why}"
        + (f"\nits server's log ends:\n{tail}" if tail else ""),
        verdict.status,
        reward.name,
    )


def _record(column: Sequence[Score]) -> GroupRecord:
    statuses = Counter(score.status.value for score in column)
    causes = dict.fromkeys(score.explanation[:EXPLANATION_CHARS] for score in column if score.value is None)
    return GroupRecord(dict(statuses), tuple(causes)[:EXPLANATIONS])
