"""Nothing is asked twice: cache, sharing within a batch, and what enters the key."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest
from judged_clip import LABEL, clip, judge, reward, views
from openai_stand_in import Reply, endpoint, grades

from critic_server.database import open_database
from critic_server.judge_config import JudgeConfig
from critic_server.panel import Panel, PanelConfig
from critic_server.spending import counters
from critic_server.verdict import Question


def test_a_second_pass_over_a_file_asks_nothing_and_says_so(tmp_path):
    file = str(tmp_path / "critic.sqlite")
    with endpoint(Reply(grades(5, 3))) as service:
        first = judge(service.url, "Stop here.", "Stop there.", cache=file)
        again = judge(service.url, "Stop here.", "Stop there.", cache=file)
        assert len(service.got) == 2
    assert [s.value for s in again] == [s.value for s in first]
    assert ([s.cached for s in first], [s.cached for s in again]) == ([False] * 2, [True] * 2)
    assert [s.components["tokens"] for s in again] == [0.0, 0.0]
    assert counters(open_database(file))["m"] == {
        "hits": 2.0,
        "requests": 2.0,
        "prompt_tokens": 180.0,
        "completion_tokens": 20.0,
    }


def test_identical_traces_of_a_batch_are_asked_once():
    with endpoint(Reply()) as service:
        scores = judge(service.url, "Stop here.", "Stop there.", "Stop here.", "Stop  here. ")
        assert len(service.got) == 2
    assert [s.value for s in scores] == [1.0] * 4
    assert [s.cached for s in scores] == [False, False, True, True]
    assert sum(s.components["tokens"] for s in scores) == 200.0


def test_failures_are_not_kept(tmp_path):
    file = str(tmp_path / "critic.sqlite")
    with endpoint(Reply("no", 400), Reply()) as service:
        assert judge(service.url, cache=file)[0].value is None
        assert judge(service.url, cache=file)[0].value == 1.0


CHANGES = [
    {"model": "other"},
    {"temperature": 0.7},
    {"max_tokens": 50},
    {"seed": 1},
    {"top_logprobs": 6},
    {"response_format": "json_object"},
    {"extra_body": {"top_k": 1}},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_whatever_changes_an_answer_changes_its_key(change, tmp_path):
    file = str(tmp_path / "critic.sqlite")
    with endpoint(Reply()) as service:
        judge(service.url, cache=file)
        judge(service.url, cache=file, **change)
        assert len(service.got) == 2


def test_schema_texts_label_and_image_contents_are_in_the_key(tmp_path):
    file = str(tmp_path / "critic.sqlite")
    with endpoint(Reply(), Reply(grades(5, 5, None)), Reply()) as service:
        judge(service.url, cache=file)
        judge(service.url, cache=file, explain=False)
        judge(service.url, "Halt.", cache=file)
        changed = replace(clip(), label=replace(LABEL, text="Stop, the light is red."))
        reward(service.url, cache=file).score(views("Stop at the line."), {"c": changed})
        judge(service.url, cache=file, images=True)
        judge(service.url, cache=file, images=True, shade=200)
        assert len(service.got) == 6
        judge(service.url, cache=file, images=True, shade=200)
        assert len(service.got) == 6


def test_another_address_of_the_same_model_finds_the_same_answers(tmp_path):
    file = str(tmp_path / "critic.sqlite")
    with endpoint(Reply()) as one, endpoint(Reply()) as other:
        judge(one.url, cache=file)
        judge(other.url, cache=file)
        assert other.got == []


def test_repeats_and_swapped_order_are_asked_apart_and_fresh_ones_always():
    with endpoint(Reply()) as service:
        panel = Panel(PanelConfig((JudgeConfig(service.url, "m"),)))
        questions = [Question("Stop.", LABEL)]
        for options in ({}, {"sample": 1}, {"swapped": True}, {}, {"sample": 1}):
            panel.grade(questions, **options)
        assert len(service.got) == 3
        texts = [g["messages"][1]["content"] for g in service.got]
        assert [text.index("<reference>") < text.index("<trace_") for text in texts] == [True, True, False]
        assert [g["seed"] for g in service.got] == [0, 1, 0]


def test_a_file_that_is_no_cache_is_named(tmp_path):
    file = tmp_path / "critic.sqlite"
    file.write_text("not a database, but some notes " * 50)
    with pytest.raises(ValueError, match=r"critic\.sqlite is no usable critic cache"):
        open_database(file)


def test_nothing_in_the_file_is_executable_state(tmp_path):
    file = tmp_path / "critic.sqlite"
    with endpoint(Reply()) as service:
        judge(service.url, cache=str(file))
    types = {type(v) for row in sqlite3.connect(file).execute("SELECT * FROM answers") for v in row}
    assert types <= {str, float, int, type(None)}
