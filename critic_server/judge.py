"""A language model behind any OpenAI-compatible endpoint as grader.

Invariant: a grade, or a reason why there is none; never a made-up grade. Only faults that may pass (no
connection, time-outs, 429, 5xx) are retried, within the deadline; an answer outside the schema is asked for
once more and then given up.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import openai

from critic_server.prompt import SCHEMA
from rewards.backoff import Backoff
from rewards.score import Status
from rewards.secret_files import read_secret


@dataclass(frozen=True)
class JudgeConfig:
    """base_url: ".../v1" of the endpoint; model: its name there; deadline_s: for one rollout with retries;
    concurrency: requests in flight; api_key_file: secret, where the endpoint wants one."""

    base_url: str
    model: str
    deadline_s: float = 60.0
    concurrency: int = 16
    temperature: float = 0.0
    max_tokens: int = 400
    api_key_file: str | None = None
    backoff: Backoff = field(default_factory=lambda: Backoff(0.5, 8.0))


@dataclass(frozen=True)
class Verdict:
    """grade 0 to 5, or None with the status and cause. attempts: requests made; tokens: billed, in and out."""

    grade: int | None
    status: Status
    explanation: str
    attempts: int = 1
    tokens: int = 0


class AnswerError(ValueError):
    """The judge's answer does not follow the schema."""


async def judge_all(config: JudgeConfig, chats: list[list[dict[str, Any]]], seed: int = 0) -> list[Verdict]:
    """One verdict a chat, in order."""
    key = read_secret(Path(config.api_key_file), shortest=1) if config.api_key_file else "none"
    slots = asyncio.Semaphore(config.concurrency)
    rng = random.Random(seed)

    async def one(chat: list[dict[str, Any]]) -> Verdict:
        async with slots:
            return await _judge(client, config, chat, rng)

    async with openai.AsyncOpenAI(base_url=config.base_url, api_key=key, max_retries=0) as client:
        return list(await asyncio.gather(*(one(chat) for chat in chats)))


async def _judge(
    client: openai.AsyncOpenAI, config: JudgeConfig, chat: list[dict[str, Any]], rng: random.Random
) -> Verdict:
    end = time.monotonic() + config.deadline_s
    attempt, repairs, tokens = 0, 0, 0
    last = "no time was left for a request"
    while (left := end - time.monotonic()) > 0:
        attempt += 1
        try:
            answer = await client.chat.completions.create(
                model=config.model,
                messages=cast(Any, chat),
                temperature=config.temperature,
                max_tokens=config.max_tokens,
                response_format=cast(Any, {"type": "json_schema", "json_schema": SCHEMA}),
                timeout=left,
            )
            tokens += answer.usage.total_tokens if answer.usage else 0
            grade, why = read_answer(answer.choices[0].message.content or "")
            return Verdict(grade, Status.OK, why, attempt, tokens)
        except AnswerError as error:
            repairs += 1
            if repairs > 1:
                return Verdict(None, Status.REWARD_BUG, str(error), attempt, tokens)
            complaint = f"That was not the required JSON ({error}). Answer again, with the JSON object alone."
            chat = [*chat, {"role": "user", "content": complaint}]
            continue
        except openai.APITimeoutError:
            return Verdict(None, Status.DEADLINE, f"the judge took over {left:.1f} s", attempt, tokens)
        except (openai.APIConnectionError, openai.RateLimitError, openai.InternalServerError) as error:
            last = f"{type(error).__name__}: {error}"
            pause = max(config.backoff.pause(attempt, rng), _asked_pause(error))
            await asyncio.sleep(min(pause, max(end - time.monotonic(), 0.0)))
        except openai.APIStatusError as error:
            return Verdict(None, Status.REFUSED, f"{error.status_code}: {error}", attempt, tokens)
    return Verdict(None, Status.INFRASTRUCTURE, f"judge unreachable: {last}", attempt, tokens)


def read_answer(content: str) -> tuple[int, str]:
    """(grade, explanation) of the judge's JSON; AnswerError says what is wrong with it."""
    try:
        answer = json.loads(content)
    except json.JSONDecodeError as error:
        raise AnswerError(f"no JSON: {error}; began {content[:80]!r}") from error
    if not isinstance(answer, dict):
        raise AnswerError(f"a {type(answer).__name__} instead of an object")
    grade, why = answer.get("grade"), answer.get("explanation")
    if type(grade) is not int or not 0 <= grade <= 5 or not isinstance(why, str):
        raise AnswerError(f"grade {grade!r} is not an integer from 0 to 5, or explanation is no text")
    return grade, why


def _asked_pause(error: openai.APIError) -> float:
    """Seconds of a Retry-After header; 0 without a readable one."""
    response = getattr(error, "response", None)
    asked = response.headers.get("retry-after", "") if response is not None else ""
    return float(asked) if asked.replace(".", "", 1).isdigit() else 0.0
