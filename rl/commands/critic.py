"""`ar1 critic`: the reasoning critic as a reward server."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, help="Serve the critic that grades reasoning text.")


class Backend(StrEnum):
    """Who grades."""

    RUBRIC = "rubric"
    OPENAI = "openai"


@app.callback()
def critic() -> None:
    """Grades a rollout's reasoning against the clip's Chain-of-Causation label, 0 to 5, scaled to [0, 1]."""


@app.command()
def serve(
    backend: Annotated[
        Backend, typer.Option(help="Deterministic rubric, or a language model.")
    ] = Backend.RUBRIC,
    base_url: Annotated[str | None, typer.Option(help="openai: endpoint, http://HOST:PORT/v1.")] = None,
    model: Annotated[str | None, typer.Option(help="openai: the model's name there.")] = None,
    api_key_file: Annotated[Path | None, typer.Option(help="openai: file with the API key.")] = None,
    images: Annotated[
        bool, typer.Option(help="openai: show the judge the last frame of every camera.")
    ] = False,
    deadline: Annotated[
        float, typer.Option(min=1.0, help="openai: seconds for one verdict with retries.")
    ] = 60.0,
    parallel: Annotated[int, typer.Option(min=1, help="openai: requests in flight.")] = 16,
    lenient: Annotated[
        bool, typer.Option(help="rubric: 1 of 5 for one axis right (policies hack this).")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    port_file: Annotated[Path | None, typer.Option(help="Write host:port here once bound.")] = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Prometheus on loopback; 0 takes a free port.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Announce as JSON lines.")] = False,
) -> None:
    """Serve the reward "reasoning" over gRPC until Ctrl-C or SIGTERM.

    The rubric parses decision and causes from the text and compares them with the label: free, instant,
    the same every time. A language model judges meaning; any OpenAI-compatible server will do:

      ar1 critic serve --port 50052

      ar1 critic serve --backend openai --base-url http://127.0.0.1:8000/v1 --model deepseek-r1

    Use it in a job as  source: grpc://127.0.0.1:50052/reasoning
    """
    from rewards.registry import RewardSource
    from rewards.server import ServerConfig, run

    options: dict[str, Any] = {"backend": backend.value}
    if backend is Backend.OPENAI:
        if not base_url or not model:
            raise typer.BadParameter("the openai back end needs --base-url and --model")
        options |= {"base_url": base_url, "model": model, "images": images}
        options |= {"deadline_s": deadline, "concurrency": parallel}
        if api_key_file:
            options["api_key_file"] = str(api_key_file)
    else:
        options["strict"] = not lenient
    config = ServerConfig(
        rewards=(RewardSource("reasoning", options=options),),
        port=port,
        port_file=str(port_file) if port_file else None,
        timeout_s=10.0 if backend is Backend.RUBRIC else 4.0 * deadline,
        metrics_port=metrics_port,
        json_lines=as_json,
    )
    raise typer.Exit(run(config))
