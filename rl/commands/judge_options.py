"""The options by which commands name who judges: rubric, one endpoint, or a file of several.

Invariant: importing this module is light.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from critic_server.verdict import Grader


class Backend(StrEnum):
    """Who grades."""

    RUBRIC = "rubric"
    OPENAI = "openai"


class Guard(StrEnum):
    """Which traces no judge may grade above the rubric."""

    FLAGGED = "flagged"
    ALWAYS = "always"
    OFF = "off"


BackendOption = Annotated[
    Backend, typer.Option("--backend", help="Deterministic rubric, or language models.")
]
BaseUrl = Annotated[str | None, typer.Option("--base-url", help="openai: endpoint, http://HOST:PORT/v1.")]
Model = Annotated[str | None, typer.Option("--model", help="openai: the model's name there.")]
KeyFile = Annotated[Path | None, typer.Option("--api-key-file", help="openai: file with the API key.")]
Judges = Annotated[
    Path | None,
    typer.Option(
        "--judges",
        help="openai: YAML of options instead of the single ones: judges (list of base_url, model, …), combine "
        "(mean, median), quorum, and any other field; see docs/critic.md.",
    ),
]
Cache = Annotated[
    Path | None, typer.Option("--cache", help="openai: SQLite file for answers, spending, rates and canary.")
]
Prices = Annotated[
    Path | None, typer.Option("--prices", help="openai: YAML price table, USD per million tokens.")
]
MaxUsd = Annotated[
    float | None,
    typer.Option("--max-usd", min=0.0, help="openai: stop asking at this sum, for the cache's life."),
]
Rpm = Annotated[float | None, typer.Option("--rpm", help="openai: most requests a minute.")]
Tpm = Annotated[float | None, typer.Option("--tpm", help="openai: most tokens a minute.")]
Brief = Annotated[
    bool, typer.Option("--brief", help="openai: grades alone, without an explanation before them.")
]
Expected = Annotated[
    bool, typer.Option("--expected", help="openai: expected grades over the digits' log-probabilities.")
]
Guarded = Annotated[
    Guard, typer.Option("--guard", help="openai: traces that no judge may grade above the rubric.")
]
Lenient = Annotated[
    bool, typer.Option("--lenient", help="rubric: 1 of 5 for one axis right (policies hack this).")
]
Deadline = Annotated[
    float, typer.Option("--deadline", min=1.0, help="openai: seconds for one verdict with retries.")
]
Parallel = Annotated[int, typer.Option("--parallel", min=1, help="openai: requests in flight.")]
TOP_LOGPROBS = 12


def judge_options(
    base_url: str | None,
    model: str | None,
    api_key_file: Path | None,
    judges: Path | None,
    cache: Path | None,
    prices: Path | None,
    max_usd: float | None,
    rpm: float | None,
    tpm: float | None,
    brief: bool,
    expected: bool,
    guard: Guard,
    deadline: float,
    parallel: int,
) -> dict[str, Any]:
    """Options of the reasoning reward for the openai back end. BadParameter without an endpoint."""
    if judges is None and not (base_url and model):
        raise typer.BadParameter("the openai back end needs --base-url and --model, or --judges FILE")
    options: dict[str, Any] = {"deadline_s": deadline, "concurrency": parallel, "guard": guard.value}
    paths = {"api_key_file": api_key_file, "cache": cache, "prices": prices}
    options |= {name: str(path) for name, path in paths.items() if path}
    single = {"base_url": base_url, "model": model, "max_usd": max_usd, "rpm": rpm, "tpm": tpm}
    options |= {name: value for name, value in single.items() if value is not None}
    if brief:
        options["explain"] = False
    if expected:
        options["top_logprobs"] = TOP_LOGPROBS
    return options | (_read(judges) if judges else {})


def _read(path: Path) -> dict[str, Any]:
    import yaml

    found = yaml.safe_load(path.read_text())
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{path} must be a mapping with `judges: [...]`", param_hint="--judges")
    return found


def grader(backend: Backend, lenient: bool, options: dict[str, Any]) -> Grader:
    """The grader itself, for commands that grade in their own process. batch_s: an hour, unless given."""
    from critic_server.calibration import RubricGrader
    from critic_server.panel import Panel, panel_config

    if backend is Backend.RUBRIC:
        return RubricGrader(strict=not lenient)
    return Panel(panel_config({"batch_s": 3600.0} | options), strict=not lenient)
