"""`ar1 critic`: the reasoning critic as a reward server, and how far it can be trusted."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rl.commands import critic_trust
from rl.commands import judge_options as judging
from rl.commands import server_options as opts

app = typer.Typer(no_args_is_help=True, help="Serve the critic that grades reasoning text, and measure it.")
BATCH_DEADLINES = 4.0


@app.callback()
def critic() -> None:
    """Grades a rollout's reasoning against the clip's Chain-of-Causation label, 0 to 5, scaled to [0, 1]."""


@app.command()
def serve(
    backend: judging.BackendOption = judging.Backend.RUBRIC,
    base_url: judging.BaseUrl = None,
    model: judging.Model = None,
    api_key_file: judging.KeyFile = None,
    judges: judging.Judges = None,
    cache: judging.Cache = None,
    prices: judging.Prices = None,
    max_usd: judging.MaxUsd = None,
    rpm: judging.Rpm = None,
    tpm: judging.Tpm = None,
    brief: judging.Brief = False,
    expected: judging.Expected = False,
    guard: judging.Guarded = judging.Guard.FLAGGED,
    images: Annotated[
        bool, typer.Option(help="openai: show the judges the last image of the front camera.")
    ] = False,
    canary_every: Annotated[
        int, typer.Option(min=0, help="openai: batches between two looks at the canary set; 0: never.")
    ] = 0,
    deadline: judging.Deadline = 60.0,
    parallel: judging.Parallel = 16,
    lenient: judging.Lenient = False,
    workers: Annotated[int, typer.Option(min=1, help="Scoring processes.")] = 1,
    port: opts.Port = 0,
    port_file: opts.PortFile = None,
    metrics_port: opts.MetricsPort = None,
    as_json: Annotated[bool, typer.Option("--json", help="Announce as JSON lines.")] = False,
) -> None:
    """Serve the reward "reasoning" over gRPC until Ctrl-C or SIGTERM.

    The rubric parses decision and causes from the text and compares them with the label: free, instant,
    the same every time. A language model judges meaning; any OpenAI-compatible server will do:

      ar1 critic serve --port 50052

      ar1 critic serve --backend openai --base-url http://127.0.0.1:8000/v1 --model deepseek-r1 --cache c.sqlite

    Use it in a job as  source: grpc://127.0.0.1:50052/reasoning
    """
    from rewards.registry import RewardSource
    from rewards.server import ServerConfig, run

    options: dict[str, Any] = {"backend": backend.value, "strict": not lenient}
    if backend is judging.Backend.OPENAI:
        single = (
            base_url,
            model,
            api_key_file,
            judges,
            cache,
            prices,
            max_usd,
            rpm,
            tpm,
            brief,
            expected,
            guard,
        )
        options |= {"images": images, "canary_every": canary_every}
        # The scoring process answers before the server would end it, so that what was graded is not lost.
        options |= {"batch_s": 0.9 * BATCH_DEADLINES * deadline}
        options |= judging.judge_options(*single, deadline, parallel)
        if workers > 1 and cache is None and "cache" not in options:
            raise typer.BadParameter("several scoring processes share their limits through a --cache file")
    config = ServerConfig(
        rewards=(RewardSource("reasoning", options=options),),
        port=port,
        port_file=str(port_file) if port_file else None,
        workers=workers,
        timeout_s=10.0 if backend is judging.Backend.RUBRIC else BATCH_DEADLINES * deadline,
        metrics_port=metrics_port,
        json_lines=as_json,
    )
    raise typer.Exit(run(config))


critic_trust.register(app)
