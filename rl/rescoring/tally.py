"""What changed, counted part by part: scores, advantages, ranks, fates, and the worst disagreements.

Invariant: tallies of parts add up to the tally of the whole (`merge`), in memory that grows with steps and kinds
but not with rollouts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rewards.score import Score
from rl.rescoring.disagreements import Worst, disagreement, scores_told
from rl.rescoring.moments import PairMoments
from rl.rescoring.ranks import rank_agreement, sign_flips
from rl.reward_config import RewardConfig
from rl.rollout import Fate, Group
from rl.rollups import score_of

SAME = 1e-9
"""Scores closer than this are unchanged (a reward computed in another batch may round differently)."""
TAU_BINS = 20


@dataclass
class RewardTally:
    """One reward scored anew. failures: new missing scores by status; causes: one explanation of each."""

    moments: PairMoments = field(default_factory=PairMoments)
    rollouts: int = 0
    changed: int = 0
    missing_before: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    causes: dict[str, str] = field(default_factory=dict)


@dataclass
class StepTally:
    """One step: rollouts with an advantage on both sides, sign flips, |advantage| moved; totals old and new."""

    compared: int = 0
    flips: int = 0
    moved: float = 0.0
    totals: PairMoments = field(default_factory=PairMoments)


Pair = tuple[Group, Group]


class Tally:
    """Counts of one part, or of many."""

    def __init__(self, asked: Sequence[str], top: int) -> None:
        self.weights: dict[str, tuple[float, float]] = {}
        self.rewards = {name: RewardTally() for name in asked}
        self.worst = {name: Worst(top) for name in ("advantage", *asked)}
        self.steps: dict[int, StepTally] = {}
        self.advantages = PairMoments()
        self.tau_histogram = np.zeros(TAU_BINS, np.int64)
        self.counts: Counter[str] = Counter()
        self.sums = {"tau": 0.0, "rho": 0.0}
        self.shares: dict[str, list[float]] = {}
        self.versions: dict[str, str] = {}

    def add(self, pairs: Sequence[Pair]) -> None:
        """Count groups before and after, the same rollouts in the same order."""
        if not pairs:
            return
        old, new = _table(pairs, 0, "advantage"), _table(pairs, 1, "advantage")
        flips = sign_flips(old, new)
        self._count_ranks(*rank_agreement(old, new))
        self._count_advantages(pairs, old, new, flips)
        self._keep_worst_advantages(pairs, old, new)
        for name in self.rewards:
            self._count_scores(name, pairs)
        totals = _table(pairs, 0, "total"), _table(pairs, 1, "total")
        for row, (before, _) in enumerate(pairs):
            self._count_step(before.step, old[row], new[row], flips[row], (totals[0][row], totals[1][row]))

    def note_weights(self, rewards: Sequence[RewardConfig]) -> None:
        """Widen each reward's range of weights by those in force at a group."""
        for reward in rewards:
            low, high = self.weights.get(reward.name, (reward.weight, reward.weight))
            self.weights[reward.name] = min(low, reward.weight), max(high, reward.weight)

    def merge(self, other: Tally) -> None:
        """Add another tally to this one."""
        for name, reward in other.rewards.items():
            mine = self.rewards[name]
            mine.moments += reward.moments
            mine.rollouts += reward.rollouts
            mine.changed += reward.changed
            mine.missing_before += reward.missing_before
            mine.failures += reward.failures
            mine.causes = {**reward.causes, **mine.causes}
        for name, worst in other.worst.items():
            self.worst[name].add(worst.kept)
        for step, found in other.steps.items():
            mine_at = self.steps.setdefault(step, StepTally())
            mine_at.compared += found.compared
            mine_at.flips += found.flips
            mine_at.moved += found.moved
            mine_at.totals += found.totals
        self.advantages += other.advantages
        self.tau_histogram += other.tau_histogram
        self.counts += other.counts
        for name, value in other.sums.items():
            self.sums[name] += value
        for name, (old, new) in other.shares.items():
            self._add_share(name, old, new)
        self.versions |= other.versions
        for name, (low, high) in other.weights.items():
            mine_low, mine_high = self.weights.get(name, (low, high))
            self.weights[name] = min(low, mine_low), max(high, mine_high)

    def _count_ranks(self, tau: np.ndarray, rho: np.ndarray) -> None:
        known = np.isfinite(tau)
        self.counts["ranked_groups"] += int(known.sum())
        self.counts["reordered_groups"] += int((tau[known] < 1 - SAME).sum())
        self.counts["reversed_groups"] += int((tau[known] < 0).sum())
        self.sums["tau"] += float(tau[known].sum())
        self.sums["rho"] += float(rho[known].sum())
        self.tau_histogram += np.histogram(tau[known], TAU_BINS, (-1.0, 1.0))[0]

    def _count_advantages(
        self, pairs: Sequence[Pair], old: np.ndarray, new: np.ndarray, flips: np.ndarray
    ) -> None:
        both = np.isfinite(old) & np.isfinite(new)
        self.advantages += PairMoments.of(old[both], new[both])
        self.counts["groups"] += len(pairs)
        self.counts["rollouts"] += sum(len(before.rollouts) for before, _ in pairs)
        self.counts["compared"] += int(both.sum())
        self.counts["identical"] += int((old[both] == new[both]).sum())
        self.counts["sign_flips"] += int(flips.sum())
        self.counts["advantage_lost"] += int((np.isfinite(old) & ~np.isfinite(new)).sum())
        self.counts["advantage_gained"] += int((~np.isfinite(old) & np.isfinite(new)).sum())
        for before, after in pairs:
            self.counts["groups_dropped_anew"] += (before.fate, after.fate) == (Fate.TRAINED, Fate.DROPPED)
            for side, group in enumerate((before, after)):
                for rollout in group.rollouts:
                    for name, share in rollout.shares.items():
                        self._add_share(name, *((abs(share), 0.0) if side == 0 else (0.0, abs(share))))

    def _add_share(self, name: str, old: float, new: float) -> None:
        entry = self.shares.setdefault(name, [0.0, 0.0])
        entry[0] += old
        entry[1] += new

    def _keep_worst_advantages(self, pairs: Sequence[Pair], old: np.ndarray, new: np.ndarray) -> None:
        worst = self.worst["advantage"]
        distance = np.nan_to_num(np.abs(new - old))
        for row, column in _largest(distance, worst):
            before, after = (group.rollouts[column] for group in pairs[row])
            told = scores_told(before), scores_told(after)
            sides = (before.advantage, told[0]), (after.advantage, told[1])
            worst.add([disagreement(float(distance[row, column]), pairs[row][0].step, before, after, *sides)])

    def _count_scores(self, name: str, pairs: Sequence[Pair]) -> None:
        tally, worst = self.rewards[name], self.worst[name]
        before = [[score_of(r, name) for r in old.rollouts] for old, _ in pairs]
        after = [[_known(score_of(r, name)) for r in new.rollouts] for _, new in pairs]
        old, new = _values(before), _values(after)
        both = np.isfinite(old) & np.isfinite(new)
        distance = np.where(both, np.abs(np.nan_to_num(new) - np.nan_to_num(old)), 0.0)
        tally.moments += PairMoments.of(old[both], new[both])
        tally.rollouts += sum(map(len, after))
        tally.changed += int((distance > SAME).sum())
        tally.missing_before += sum(score is None or score.value is None for row in before for score in row)
        for score in (score for row in after for score in row if score.value is None):
            tally.failures[score.status.value] += 1
            tally.causes.setdefault(score.status.value, score.explanation[:300])
        for row, column in _largest(distance, worst):
            first, second = before[row][column], after[row][column]
            assert first is not None
            sides = (first.value, first.explanation), (second.value, second.explanation)
            rollouts = pairs[row][0].rollouts[column], pairs[row][1].rollouts[column]
            worst.add([disagreement(float(distance[row, column]), pairs[row][0].step, *rollouts, *sides)])

    def _count_step(
        self,
        step: int,
        old: np.ndarray,
        new: np.ndarray,
        flips: np.ndarray,
        totals: tuple[np.ndarray, np.ndarray],
    ) -> None:
        at = self.steps.setdefault(step, StepTally())
        both = np.isfinite(old) & np.isfinite(new)
        at.compared += int(both.sum())
        at.flips += int(flips.sum())
        at.moved += float(np.abs(new[both] - old[both]).sum())
        known = np.isfinite(totals[0]) & np.isfinite(totals[1])
        at.totals += PairMoments.of(totals[0][known], totals[1][known])


def _known(score: Score | None) -> Score:
    assert score is not None
    return score


def _table(pairs: Sequence[Pair], side: int, what: str) -> np.ndarray:
    """[N, G] of a rollout's attribute, NaN where it has none or a group is smaller."""
    rows: list[list[Any]] = [[getattr(r, what) for r in pair[side].rollouts] for pair in pairs]
    return _padded(rows)


def _values(rows: Sequence[Sequence[Score | None]]) -> np.ndarray:
    return _padded([[None if score is None else score.value for score in row] for row in rows])


def _padded(rows: Sequence[Sequence[float | None]]) -> np.ndarray:
    width = max(map(len, rows))
    filled = [[*row, *[None] * (width - len(row))] for row in rows]
    return np.array(filled, dtype=np.float64)


def _largest(distance: np.ndarray, worst: Worst) -> list[tuple[int, int]]:
    """Positions that may belong to the worst, largest first."""
    count = min(worst.top, distance.size)
    flat = distance.ravel()
    if not count:
        return []
    chosen = np.argsort(-flat, kind="stable")[:count]
    keep = [int(i) for i in chosen if flat[i] > SAME and flat[i] >= worst.threshold()]
    return [divmod(i, distance.shape[1]) for i in keep]
