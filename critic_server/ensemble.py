"""Several judges' verdicts on one question as one.

Invariant: a member that failed is left out only down to the quorum; below it the verdict is missing, with the
members' reasons. A failed member never pulls the grade.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from critic_server.scale import total
from critic_server.verdict import Verdict
from rewards.score import Status

COMBINE: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": statistics.fmean,
    "median": statistics.median,
}


def combine(names: Sequence[str], verdicts: Sequence[Verdict], how: str, quorum: int) -> Verdict:
    """One verdict of the members' (same order as `names`). how: "mean" or "median", of each part; quorum: how
    many members must have graded."""
    if len(verdicts) == 1:
        return verdicts[0]
    good = [verdict for verdict in verdicts if verdict.status is Status.OK]
    told = "; ".join(f"{name}: {v.explanation}" for name, v in zip(names, verdicts, strict=True))
    attempts = sum(v.attempts for v in verdicts)
    tokens = (sum(v.prompt_tokens for v in verdicts), sum(v.completion_tokens for v in verdicts))
    costs = [v.usd for v in verdicts]
    known = [cost for cost in costs if cost is not None]
    usd = sum(known) if len(known) == len(costs) else None
    if len(good) < quorum:
        status = next(v.status for v in verdicts if v.status is not Status.OK)
        why = f"{len(good)} of {len(verdicts)} judges graded, {quorum} are needed; {told}"
        return Verdict(status, why, None, None, None, attempts, *tokens, usd)
    behaviour = COMBINE[how]([v.behaviour for v in good if v.behaviour is not None])
    causes = COMBINE[how]([v.causes for v in good if v.causes is not None])
    totals = [v.total for v in good if v.total is not None]
    return Verdict(
        Status.OK,
        told,
        behaviour,
        causes,
        total(behaviour, causes),
        attempts,
        *tokens,
        usd,
        cached=all(v.cached for v in verdicts),
        expected=all(v.expected for v in good),
        disagreement=max(totals) - min(totals),
    )
