"""The language-model judge against a real HTTP server that answers as told."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI, Request, Response

from critic_server.judge import AnswerError, read_answer
from critic_server.reasoning import ReasoningReward
from rewards.description import Need, describe
from rewards.score import RolloutView, Score, Status
from scenes.clip import Agents, Cameras, ChainOfCausation, Clip
from scenes.decisions import Lateral, Longitudinal

GOOD = json.dumps({"explanation": "Same behaviour.", "grade": 4})


def clip() -> Clip:
    nobody = Agents((), (), np.zeros((0, 3)), np.zeros((0, 80, 3)), np.zeros((0, 80), bool))
    frames = np.zeros((2, 3, 4, 6, 3), np.uint8)
    return Clip(
        clip_id="c",
        source="procedural/test",
        t0=0.0,
        cameras=Cameras(("front_wide", "front_tele"), frames, np.array([-0.2, -0.1, 0.0])),
        ego_history=np.zeros((16, 4)),
        ego_future=np.zeros((64, 4)),
        actions=np.zeros((64, 2)),
        ego_size=(4.8, 1.9, 1.6, 1.4),
        agents=nobody,
        label=ChainOfCausation("Stop, red.", Longitudinal.STOP_STATIC, Lateral.LANE_KEEPING, None, ()),
    )


@contextmanager
def endpoint(*answers: tuple[int, str], delay_s: float = 0.0) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An OpenAI-compatible server on loopback: request n gets answer n (the last one from then on); yields
    its base URL and the requests it has got."""
    app = FastAPI()
    got: list[dict[str, Any]] = []

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> Response:
        got.append(await request.json() | {"authorization": request.headers.get("authorization")})
        status, content = answers[min(len(got), len(answers)) - 1]
        time.sleep(delay_s)
        if status != 200:
            headers = {"retry-after": "0.01"} if status == 429 else {}
            return Response(json.dumps({"error": {"message": content}}), status, headers, "application/json")
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
        usage = {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100}
        body = {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }
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


def judge(url: str, count: int = 1, cameras: bool = False, **options: Any) -> list[Score]:
    options = {"deadline_s": 10.0} | options
    reward = ReasoningReward(backend="openai", base_url=url, model="m", images=cameras, **options)
    views = [RolloutView(f"g/{i}", "g", "c", f"Stop at the line {i}.", True) for i in range(count)]
    return reward.score(views, {"c": clip()})


def test_a_verdict_is_a_fifth_of_its_grade_and_the_schema_is_demanded():
    with endpoint((200, GOOD)) as (url, got):
        scores = judge(url, 3)
    assert [s.value for s in scores] == [0.8] * 3
    assert scores[0].components == {"tokens": 100.0, "grade": 4.0}
    assert scores[0].explanation == "Same behaviour."
    assert scores[0].version == "judge-1-m"
    schema = got[0]["response_format"]["json_schema"]
    assert (got[0]["response_format"]["type"], schema["strict"]) == ("json_schema", True)
    told = "\n".join(message["content"] for message in got[0]["messages"])
    assert "<reference>Stop, red.</reference>" in told
    assert sorted(g["messages"][1]["content"].split("line ")[1][0] for g in got) == ["0", "1", "2"]


@pytest.mark.parametrize("fault", [(429, "slow down"), (500, "oops"), (503, "loading")])
def test_faults_that_pass_are_retried(fault):
    with endpoint(fault, fault, (200, GOOD)) as (url, got):
        (score,) = judge(url)
    assert (score.value, score.attempts, len(got)) == (0.8, 3, 3)


def test_a_judge_that_stays_away_is_missing():
    with endpoint((503, "loading")) as (url, _):
        (score,) = judge(url, deadline_s=1.0)
    assert (score.value, score.status) == (None, Status.INFRASTRUCTURE)
    assert "loading" in score.explanation
    (dead,) = judge("http://127.0.0.1:9/v1", deadline_s=1.0)
    assert (dead.value, dead.status) == (None, Status.INFRASTRUCTURE)


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refusal_is_not_retried(status):
    with endpoint((status, "no")) as (url, got):
        (score,) = judge(url)
    assert (score.value, score.status, len(got)) == (None, Status.REFUSED, 1)


def test_a_slow_judge_is_a_deadline():
    with endpoint((200, GOOD), delay_s=1.5) as (url, _):
        (score,) = judge(url, deadline_s=0.5)
    assert (score.value, score.status) == (None, Status.DEADLINE)


def test_an_answer_outside_the_schema_is_asked_for_once_more_and_then_missing():
    with endpoint((200, "Grade: 4"), (200, GOOD)) as (url, got):
        (mended,) = judge(url)
    assert (mended.value, mended.attempts) == (0.8, 2)
    assert "required JSON" in got[1]["messages"][-1]["content"]
    with endpoint((200, "Grade: 4")) as (url, _):
        (lost,) = judge(url)
    assert (lost.value, lost.status) == (None, Status.REWARD_BUG)
    assert "no JSON" in lost.explanation


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "4",
        '{"grade": 6, "explanation": ""}',
        '{"grade": 4.0, "explanation": ""}',
        '{"grade": true, "explanation": ""}',
        '{"grade": 4}',
    ],
)
def test_no_grade_is_read_out_of_nonsense(content):
    with pytest.raises(AnswerError):
        read_answer(content)


def test_images_are_sent_only_when_asked_for():
    with endpoint((200, GOOD)) as (url, got):
        judge(url, cameras=True)
        judge(url)
    parts = got[0]["messages"][1]["content"]
    pictures = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    assert len(pictures) == 2
    assert base64.b64decode(pictures[0].split(",")[1])[:4] == b"\x89PNG"
    assert isinstance(got[1]["messages"][1]["content"], str)
    seeing = ReasoningReward(backend="openai", base_url=url, model="m", images=True)
    assert Need.IMAGES in describe(seeing).needs


def test_the_key_comes_from_a_file(tmp_path):
    secret = tmp_path / "key"
    secret.write_text("sk-1\n")
    secret.chmod(0o600)
    with endpoint((200, GOOD)) as (url, got):
        judge(url, api_key_file=str(secret))
        judge(url)
    assert [g["authorization"] for g in got] == ["Bearer sk-1", "Bearer none"]


def test_only_labelled_valid_rollouts_reach_the_judge():
    with endpoint((200, GOOD)) as (url, got):
        reward = ReasoningReward(backend="openai", base_url=url, model="m")
        views = [
            RolloutView("g/0", "g", "c", "", False, "cut off"),
            RolloutView("g/1", "g", "bare", "Stop.", True),
            RolloutView("g/2", "g", "c", "Stop.", True),
        ]
        scores = reward.score(views, {"c": clip(), "bare": replace(clip(), clip_id="bare", label=None)})
    assert [s.value for s in scores] == [0.0, None, 0.8]
    assert scores[1].status is Status.DATA
    assert len(got) == 1
