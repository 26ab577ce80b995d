"""Which language model judges, where, and within what limits. Imports no HTTP client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from critic_server import prompt
from critic_server.answer import schema
from critic_server.rate_limit import Limits
from rewards.backoff import Backoff

FORMATS = ("json_schema", "json_object", "text")


@dataclass(frozen=True)
class JudgeConfig:
    """base_url: ".../v1" of the endpoint; model: its name there; deadline_s: for one question with retries;
    concurrency: requests in flight; api_key_file: secret, read for every batch, where the endpoint wants one.

    explain: demand a sentence of explanation before the grades; top_logprobs: from 6, grades are expected
    values over the digits' probabilities where the endpoint offers them (0: the digits as written);
    response_format: what the endpoint can enforce (every answer is checked here in any case); rpm, tpm:
    requests and tokens a minute; extra_body: further fields of the request, e.g. vLLM's."""

    base_url: str
    model: str
    deadline_s: float = 60.0
    concurrency: int = 16
    temperature: float = 0.0
    max_tokens: int = 400
    seed: int | None = 0
    api_key_file: str | None = None
    explain: bool = True
    top_logprobs: int = 0
    response_format: str = "json_schema"
    rpm: float | None = None
    tpm: float | None = None
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    backoff: Backoff = field(default_factory=lambda: Backoff(0.5, 8.0))

    def __post_init__(self) -> None:
        if self.response_format not in FORMATS:
            raise ValueError(
                f"response_format {self.response_format!r} is unknown; one of {', '.join(FORMATS)}"
            )
        if not 0 <= self.top_logprobs <= 20:
            raise ValueError(f"top_logprobs {self.top_logprobs} must be 0 to 20")
        if self.concurrency < 1 or not self.deadline_s > 0 or self.max_tokens < 1:
            raise ValueError("concurrency and max_tokens must be at least 1 and deadline_s above 0")

    @property
    def limits(self) -> Limits:
        """Rates a minute."""
        return Limits(self.rpm, self.tpm)

    @property
    def version(self) -> str:
        """Changes with everything that changes a grade: wording, model, mode of reading."""
        mode = ("" if self.explain else "-brief") + ("-expected" if self.top_logprobs else "")
        return f"judge-{prompt.VERSION}-{prompt.digest()}-{self.model}{mode}"

    def request(self, chat: list[dict[str, Any]]) -> dict[str, Any]:
        """The fields of a chat-completions request that decide its answer; the cache key is made of them."""
        fields: dict[str, Any] = {
            "model": self.model,
            "messages": chat,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
        }
        if self.seed is not None:
            fields["seed"] = self.seed
        if self.response_format == "json_schema":
            fields["response_format"] = {"type": "json_schema", "json_schema": schema(self.explain)}
        elif self.response_format == "json_object":
            fields["response_format"] = {"type": "json_object"}
        if self.top_logprobs:
            fields |= {"logprobs": True, "top_logprobs": self.top_logprobs}
        if self.extra_body:
            fields["extra_body"] = dict(self.extra_body)
        return fields
