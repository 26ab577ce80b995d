"""How far a grader can be trusted: agreement with a labelled set, repeat variance, and what should not matter.

Measures, all on the 0 to 5 scale:
- agreement: quadratic-weighted kappa of the grades rounded to integers (Cohen 1968, Psychological Bulletin 70:213),
  Spearman's rank correlation and mean absolute error, for behaviour, causes and total;
- repeats: standard deviation of a trace's total over repeated, uncached questions;
- position: total with trace and reference swapped in the prompt, minus the total as usual;
- verbosity: total of the trace with an empty sentence added, minus the total without.
Invariant: missing verdicts are counted and left out, never read as grades.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from critic_server import rubric
from critic_server.labelled_set import Row
from critic_server.verdict import Grader, Question, Verdict
from rewards.score import Status

PARTS = ("behaviour", "causes", "total")
PADDING = "The road, the weather and the traffic were looked at with care before this was decided, as always."
DRAWS = 1_000


class RubricGrader:
    """The deterministic rubric as a grader. total is the grade of its table."""

    def __init__(self, strict: bool = True) -> None:
        self.strict = strict
        self.name = "rubric" if strict else "rubric-lenient"

    def grade(
        self,
        questions: Sequence[Question],
        *,
        sample: int = 0,  # noqa: ARG002
        swapped: bool = False,  # noqa: ARG002
    ) -> list[Verdict]:
        """See `critic_server.verdict.Grader`; repeats and order change nothing."""
        found = [rubric.grade(q.text, q.label, self.strict) for q in questions]
        return [Verdict(Status.OK, g.explanation, g.behaviour, g.causes, float(g.grade)) for g in found]


@dataclass(frozen=True)
class Report:
    """grader; rows, missing: counts; agreement: {part: {kappa, kappa_low, kappa_high, spearman, mae, mean,
    reference_mean}}; kinds: {kind: {rows, total, reference}}; repeats, position, verbosity: see `calibrate`;
    usage: requests, tokens and USD of the whole calibration, cached answers at 0."""

    grader: str
    rows: int
    missing: int
    agreement: dict[str, dict[str, float | None]]
    kinds: dict[str, dict[str, float | None]]
    repeats: dict[str, float | None]
    position: dict[str, float | None]
    verbosity: dict[str, float | None]
    usage: dict[str, float | None]


def calibrate(grader: Grader, rows: Sequence[Row], repeats: int = 3, biases: bool = True) -> Report:
    """Grade a labelled set and measure; see the module. repeats: questions a trace in all, from 1 (1: no
    variance); biases: measure position and verbosity, two more passes."""
    if repeats < 1:
        raise ValueError(f"repeats {repeats} must be at least 1")
    questions = [row.question for row in rows]
    passes = [grader.grade(questions, sample=sample) for sample in range(repeats)]
    usual = passes[0]
    swapped: list[Verdict] = []
    padded: list[Verdict] = []
    if biases:
        swapped = grader.grade(questions, swapped=True)
        padded = grader.grade([replace(q, text=f"{q.text} {PADDING}") for q in questions])
    return Report(
        grader=grader.name,
        rows=len(rows),
        missing=sum(v.total is None for v in usual),
        agreement={part: agreement(rows, usual, part) for part in PARTS},
        kinds=_kinds(rows, usual),
        repeats=_spread(passes),
        position=_shift(usual, swapped),
        verbosity=_shift(usual, padded),
        usage=_usage([*(v for one in passes for v in one), *swapped, *padded]),
    )


def agreement(rows: Sequence[Row], verdicts: Sequence[Verdict], part: str) -> dict[str, float | None]:
    """Agreement of one part (a name of PARTS) with the set's grades, over the rows that were graded; 95 %
    interval of kappa by bootstrap over rows. None where it is undefined."""
    pairs = [(getattr(r, part), getattr(v, part)) for r, v in zip(rows, verdicts, strict=True)]
    both = np.array([(wanted, got) for wanted, got in pairs if got is not None], dtype=float).reshape(-1, 2)
    if len(both) < 2:
        return dict.fromkeys(
            ("kappa", "kappa_low", "kappa_high", "spearman", "mae", "mean", "reference_mean")
        )
    wanted, got = both.T
    rng = np.random.default_rng(0)
    draws = [kappa(*both[rng.integers(len(both), size=len(both))].T) for _ in range(DRAWS)]
    known = [draw for draw in draws if draw is not None]
    low, high = np.quantile(known, (0.025, 0.975)) if known else (None, None)
    return {
        "kappa": kappa(wanted, got),
        "kappa_low": None if low is None else float(low),
        "kappa_high": None if high is None else float(high),
        "spearman": spearman(wanted, got),
        "mae": float(np.abs(wanted - got).mean()),
        "mean": float(got.mean()),
        "reference_mean": float(wanted.mean()),
    }


def kappa(wanted: np.ndarray, got: np.ndarray) -> float | None:
    """Quadratic-weighted kappa of grades [n] 0 to 5, rounded half up to integers: 1 agreement, 0 chance.

    1 - sum(squared difference) / its expectation under independent margins (Cohen 1968, with weights (i - j)²);
    None where both give one and the same grade to all."""
    a, b = np.floor(np.asarray(wanted) + 0.5), np.floor(np.asarray(got) + 0.5)
    observed = float(np.mean((a - b) ** 2))
    expected = float(np.mean((a[:, None] - b[None, :]) ** 2))
    return None if expected == 0 else 1 - observed / expected


def spearman(wanted: np.ndarray, got: np.ndarray) -> float | None:
    """Rank correlation; None where one of both is constant."""
    from scipy.stats import spearmanr

    if np.ptp(wanted) == 0 or np.ptp(got) == 0:
        return None
    found = float(spearmanr(wanted, got).statistic)
    return found if math.isfinite(found) else None


def _kinds(rows: Sequence[Row], verdicts: Sequence[Verdict]) -> dict[str, dict[str, float | None]]:
    found: dict[str, dict[str, float | None]] = {}
    for kind in dict.fromkeys(row.kind for row in rows):
        mine = [(r, v) for r, v in zip(rows, verdicts, strict=True) if r.kind == kind]
        found[kind] = {
            "rows": float(len(mine)),
            "total": _mean([v.total for _, v in mine]),
            "reference": _mean([r.total for r, _ in mine]),
        }
    return found


def _spread(passes: Sequence[Sequence[Verdict]]) -> dict[str, float | None]:
    """questions: repeats a trace; std: mean over traces; changed: share of traces with unequal totals."""
    told: dict[str, float | None] = {"questions": float(len(passes)), "std": None, "changed": None}
    if len(passes) < 2:
        return told
    series = [[v.total for v in verdicts] for verdicts in zip(*passes, strict=True)]
    full = np.array([[t for t in one if t is not None] for one in series if None not in one], dtype=float)
    if len(full):
        told["std"] = float(full.std(axis=1, ddof=1).mean())
        told["changed"] = float((np.ptp(full, axis=1) > 1e-9).mean())
    return told


def _shift(usual: Sequence[Verdict], other: Sequence[Verdict]) -> dict[str, float | None]:
    """shift: mean change of the total; absolute: mean absolute change; both None where not measured."""
    pairs = zip(usual, other, strict=bool(other))
    changes = [b.total - a.total for a, b in pairs if a.total is not None and b.total is not None]
    return {"shift": _mean(changes), "absolute": _mean([abs(change) for change in changes])}


def _usage(verdicts: Sequence[Verdict]) -> dict[str, float | None]:
    costs = [v.usd for v in verdicts]
    known = [cost for cost in costs if cost is not None]
    return {
        "requests": float(sum(v.attempts for v in verdicts)),
        "cached": float(sum(v.cached for v in verdicts)),
        "tokens": float(sum(v.prompt_tokens + v.completion_tokens for v in verdicts)),
        "usd": sum(known) if len(known) == len(costs) else None,
        "suspicious": float(sum(bool(v.flags) for v in verdicts)),
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
