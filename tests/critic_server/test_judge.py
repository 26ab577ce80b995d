"""The language-model judge against a real HTTP server that answers as told."""

from __future__ import annotations

import base64
import math
from dataclasses import replace

import pytest
from judged_clip import clip, judge, reward
from openai_stand_in import Reply, endpoint, grades

from critic_server import prompt
from rewards.description import Need, describe
from rewards.score import RolloutView, Status

SLOW_DOWN = Reply("slow down", 429, {"retry-after": "0.01"})


def test_a_verdict_is_scaled_and_its_schema_is_demanded():
    with endpoint(Reply(grades(5, 3))) as service:
        scores = judge(service.url, "Stop at line 0.", "Stop at line 1.", "Stop at line 2.")
    # behaviour 5 and causes 3: 5 · (0.4 + 0.6 · 3/5) = 3.8 of 5
    assert [s.value for s in scores] == pytest.approx([0.76] * 3)
    parts = scores[0].components
    assert (parts["behaviour"], parts["causes"], parts["grade"]) == (5.0, 3.0, pytest.approx(3.8))
    assert (parts["tokens"], parts["suspicious"], parts["cached"]) == (100.0, 0.0, 0.0)
    assert "usd" not in parts  # nobody said what model m costs
    assert scores[0].explanation == "Same behaviour."
    assert prompt.digest() in scores[0].version
    asked = service.got[0]
    assert (asked["response_format"]["type"], asked["response_format"]["json_schema"]["strict"]) == (
        "json_schema",
        True,
    )
    assert "<reference>Stop, red.</reference>" in asked["messages"][1]["content"]
    assert sorted(g["messages"][1]["content"].split("line ")[1][0] for g in service.got) == ["0", "1", "2"]


@pytest.mark.parametrize("fault", [SLOW_DOWN, Reply("oops", 500), Reply("loading", 503)])
def test_faults_that_pass_are_retried(fault):
    with endpoint(fault, fault, Reply()) as service:
        (score,) = judge(service.url)
    assert (score.value, score.attempts, len(service.got)) == (1.0, 3, 3)


@pytest.mark.parametrize(
    "garbled",
    [
        Reply(body='{"choices": [{"ind'),
        Reply(body="<html>gateway</html>", media="text/html"),
        Reply(body='{"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": []}'),
    ],
)
def test_a_garbled_reply_is_asked_for_again(garbled):
    with endpoint(garbled, Reply()) as service:
        (score,) = judge(service.url)
    assert (score.value, len(service.got)) == (1.0, 2)


def test_the_pause_that_a_service_asks_for_is_kept():
    with endpoint(Reply("slow down", 429, {"retry-after": "1.5"}), Reply()) as service:
        judge(service.url)
    assert service.got[1]["at"] - service.got[0]["at"] >= 1.5


def test_a_judge_that_stays_away_is_missing():
    with endpoint(Reply("loading", 503)) as service:
        (score,) = judge(service.url, deadline_s=1.0)
    assert (score.value, score.status) == (None, Status.INFRASTRUCTURE)
    assert "loading" in score.explanation
    (dead,) = judge("http://127.0.0.1:9/v1", deadline_s=1.0)
    assert (dead.value, dead.status) == (None, Status.INFRASTRUCTURE)


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refusal_is_not_retried(status):
    with endpoint(Reply("no", status)) as service:
        (score,) = judge(service.url)
    assert (score.value, score.status, len(service.got)) == (None, Status.REFUSED, 1)


def test_a_slow_judge_is_a_deadline():
    with endpoint(Reply(delay_s=1.5)) as service:
        (score,) = judge(service.url, deadline_s=0.5)
    assert (score.value, score.status) == (None, Status.DEADLINE)


def test_a_batch_ends_at_its_deadline_with_what_was_graded():
    with endpoint(Reply(), Reply(delay_s=3.0)) as service:
        scores = judge(service.url, "Stop here.", "Stop there.", concurrency=1, batch_s=1.0)
    assert [s.status for s in scores] == [Status.OK, Status.DEADLINE]


def test_an_answer_outside_the_schema_is_asked_for_once_more_and_then_missing():
    with endpoint(Reply("Grade: 4"), Reply()) as service:
        (mended,) = judge(service.url)
    assert (mended.value, mended.attempts, mended.components["tokens"]) == (1.0, 2, 200.0)
    said, complaint = service.got[1]["messages"][-2:]
    assert (said["role"], said["content"]) == ("assistant", "Grade: 4")
    assert "no JSON" in complaint["content"]
    with endpoint(Reply('{"behaviour": 5', finish="length")) as service:
        (lost,) = judge(service.url)
    assert (lost.value, lost.status, len(service.got)) == (None, Status.REWARD_BUG, 2)
    assert "cut off at max_tokens" in lost.explanation


def test_a_reasoning_model_may_think_first():
    thought = '<think>He says {"behaviour": 0}, hm.</think>\n' + grades(5, 5)
    with endpoint(Reply(thought)) as service:
        assert judge(service.url)[0].value == 1.0
    with endpoint(Reply(grades(5, 5), reasoning="Let me see.")) as service:
        assert judge(service.url)[0].value == 1.0
    with endpoint(Reply(None, reasoning="Let me see, it", finish="length")) as service:
        (lost,) = judge(service.url)
    assert lost.value is None
    assert "raise max_tokens" in lost.explanation


def test_expected_grades_come_from_the_digits_probabilities():
    half = math.log(0.5)
    digits = {"behaviour": {"5": half, "4": half}, "causes": {"3": 0.0, "x": -9.0}}
    with endpoint(Reply(grades(5, 3, None), digits=digits)) as service:
        (score,) = judge(service.url, explain=False, top_logprobs=6)
    assert (service.got[0]["logprobs"], service.got[0]["top_logprobs"]) == (True, 6)
    assert score.components["behaviour"] == pytest.approx(4.5)
    assert score.components["causes"] == pytest.approx(3.0)
    with endpoint(Reply(grades(5, 3, None))) as service:
        (plain,) = judge(service.url, explain=False, top_logprobs=6)
    assert plain.components["behaviour"] == 5.0


def test_the_front_image_is_sent_only_when_asked_for():
    with endpoint(Reply()) as service:
        judge(service.url, images=True)
        judge(service.url)
    parts = service.got[0]["messages"][1]["content"]
    pictures = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    assert len(pictures) == 1
    assert base64.b64decode(pictures[0].split(",")[1])[:4] == b"\x89PNG"
    assert isinstance(service.got[1]["messages"][1]["content"], str)
    assert Need.IMAGES in describe(reward(service.url, images=True)).needs


def test_a_clip_without_the_front_image_is_missing_data():
    blind = replace(clip(), cameras=None)
    view = RolloutView("g/0", "g", "c", "Stop.", True)
    (score,) = reward("http://127.0.0.1:9/v1", images=True).score([view], {"c": blind})
    assert (score.value, score.status) == (None, Status.DATA)


def test_the_key_comes_from_a_file_that_may_change(tmp_path):
    secret = tmp_path / "key"
    secret.write_text("sk-1\n")
    secret.chmod(0o600)
    with endpoint(Reply()) as service:
        keyed = reward(service.url, api_key_file=str(secret))
        for text in ("Stop.", "Stop now."):
            keyed.score([RolloutView("g/0", "g", "c", text, True)], {"c": clip()})
            secret.write_text("sk-2")
        judge(service.url)
    assert [g["authorization"] for g in service.got] == ["Bearer sk-1", "Bearer sk-2", "Bearer none"]


def test_a_key_that_a_service_quotes_is_not_passed_on(tmp_path):
    secret = tmp_path / "key"
    secret.write_text("sk-very-secret\n")
    secret.chmod(0o600)
    with endpoint(Reply("bad key sk-very-secret", 401)) as service:
        (score,) = judge(service.url, api_key_file=str(secret))
    assert "bad key ***" in score.explanation
    assert "secret" not in score.explanation


def test_only_labelled_valid_rollouts_reach_the_judge():
    with endpoint(Reply()) as service:
        views = [
            RolloutView("g/0", "g", "c", "", False, "cut off"),
            RolloutView("g/1", "g", "bare", "Stop.", True),
            RolloutView("g/2", "g", "c", "Stop.", True),
        ]
        scores = reward(service.url).score(
            views, {"c": clip(), "bare": replace(clip(), clip_id="bare", label=None)}
        )
    assert [s.value for s in scores] == [0.0, None, 1.0]
    assert scores[1].status is Status.DATA
    assert len(service.got) == 1


def test_what_an_endpoint_can_enforce_is_an_option():
    with endpoint(Reply()) as service:
        judge(service.url, response_format="json_object")
        judge(service.url, response_format="text", extra_body={"top_k": 1})
    assert service.got[0]["response_format"] == {"type": "json_object"}
    assert "response_format" not in service.got[1]
    assert service.got[1]["top_k"] == 1
    with pytest.raises(ValueError, match="json_schema, json_object, text"):
        judge("http://127.0.0.1:9/v1", response_format="xml")
