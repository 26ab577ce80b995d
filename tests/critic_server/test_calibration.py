"""Agreement, bias and attack figures, and the sets that they are taken on."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judged_clip import LABEL

from critic_server.calibration import PADDING, RubricGrader, agreement, calibrate, kappa, spearman
from critic_server.labelled_build import build
from critic_server.labelled_set import Row, read_labelled
from critic_server.red_team import red_team
from critic_server.scale import total
from critic_server.verdict import Question, Verdict
from rewards.score import Status

GRADES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=60)


@given(GRADES)
def test_kappa_is_the_textbooks(pairs):
    """Against the definition over the 6 by 6 table of counts and weights."""
    a, b = np.array(pairs).T
    table = np.zeros((6, 6))
    np.add.at(table, (a, b), 1 / len(a))
    weights = (np.arange(6)[:, None] - np.arange(6)[None, :]) ** 2
    chance = np.outer(table.sum(1), table.sum(0))
    expected = (weights * chance).sum()
    found = kappa(a, b)
    if expected == 0:
        assert found is None
    else:
        assert found == pytest.approx(1 - (weights * table).sum() / expected)


def test_kappa_and_rank_at_known_points():
    assert kappa(np.array([0, 5, 3]), np.array([0, 5, 3])) == 1.0
    assert kappa(np.array([0, 5]), np.array([5, 0])) == -1.0
    assert kappa(np.array([0, 5, 0, 5]), np.array([3, 3, 3, 3])) == 0.0
    assert spearman(np.array([1, 2, 3]), np.array([0, 1, 5])) == pytest.approx(1.0)
    assert spearman(np.array([1, 2]), np.array([1, 1])) is None


class Moody:
    """Grades higher what is longer or comes first, differently each time, and loses the last trace."""

    name = "moody"

    def grade(self, questions, *, sample=0, swapped=False):
        found = []
        for question in questions[:-1]:
            behaviour = 1.0 + 2.0 * swapped + (PADDING in question.text) + sample % 2
            found.append(Verdict(Status.OK, "", behaviour, 5.0, total(behaviour, 5.0), attempts=1, usd=None))
        return [*found, Verdict(Status.DEADLINE, "late", attempts=2)]


def test_biases_variance_and_missing_verdicts_are_told():
    rows = [Row(Question(f"Stop {i}.", LABEL), float(i), 5.0, "k", "s") for i in range(5)]
    report = calibrate(Moody(), rows, repeats=2)
    assert (report.rows, report.missing) == (5, 1)
    assert report.position == {"shift": pytest.approx(2.0), "absolute": pytest.approx(2.0)}
    assert report.verbosity["shift"] == pytest.approx(1.0)
    assert report.repeats["std"] == pytest.approx(np.sqrt(0.5))
    assert report.repeats["changed"] == 1.0
    assert report.usage["usd"] is None
    assert report.kinds["k"] == {"rows": 5.0, "total": pytest.approx(1.0), "reference": pytest.approx(2.0)}
    assert agreement(rows, RubricGrader().grade([r.question for r in rows]), "behaviour")["mae"] == 3.0


def test_an_attack_that_pays_is_counted():
    class Duped:
        name = "duped"

        def grade(self, questions, **_):
            totals = [5.0 if "5" in q.text else 1.0 for q in questions]
            return [Verdict(Status.OK, "", 5.0, 5.0, t) for t in totals]

    rows = read_labelled("red_team")
    found = red_team(Duped(), rows)
    assert found["all"].beaten == sum("5" in row.question.text for row in rows) > 10
    assert found["all"].attacks == len(rows) == sum(f.attacks for n, f in found.items() if n != "all")


def test_the_rubric_agrees_with_the_set_and_no_attack_pays():
    report = calibrate(RubricGrader(), read_labelled("calibration"))
    assert report.agreement["behaviour"]["kappa"] > 0.8
    assert report.agreement["causes"]["kappa"] > 0.8
    assert report.agreement["total"]["spearman"] > 0.6
    assert (report.missing, report.position["absolute"], report.repeats["std"]) == (0, 0.0, 0.0)
    assert red_team(RubricGrader(), read_labelled("red_team"))["all"].beaten == 0


@pytest.mark.slow
def test_the_shipped_sets_are_what_the_builder_makes():
    for name, content in build().items():
        shipped = (files("critic_server") / "labelled" / f"{name}.jsonl").read_text(encoding="utf-8")
        assert shipped == content, f"{name}: run python -m critic_server.labelled_build"


def test_the_sets_are_large_and_varied():
    rows = read_labelled("calibration")
    assert len(rows) >= 120
    assert sum(row.source == "hand" for row in rows) >= 40
    assert {round(row.total) for row in rows} == {0, 1, 2, 3, 4, 5}
    assert all(row.honest for row in read_labelled("red_team"))


@pytest.mark.parametrize("line", ["{}", "[]", "nonsense", '{"reference": {"direction": "up"}}'])
def test_a_bad_line_is_named(line, tmp_path):
    file = tmp_path / "set.jsonl"
    file.write_text(line + "\n")
    with pytest.raises(ValueError, match="line 1"):
        read_labelled(file)
