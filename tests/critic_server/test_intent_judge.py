"""The second intent parser against a real HTTP server that speaks the OpenAI protocol and answers as told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from hypothesis import given
from hypothesis import strategies as st

from critic_server.intent_judge import AnswerError, intent_judge, read_answer
from rewards.consistency import ConsistencyReward
from rewards.intent_parser import parser_named
from rewards.score import RolloutView, Score, Status
from scenes.clip import Agents, Clip
from scenes.decisions import Direction, Lateral, Longitudinal
from scenes.dynamics import integrate

FACTORY = "critic_server.intent_judge:intent_judge"
STOP = "stop_for_static_constraint"
ODD = "Wheels shall cease rotating where the paint is white."
PLAIN = "Keep lane and maintain speed."


def steps(*parts: tuple[str | None, str | None, str | None]) -> str:
    keys = ("longitudinal", "lateral", "direction")
    return json.dumps({"steps": [dict(zip(keys, part, strict=True)) for part in parts]})


GOOD = steps((STOP, None, None))


@contextmanager
def endpoint(*answers: tuple[int, str], delay_s: float = 0.0) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An OpenAI-compatible server on loopback: request n gets answer n (the last one from then on); yields
    its base URL and the requests it has got."""
    app = FastAPI()
    got: list[dict[str, Any]] = []

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> Response:
        got.append(await request.json())
        status, content = answers[min(len(got), len(answers)) - 1]
        time.sleep(delay_s)
        if status != 200:
            return Response(
                json.dumps({"error": {"message": content}}), status, media_type="application/json"
            )
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
        body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
        return Response(json.dumps(body), 200, media_type="application/json")

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1", got
    finally:
        server.should_exit = True
        thread.join()


def clip() -> Clip:
    nobody = Agents((), (), np.zeros((0, 3)), np.zeros((0, 80, 3)), np.zeros((0, 80), bool))
    return Clip(
        clip_id="c",
        source="procedural/test",
        t0=0.0,
        cameras=None,
        ego_history=np.zeros((16, 4)),
        ego_future=np.zeros((64, 4)),
        actions=np.zeros((64, 2)),
        ego_size=(4.8, 1.9, 1.6, 1.4),
        agents=nobody,
    )


def score(url: str, *texts: str, **options: Any) -> list[Score]:
    """Each text against a drive that brakes to a stop."""
    acts = np.zeros((64, 2))
    acts[:40, 0] = -2.0
    reward = ConsistencyReward(parser=FACTORY, base_url=url, model="m", **options)
    states = integrate(acts, 8.0)
    views = [RolloutView(f"g/{i}", "g", "c", t, True, None, acts, states) for i, t in enumerate(texts)]
    return reward.score(views, {"c": clip()})


def test_only_what_the_rules_cannot_read_is_asked_once_a_text_with_the_schema():
    with endpoint((200, GOOD)) as (url, got):
        found = score(url, ODD, PLAIN, "Stop and accelerate to pass.", ODD, "", "Come to a stop.")
    assert [s.value for s in found] == [1.0, 0.0, 0.0, 1.0, 0.0, 1.0]
    assert "read by m" in found[0].explanation
    assert found[0].version == "2-rules-2+judge-1-m"
    assert len(got) == 1
    assert got[0]["messages"][1]["content"] == f"<text>{ODD}</text>"
    assert got[0]["response_format"]["json_schema"]["strict"] is True


def test_a_model_that_finds_nothing_is_0_and_one_that_finds_steps_has_them_checked():
    with endpoint((200, steps())) as (url, _):
        (nothing,) = score(url, ODD)
    assert (nothing.value, nothing.components["parsed"]) == (0.0, 0.0)
    with endpoint((200, steps((STOP, None, None), (None, "turn", "left")))) as (url, _):
        (two,) = score(url, ODD)
    assert two.value == 0.0
    assert "1. stop_for_static_constraint, 2. turn left" in two.explanation


@pytest.mark.parametrize(
    "answer", ["stop", "[]", '{"steps": [{"longitudinal": "stop"}]}', steps((None,) * 3)]
)
def test_a_malformed_answer_is_asked_for_once_more_and_then_missing(answer):
    with endpoint((200, answer), (200, GOOD)) as (url, got):
        (mended,) = score(url, ODD)
    assert mended.value == 1.0
    assert "required JSON" in got[1]["messages"][-1]["content"]
    with endpoint((200, answer)) as (url, got):
        (lost,) = score(url, ODD)
    assert (lost.value, lost.status, len(got)) == (None, Status.INFRASTRUCTURE, 2)
    assert "outside the schema" in lost.explanation


def test_a_model_that_cannot_be_asked_leaves_the_score_missing_and_the_others_scored():
    with endpoint((503, "loading")) as (url, got):
        lost, kept = score(url, ODD, PLAIN, retries=1)
    assert (lost.value, lost.status, kept.value, len(got)) == (None, Status.INFRASTRUCTURE, 0.0, 2)
    (dead,) = score("http://127.0.0.1:9/v1", ODD, retries=0)
    assert (dead.value, dead.status) == (None, Status.INFRASTRUCTURE)
    with endpoint((200, GOOD), delay_s=1.0) as (url, _):
        (slow,) = score(url, ODD, deadline_s=0.3)
    assert (slow.value, slow.status) == (None, Status.DEADLINE)
    with endpoint((401, "no")) as (url, _):
        (refused,) = score(url, ODD)
    assert (refused.value, refused.status) == (None, Status.REFUSED)


def test_answers_are_remembered_and_failures_are_not():
    with endpoint((503, "loading"), (200, GOOD)) as (url, got):
        judge = intent_judge(base_url=url, model="m", retries=0)
        first, second, third = (judge.parse([ODD])[0] for _ in range(3))
    assert [first.status, second.status, third.status] == [Status.INFRASTRUCTURE, Status.OK, Status.OK]
    assert second.intent == third.intent
    assert len(got) == 2


def test_a_parser_is_named_by_path_and_a_wrong_name_says_what_to_write():
    with pytest.raises(ValueError, match=r"package\.module:factory"):
        parser_named("regex")
    with pytest.raises(ValueError, match="takes no options"):
        parser_named("rules", {"model": "m"})
    with pytest.raises(TypeError, match="without parse"):
        parser_named("builtins:dict")
    with pytest.raises(TypeError, match="colour"):
        ConsistencyReward(parser=FACTORY, base_url="http://127.0.0.1:9/v1", model="m", colour="red")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from([STOP, "turn", "left"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["steps", "longitudinal", "lateral", "direction"]), inner)
    ),
)


@given(st.one_of(st.text(max_size=50), JSON.map(json.dumps)))
def test_an_answer_is_steps_of_the_closed_sets_or_an_error(content):
    try:
        found = read_answer(content)
    except AnswerError:
        return
    for step in found:
        assert isinstance(step.longitudinal, Longitudinal | None)
        assert isinstance(step.lateral, Lateral | None)
        assert isinstance(step.direction, Direction | None)
        assert step.longitudinal is not None or step.lateral is not None
