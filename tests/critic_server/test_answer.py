"""Reading a judge's answer: the schema or nothing."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from critic_server.answer import AnswerError, expected_value, read_answer, schema


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "4",
        '{"behaviour": 6, "causes": 1, "explanation": ""}',
        '{"behaviour": 4.0, "causes": 1, "explanation": ""}',
        '{"behaviour": true, "causes": 1, "explanation": ""}',
        '{"behaviour": 4, "causes": 4}',
        '{"behaviour": 4, "causes": 4, "explanation": 1}',
        '{"behaviour": 4, "causes": 4, "explanation": "", "grade": 5}',
        '{"behaviour": 4, "causes": 4, "explanation": "", "causes": 5}',
        '<think>{"behaviour": 4, "causes": 4, "explanation": ""}',
        'Sure! {"behaviour": 4, "causes": 4, "explanation": ""}',
        "[" * 100_000,
    ],
)
def test_no_grade_is_read_out_of_nonsense(content):
    with pytest.raises(AnswerError):
        read_answer(content)


@given(st.text())
def test_any_text_is_grades_or_an_answer_error(text):
    try:
        answer = read_answer(text)
    except AnswerError:
        return
    assert 0 <= answer.behaviour <= 5


@given(st.integers(0, 5), st.integers(0, 5), st.text(), st.booleans())
def test_good_answers_are_read_with_fence_and_thought(behaviour, causes, why, fenced):
    text = json.dumps({"explanation": why, "behaviour": behaviour, "causes": causes})
    text = f"<think>a </think> b</think>\n```json\n{text}\n```" if fenced else text
    if not fenced and "</think>" in why:
        return
    if fenced and ("</think>" in why or "`" in why):
        return
    answer = read_answer(text)
    assert (answer.behaviour, answer.causes, answer.explanation) == (behaviour, causes, why)


def test_the_schema_holds_an_explanation_only_where_it_is_wanted():
    assert list(schema(True)["schema"]["properties"]) == ["explanation", "behaviour", "causes"]
    assert schema(False)["schema"]["required"] == ["behaviour", "causes"]
    assert read_answer('{"behaviour": 1, "causes": 2}', explain=False).causes == 2


TOKENS = [
    ('{"behaviour"', []),
    (": ", []),
    ("4", [("4", math.log(0.6)), (" 2", math.log(0.2)), ("9", -1.0)]),
    ("}", []),
]


def test_the_expected_grade_is_over_valid_digits_alone():
    assert expected_value("behaviour", TOKENS) == pytest.approx((0.6 * 4 + 0.2 * 2) / 0.8)


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        ("causes", TOKENS),
        ("behaviour", [('{"behaviour": 4}', [("4", 0.0)])]),
        ("behaviour", [*TOKENS[:2], ("4", [("x", 0.0)])]),
        ("behaviour", []),
    ],
)
def test_without_the_digit_on_its_own_there_is_no_expected_grade(part, tokens):
    assert expected_value(part, tokens) is None
