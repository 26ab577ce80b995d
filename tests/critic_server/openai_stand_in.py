"""A stand-in for somebody else's OpenAI-compatible service, on loopback, that answers as told."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response


def grades(behaviour: int, causes: int, explanation: str | None = "Same behaviour.") -> str:
    """The content of a good answer; without an explanation as a brief judge gives it."""
    parts: dict[str, Any] = {} if explanation is None else {"explanation": explanation}
    return json.dumps(parts | {"behaviour": behaviour, "causes": causes})


@dataclass(frozen=True)
class Reply:
    """One answer. body: sent as it is instead of a completion; digits: for expected grades, the
    log-probabilities at each grade's digit, {part: {digit: logprob}}."""

    content: str | None = field(default_factory=lambda: grades(5, 5))
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    delay_s: float = 0.0
    finish: str = "stop"
    reasoning: str | None = None
    digits: dict[str, dict[str, float]] = field(default_factory=dict)
    usage: tuple[int, int] = (90, 10)
    media: str = "application/json"


@dataclass
class Endpoint:
    """url: base URL; got: the requests so far, each with its `authorization`, and `at` in monotonic seconds."""

    url: str = ""
    got: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def endpoint(*replies: Reply) -> Iterator[Endpoint]:
    """Request n gets reply n, the last one from then on."""
    app, told = FastAPI(), Endpoint()

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> Response:
        authorization = request.headers.get("authorization")
        told.got.append(await request.json() | {"authorization": authorization, "at": time.monotonic()})
        reply = replies[min(len(told.got), len(replies)) - 1]
        await asyncio.sleep(reply.delay_s)
        if reply.body is not None:
            return Response(reply.body, reply.status, reply.headers, reply.media)
        if reply.status != 200:
            error = json.dumps({"error": {"message": reply.content}})
            return Response(error, reply.status, reply.headers, "application/json")
        return Response(json.dumps(_completion(reply)), 200, media_type="application/json")

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        told.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
        yield told
    finally:
        server.should_exit = True
        thread.join()


def _completion(reply: Reply) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.content}
    if reply.reasoning is not None:
        message["reasoning_content"] = reply.reasoning
    choice: dict[str, Any] = {"index": 0, "finish_reason": reply.finish, "message": message}
    if reply.digits:
        choice["logprobs"] = {"content": _tokens(reply.content or "", reply.digits)}
    sent, got = reply.usage
    usage = {"prompt_tokens": sent, "completion_tokens": got, "total_tokens": sent + got}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [choice],
        "usage": usage,
    }


def _tokens(content: str, digits: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """The content character by character, alternatives at the digits in the order of the parts."""
    queue = list(digits.values())
    found = []
    for character in content:
        chances = queue.pop(0) if character.isdigit() and queue else {character: 0.0}
        others = [{"token": token, "logprob": value, "bytes": None} for token, value in chances.items()]
        found.append({"token": character, "logprob": 0.0, "bytes": None, "top_logprobs": others})
    return found
