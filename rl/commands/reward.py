"""`ar1 reward`: serve reward functions, list what is there, score rollouts by hand.

Invariant: importing this module is light, and `serve` imports no torch, vllm, ray or numba.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rl.commands import client_options as asking
from rl.commands import reward_live, reward_parser
from rl.commands import server_options as opts
from rl.commands.reward_audit import audit
from rl.commands.reward_check import check
from rl.commands.reward_new import new

if TYPE_CHECKING:
    from rewards.credentials import Tls
    from rewards.score import RolloutView, Score
    from scenes.clip import Clip

app = typer.Typer(
    no_args_is_help=True, help="Serve, list and try reward functions; change those of a running job."
)
app.command("new")(new)
app.command("check")(check)
for name, command in (
    ("set", reward_live.set_weight),
    ("promote", reward_live.promote),
    ("swap", reward_live.swap),
    ("add", reward_live.add),
    ("remove", reward_live.remove),
):
    app.command(name)(command)
reward_parser.register(app)

Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option", "-o", help="KEY=VALUE for the reward's class or factory; VALUE in JSON or text."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print machine-readable JSON.")]


@app.command()
def serve(
    rewards: Annotated[
        list[str], typer.Argument(help="Names, 'package.module:attribute' or 'file.py:attribute'.")
    ],
    option: Options = None,
    port: opts.Port = 0,
    port_file: opts.PortFile = None,
    host: opts.Host = "127.0.0.1",
    workers: Annotated[int, typer.Option(min=1, help="Scoring processes a reward.")] = 1,
    timeout: Annotated[float, typer.Option(min=0.1, help="Most seconds a batch may take.")] = 10.0,
    metrics_port: opts.MetricsPort = None,
    tls_cert: opts.TlsCert = None,
    tls_key: opts.TlsKey = None,
    tls_ca: opts.TlsCa = None,
    token_file: opts.TokenFile = None,
    token_grace: opts.TokenGrace = 60.0,
    max_concurrent: opts.MaxConcurrent = 256,
    max_calls_per_s: opts.MaxRate = None,
    max_rollouts_per_s: opts.MaxRate = None,
    max_batch: opts.MaxBatch = None,
    max_message_mib: opts.MaxMessageMib = 64,
    reflection: opts.Reflection = None,
    as_json: AsJson = False,
) -> None:
    """Serve reward functions over gRPC until Ctrl-C or SIGTERM.

    A reward is a name (`ar1 reward list`), a class with score(rollouts, clips), a function of
    (rollouts, clips), or a TRL function of (prompts, completions, **columns), unchanged:

      ar1 reward serve trajectory consistency --port 50051

      ar1 reward serve my_rewards.py:politeness --port-file politeness.port

    Use it in a job as  source: grpc://127.0.0.1:50051/consistency

    Across machines it takes TLS, and a token or client certificates (docs/security.md):

      ar1 reward serve trajectory --host 0.0.0.0 --port 50051 --tls-cert server.pem --tls-key server.key
      --tls-ca ca.pem --token-file token
    """
    from rewards.registry import RewardSource
    from rewards.server import ServerConfig, run

    if option and len(rewards) > 1:
        raise typer.BadParameter("options are for one reward; serve the others apart", param_hint="--option")
    config = ServerConfig(
        rewards=tuple(RewardSource(target, options=parse_options(option)) for target in rewards),
        host=host,
        port=port,
        port_file=str(port_file) if port_file else None,
        workers=workers,
        timeout_s=timeout,
        tls=opts.tls_of(tls_cert, tls_key, tls_ca),
        token_file=str(token_file) if token_file else None,
        token_grace_s=token_grace,
        max_concurrent=max_concurrent,
        max_calls_per_s=max_calls_per_s,
        max_rollouts_per_s=max_rollouts_per_s,
        max_batch=max_batch,
        max_message_bytes=max_message_mib * 2**20,
        reflection=reflection,
        metrics_port=metrics_port,
        json_lines=as_json,
    )
    raise typer.Exit(run(config))


@app.command("list")
def list_rewards(as_json: AsJson = False) -> None:
    """Show the rewards known by name: range, needs and what each is.

    Names come with ar1-rl or from installed packages (entry points of the group ar1.rewards).
    """
    from rewards.description import describe
    from rewards.registry import RewardSource, known, resolve

    rows: list[dict[str, Any]] = []
    for name, path in sorted(known().items()):
        found = describe(resolve(RewardSource(name)))
        rows.append(
            {
                "name": name,
                "source": path,
                "version": found.version,
                "low": found.low,
                "high": found.high,
                "needs": [str(need) for need in found.needs],
                "mode": str(found.mode),
                "components": {c.name: c.doc for c in found.components},
                "doc": found.doc,
            }
        )
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        needs, parts = ", ".join(row["needs"]), ", ".join(row["components"])
        typer.echo(
            f"{row['name']}  [{row['low']:g}, {row['high']:g}]  version {row['version']}  ({row['source']})"
        )
        typer.echo(f"    {' '.join(row['doc'].split())}\n    needs {needs}; components {parts}")


@app.command()
def score(
    reward: Annotated[str, typer.Argument(help="As for `serve`, or grpc://host:port/name.")],
    store: Annotated[Path, typer.Option(help="Clip store that the rollouts' clips are in.")],
    rollouts: Annotated[
        Path | None, typer.Option(help="Ledger part (.parquet) or JSON list of rollouts to score.")
    ] = None,
    clip: Annotated[
        str | None, typer.Option(help="Clip id or position, to score one rollout by hand.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="Its reasoning text; default: the label's.")] = None,
    acceleration: Annotated[float | None, typer.Option(help="Constant acceleration, m/s².")] = None,
    curvature: Annotated[float, typer.Option(help="Constant curvature, 1/m.")] = 0.0,
    option: Options = None,
    tls_ca: asking.TlsCa = None,
    tls_cert: asking.TlsCert = None,
    tls_key: asking.TlsKey = None,
    token_file: asking.TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Score rollouts outside a job: a ledger part, a JSON file, or one by hand: the expert's drive or
    --acceleration's.

      ar1 reward score consistency --store data/train --clip 0

      ar1 reward score consistency --store data/train --clip 0 --text "Keep lane and speed" --acceleration -3

      ar1 reward score trajectory --store data/train --rollouts runs/demo/ledger/part-000001.parquet --json

    A served reward, over TLS and with a token:

      ar1 reward score grpc://10.0.0.7:50051/smooth --store data/train --clip 0 --tls-ca ca.pem --token-file token
    """
    from rl.scoring_input import find_clip, from_json, from_ledger
    from scenes.store import ClipStore

    if (rollouts is None) == (clip is None):
        raise typer.BadParameter("give either a file or a clip", param_hint="--rollouts / --clip")
    opened = ClipStore.open(store)
    if clip is not None:
        views = [_by_hand(find_clip(opened, clip), text, acceleration, curvature)]
    elif rollouts is not None and rollouts.suffix == ".parquet":
        views = from_ledger(rollouts)
    elif rollouts is not None:
        views = from_json(rollouts, opened)
    clips = {clip_id: find_clip(opened, clip_id) for clip_id in sorted({v.clip_id for v in views})}
    tls = opts.tls_of(tls_cert, tls_key, tls_ca)
    scores = _score(reward, parse_options(option), views, clips, tls, token_file)
    if as_json:
        typer.echo(json.dumps([_row(v, s) for v, s in zip(views, scores, strict=True)], indent=2))
        return
    for v, s in zip(views, scores, strict=True):
        value = f"missing ({s.status})" if s.value is None else f"{s.value:.4f}"
        typer.echo(f"{v.rollout_id}  {value}  {s.explanation}")
        if len(views) == 1:
            typer.echo(f"    {v.text}")
            typer.echo("    " + ", ".join(f"{k} {x:.3f}" for k, x in s.components.items()))
    scored = [s.value for s in scores if s.value is not None]
    if len(views) > 1:
        mean = f"mean {sum(scored) / len(scored):.4f}" if scored else "nothing scored"
        typer.echo(f"{len(scored)} of {len(scores)} scored, {mean}")


def parse_options(pairs: list[str] | None) -> dict[str, Any]:
    """{"a": 1} from ["a=1"]; values that are no JSON are text. BadParameter without "="."""
    options: dict[str, Any] = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="--option")
        try:
            options[key] = json.loads(value)
        except json.JSONDecodeError:
            options[key] = value
    return options


def _by_hand(clip: Clip, text: str | None, acceleration: float | None, curvature: float) -> RolloutView:
    import numpy as np

    from rewards.score import RolloutView
    from rl.scoring_input import states_of

    if text is None and clip.label is None:
        raise typer.BadParameter(
            f"clip {clip.clip_id} has no label to take the text from", param_hint="--text"
        )
    said = text if text is not None else clip.label.text if clip.label else ""
    actions = clip.actions
    if acceleration is not None:
        actions = np.tile([acceleration, curvature], (len(clip.actions), 1)).astype(float)
        # A constant deceleration ends at standstill: nobody means it to drive backwards.
        speed = clip.ego_history[-1, 3] + 0.1 * np.cumsum(actions[:, 0])
        actions[:, 0] = np.diff(np.maximum(speed, 0.0), prepend=clip.ego_history[-1, 3]) / 0.1
    return RolloutView(
        "by-hand/0", "by-hand", clip.clip_id, said, True, None, actions, states_of(actions, clip)
    )


def _score(
    target: str,
    options: dict[str, Any],
    views: list[RolloutView],
    clips: dict[str, Clip],
    tls: Tls | None,
    token_file: Path | None,
) -> list[Score]:
    from rewards.registry import RewardSource, is_remote, resolve

    if not is_remote(target):
        if tls or token_file:
            raise typer.BadParameter(f"{target} is scored here: only grpc:// targets take TLS and a token")
        return resolve(RewardSource(target, options=options)).score(views, clips)
    import asyncio

    from rewards.client import ClientConfig, RewardClient

    async def ask() -> list[Score]:
        client = RewardClient(
            ClientConfig(target, tls=tls, token_file=str(token_file) if token_file else None)
        )
        try:
            await client.wait_ready(5.0)
            return await client.score(views, clips)
        finally:
            await client.close()

    return asyncio.run(ask())


def _row(view: RolloutView, score: Score) -> dict[str, Any]:
    return {
        "rollout_id": view.rollout_id,
        "clip_id": view.clip_id,
        "reward": score.reward,
        "value": score.value,
        "status": str(score.status),
        "components": dict(score.components),
        "explanation": score.explanation,
        "version": score.version,
    }


app.command()(audit)
