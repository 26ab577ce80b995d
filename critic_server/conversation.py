"""One question put to an OpenAI-compatible endpoint: limits, retries, one repair turn, the answer read.

Invariant: grades, or a reason why there are none. Only faults that may pass (no connection, a garbled reply,
429, 5xx) are retried, within the deadline; an answer outside the schema is asked for once more, with what was
wrong with it, and then given up.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass, replace
from typing import Any, cast

import openai

from critic_server.answer import Answer, AnswerError, expected_value, read_answer
from critic_server.judge_config import JudgeConfig
from critic_server.rate_limit import RateLimit
from critic_server.scale import total
from critic_server.spending import BudgetError, Spending
from critic_server.verdict import Verdict
from rewards.score import Status

CHARS_PER_TOKEN = 3  # a low guess, so that bookings are rather high
TOKENS_PER_IMAGE = 1_000
REPAIR_CHARS = 2_000
SECRET_CHARS = 8  # anything shorter is no key but a placeholder
MOST_TOLD = 400


class ReplyError(RuntimeError):
    """What came back is no chat completion."""


@dataclass(frozen=True)
class Outcome:
    """verdict; answer and raw: what to remember, None without grades."""

    verdict: Verdict
    answer: Answer | None = None
    raw: str = ""


@dataclass
class _Bill:
    attempts: int = 0
    prompt: int = 0
    completion: int = 0
    usd: float | None = 0.0

    def add(self, prompt: int, completion: int, usd: float | None) -> None:
        self.prompt, self.completion = self.prompt + prompt, self.completion + completion
        self.usd = None if usd is None or self.usd is None else self.usd + usd

    def verdict(self, status: Status, why: str, answer: Answer | None = None) -> Verdict:
        plain = Verdict(
            Status.REFUSED, why, None, None, None, self.attempts, self.prompt, self.completion, self.usd
        )
        if answer is None:
            return replace(plain, status=status)
        grades = (answer.behaviour, answer.causes, total(answer.behaviour, answer.causes))
        parts = dict(zip(("behaviour", "causes", "total"), grades, strict=True))
        return replace(plain, status=status, expected=answer.expected, **cast(Any, parts))


class Conversation:
    """Asks for one judge; its limits are shared through the critic's database."""

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        config: JudgeConfig,
        limit: RateLimit,
        spending: Spending,
        seed: int = 0,
    ) -> None:
        self._client, self._config, self._limit, self._spending = client, config, limit, spending
        self._rng = random.Random(seed)

    async def ask(self, fields: dict[str, Any], end: float) -> Outcome:
        """Grades for a request (see JudgeConfig.request) before `end` (monotonic seconds)."""
        bill, repairs, faults = _Bill(), 0, 0
        last = "no time was left for a request"
        while (left := end - time.monotonic()) > 0:
            try:
                content, answer = await self._once(fields, left, bill)
                return Outcome(
                    bill.verdict(Status.OK, answer.explanation or _tell(answer), answer), answer, content
                )
            except _Unreadable as error:
                if repairs:
                    return Outcome(bill.verdict(Status.REWARD_BUG, f"after a repair turn: {error}"))
                repairs += 1
                self._spending.count({"repairs": 1})
                fields = fields | {"messages": [*fields["messages"], *_complaint(error)]}
            except BudgetError as error:
                return Outcome(bill.verdict(Status.REFUSED, str(error)))
            except _NoTurnError as error:
                return Outcome(bill.verdict(Status.DEADLINE, str(error)))
            except openai.APITimeoutError:
                return Outcome(bill.verdict(Status.DEADLINE, f"the judge took over {left:.1f} s"))
            except (
                openai.APIConnectionError,
                openai.RateLimitError,
                openai.InternalServerError,
                ReplyError,
            ) as error:
                faults += 1
                last = f"{type(error).__name__}: {self._told(error)}"
                pause = max(self._config.backoff.pause(faults, self._rng), _asked_pause(error))
                await asyncio.sleep(min(pause, max(end - time.monotonic(), 0.0)))
            except openai.APIStatusError as error:
                return Outcome(bill.verdict(Status.REFUSED, f"{error.status_code}: {self._told(error)}"))
        return Outcome(bill.verdict(Status.INFRASTRUCTURE, f"judge unreachable: {last}"))

    def _told(self, error: Exception) -> str:
        """An error's text, short and without the key, which services like to quote."""
        text, secret = str(error), self._client.api_key
        return (text.replace(secret, "***") if len(secret) >= SECRET_CHARS else text)[:MOST_TOLD]

    async def _once(self, fields: dict[str, Any], left: float, bill: _Bill) -> tuple[str, Answer]:
        """One request within the limits; books, bills and reads it."""
        end = time.monotonic() + left
        prompt, most = _estimate(fields), self._config.max_tokens
        wait = self._limit.take(prompt + most)
        if wait >= left:
            self._limit.give_back(1, prompt + most)
            raise _NoTurnError(f"rate limit: the next turn is in {wait:.1f} s, {left:.1f} s were left")
        await asyncio.sleep(wait)
        try:
            booked = self._spending.book(prompt, most)
        except BudgetError:
            self._limit.give_back(1, prompt + most)
            raise
        bill.attempts += 1
        try:
            reply = await self._create(fields, max(end - time.monotonic(), 0.001))
        except openai.APITimeoutError:
            raise  # it may have been billed: the booking stands
        except (openai.APIError, ReplyError):
            self._spending.cancel(booked)
            raise
        used = reply.usage
        sent, got = (used.prompt_tokens, used.completion_tokens) if used else (prompt, most)
        details = getattr(used, "prompt_tokens_details", None)
        cached = getattr(details, "cached_tokens", None) or 0
        self._limit.give_back(0, prompt + most - sent - got)
        bill.add(sent, got, self._spending.settle(booked, sent, got, cached))
        return self._read(reply)

    async def _create(self, fields: dict[str, Any], timeout: float) -> Any:
        try:
            reply = await self._client.chat.completions.create(**cast(Any, fields), timeout=timeout)
        except json.JSONDecodeError as error:
            raise ReplyError(f"the reply's body is no JSON: {error}") from error
        if not getattr(reply, "choices", None):
            raise ReplyError(f"the reply holds no choices: {str(reply)[:120]!r}")
        return reply

    def _read(self, reply: Any) -> tuple[str, Answer]:
        choice = reply.choices[0]
        content = choice.message.content or ""
        thoughts = getattr(choice.message, "reasoning_content", None) or getattr(
            choice.message, "reasoning", None
        )
        try:
            if not content.strip() and thoughts:
                raise AnswerError("the answer ended within its reasoning; raise max_tokens")
            answer = read_answer(content, self._config.explain)
        except AnswerError as error:
            cut = " (cut off at max_tokens)" if choice.finish_reason == "length" else ""
            raise _Unreadable(f"{error}{cut}", content) from error
        if self._config.top_logprobs and choice.logprobs is not None:
            answer = _expected(answer, choice.logprobs.content or ())
        return content, answer


class _NoTurnError(RuntimeError):
    """The rate limit leaves no turn before the deadline."""


class _Unreadable(AnswerError):  # noqa: N818
    def __init__(self, why: str, content: str) -> None:
        super().__init__(why)
        self.content = content


def _expected(answer: Answer, content: Any) -> Answer:
    tokens = [(t.token, [(o.token, o.logprob) for o in t.top_logprobs or ()]) for t in content]
    behaviour, causes = expected_value("behaviour", tokens), expected_value("causes", tokens)
    if behaviour is None or causes is None:
        return answer
    return replace(answer, behaviour=behaviour, causes=causes, expected=True)


def _complaint(error: _Unreadable) -> list[dict[str, Any]]:
    said = error.content[:REPAIR_CHARS].strip() or "(nothing)"
    ask = f"That was not the required JSON ({error}). Answer again, with the JSON object alone."
    return [{"role": "assistant", "content": said}, {"role": "user", "content": ask}]


def _tell(answer: Answer) -> str:
    return f"behaviour {answer.behaviour:.2f}, causes {answer.causes:.2f} of 5"


def _estimate(fields: dict[str, Any]) -> int:
    """Tokens of a prompt, guessed from its characters and images."""
    tokens = 0
    for message in fields["messages"]:
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for part in parts:
            is_text = part["type"] == "text"
            tokens += len(part["text"]) // CHARS_PER_TOKEN + 4 if is_text else TOKENS_PER_IMAGE
    return tokens


def _asked_pause(error: Exception) -> float:
    """Seconds of a Retry-After header; 0 without a readable one."""
    response = getattr(error, "response", None)
    asked = response.headers.get("retry-after", "") if response is not None else ""
    return float(asked) if asked.replace(".", "", 1).isdigit() else 0.0
