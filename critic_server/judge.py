"""A language model behind any OpenAI-compatible endpoint as grader of batches.

Role: what was answered before comes from the cache, what stands twice in a batch is asked once, the rest is
asked concurrently.
Invariant: one verdict a question, in order, by the batch's deadline; an answer is kept as soon as it is read,
so that a batch that is cut short loses nothing that was paid for.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai

from critic_server import prompt
from critic_server.cache import AnswerCache, answer_key
from critic_server.conversation import Conversation
from critic_server.judge_config import JudgeConfig
from critic_server.rate_limit import RateLimit
from critic_server.spending import Price, Spending
from critic_server.verdict import Question, Verdict
from rewards.secret_files import read_secret


class Judge:
    """One model. Answers, spending and rates live in `connection`, shared with whoever opened the same file.

    judge = Judge(JudgeConfig("http://127.0.0.1:8000/v1", "m"), open_database("critic.sqlite"), None, None)
    verdicts = await judge.ask_all(questions, [q.text for q in questions], end=time.monotonic() + 60)
    """

    def __init__(
        self, config: JudgeConfig, connection: sqlite3.Connection, price: Price | None, max_usd: float | None
    ) -> None:
        self.config = config
        self.name = config.model
        self._cache = AnswerCache(connection)
        self._limit = RateLimit(connection, f"{config.base_url} {config.model}", config.limits)
        self._spending = Spending(connection, config.model, price, max_usd)

    async def ask_all(
        self,
        questions: Sequence[Question],
        seen: Sequence[str],
        end: float,
        sample: int = 0,
        swapped: bool = False,
        fresh: bool = False,
    ) -> list[Verdict]:
        """Verdicts in order by `end` (monotonic seconds). seen: each question's trace as the judge may see it;
        sample, swapped: see `critic_server.verdict.Grader`; fresh: neither read the cache nor fill it."""
        requests: dict[str, dict[str, Any]] = {}
        keys = []
        for question, text in zip(questions, seen, strict=True):
            fields = self.config.request(prompt.messages(question, text, swapped))
            if sample and "seed" in fields:
                fields["seed"] += sample
            keys.append(answer_key(fields, sample))
            requests.setdefault(keys[-1], fields)
        verdicts: dict[str, Verdict] = {}
        if not fresh:
            verdicts = {key: found for key in requests if (found := self._cache.get(key)) is not None}
        left = {key: fields for key, fields in requests.items() if key not in verdicts}
        shared = len(keys) - len(requests)
        self._spending.count({"hits": len(verdicts), "shared": shared})
        if left:
            verdicts |= await self._ask(left, end, keep=not fresh)
        first: set[str] = set()
        return [self._handed_out(verdicts[key], key, first) for key in keys]

    @staticmethod
    def _handed_out(verdict: Verdict, key: str, first: set[str]) -> Verdict:
        """The verdict for one of the questions that share it: requests and cost are the first one's."""
        if key not in first:
            first.add(key)
            return verdict
        return replace(verdict, attempts=0, prompt_tokens=0, completion_tokens=0, usd=0.0, cached=True)

    async def _ask(self, requests: dict[str, dict[str, Any]], end: float, keep: bool) -> dict[str, Verdict]:
        config = self.config
        secret = read_secret(Path(config.api_key_file), shortest=1) if config.api_key_file else "none"
        slots = asyncio.Semaphore(config.concurrency)

        async def one(key: str, fields: dict[str, Any]) -> tuple[str, Verdict]:
            async with slots:
                outcome = await conversation.ask(fields, min(end, time.monotonic() + config.deadline_s))
            verdict, answer = outcome.verdict, outcome.answer
            if answer is not None and keep:
                usage = (verdict.prompt_tokens, verdict.completion_tokens, verdict.usd)
                self._cache.put(key, config.model, prompt.VERSION, answer, outcome.raw, usage)
            return key, verdict

        async with openai.AsyncOpenAI(base_url=config.base_url, api_key=secret, max_retries=0) as client:
            conversation = Conversation(client, config, self._limit, self._spending)
            return dict(await asyncio.gather(*(one(key, fields) for key, fields in requests.items())))
