"""The deterministic grader: the paper's 0 to 5 rubric read off decisions and causal factors.

| grade | behaviour                    | causes                                                     |
|-------|------------------------------|------------------------------------------------------------|
| 5     | both axes and the side right | exactly the label's factors                                |
| 4     | right                        | mostly: F1 of named against labelled factors at least 0.5  |
| 3     | right                        | none named, or few of them right                           |
| 2     | right                        | named, and all of them wrong                               |
| 1     | one axis right               | (lenient grading only)                                     |
| 0     | wrong, contradictory or none |                                                            |

In two parts: `behaviour` is 5 where both axes are right, 2 where one is and nothing is contradicted, else 0;
`causes` is 5 times the F1 of named against labelled factors, rounded, and 2 where the label has some and none is
named. The grade is the table's, whatever the parts.

Strict by default: causes count only where the behaviour is right, because partial credit is what policies
hack (in this project's probe a class of manoeuvres vanished into a wrong one that shared a cause).
Source of the scale: the Alpamayo-R1 paper's reasoning reward (arXiv 2511.00088).
Invariant: naming a factor twice gains nothing; naming one that is not in the label never raises the grade.
"""

from __future__ import annotations

from dataclasses import dataclass

from critic_server.scale import HIGHEST
from rewards.factors import parse_factors
from rewards.intent import DEFAULT_LATERAL, DEFAULT_LONGITUDINAL, DIRECTIONAL, Intent, parse_intent
from scenes.clip import ChainOfCausation
from scenes.decisions import FactorKind


@dataclass(frozen=True)
class Grade:
    """grade, behaviour, causes: 0 to 5; longitudinal, lateral: whether the axis is right (the
    side counts as lateral); precision, recall: of the named factors (1 where there is nothing to get wrong)."""

    grade: int
    longitudinal: bool
    lateral: bool
    precision: float
    recall: float
    explanation: str
    behaviour: float = 0.0
    causes: float = 0.0


def grade(text: str, label: ChainOfCausation, strict: bool = True) -> Grade:
    """Grade a reasoning text against the label of its clip; never raises on any text."""
    intent = parse_intent(text)
    longitudinal = intent.longitudinal is (label.longitudinal or DEFAULT_LONGITUDINAL)
    lateral = _lateral_right(intent, label)
    named, wanted = parse_factors(text), frozenset(factor.kind for factor in label.factors)
    right = len(named & wanted)
    precision = right / len(named) if named else 1.0
    recall = right / len(wanted) if wanted else 1.0
    if longitudinal and lateral:
        value = 2 + _causes(named, wanted)
    else:
        value = int((longitudinal or lateral) and not intent.conflicts and not strict)
    one = longitudinal or lateral
    behaviour = float(HIGHEST) if longitudinal and lateral else 2.0 * (one and not intent.conflicts)
    causes = _factors(named, wanted)
    told = _tell(intent, label, named, wanted)
    return Grade(value, longitudinal, lateral, precision, recall, told, behaviour, causes)


def _factors(named: frozenset[FactorKind], wanted: frozenset[FactorKind]) -> float:
    """0 to 5 for the causes alone."""
    if named == wanted:
        return float(HIGHEST)
    if not named:
        return 2.0
    return float(round(HIGHEST * 2 * len(named & wanted) / (len(named) + len(wanted))))


def _causes(named: frozenset[FactorKind], wanted: frozenset[FactorKind]) -> int:
    """0 to 3 for the causes, given the right behaviour."""
    if named == wanted:
        return 3
    right = len(named & wanted)
    if named and not right:
        return 0
    f1 = 2 * right / (len(named) + len(wanted))
    return 2 if f1 >= 0.5 else 1


def _lateral_right(intent: Intent, label: ChainOfCausation) -> bool:
    wanted = label.lateral or DEFAULT_LATERAL
    if intent.lateral is not wanted:
        return False
    return wanted not in DIRECTIONAL or label.direction is None or intent.direction is label.direction


def _tell(
    intent: Intent,
    label: ChainOfCausation,
    named: frozenset[FactorKind],
    wanted: frozenset[FactorKind],
) -> str:
    told = [
        f"says {intent.longitudinal or 'nothing'}, {intent.lateral or 'nothing'} {intent.direction or ''}"
    ]
    told.append(f"expert: {label.longitudinal}, {label.lateral} {label.direction or ''}")
    told.extend(intent.conflicts)
    groups = {"causes right": named & wanted, "missing": wanted - named, "not causes": named - wanted}
    told.extend(f"{what}: {', '.join(sorted(kinds))}" for what, kinds in groups.items() if kinds)
    return "; ".join(part.strip() for part in told)
