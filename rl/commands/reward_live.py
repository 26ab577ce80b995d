"""`ar1 reward set|promote|swap|add|remove RUN …`: change the rewards of a job while it runs.

Invariant: a command only asks; the job applies between two steps and answers, and the answer is what is printed.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rl.reward_plan import RewardChange

Run = Annotated[Path, typer.Argument(help="The run's folder, runs/<name>.")]
Wait = Annotated[float, typer.Option(min=0, help="Most seconds to wait for the job's answer; 0 only asks.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print machine-readable JSON.")]
POLL_S = 0.2
WAIT_S = 120.0


def set_weight(
    run: Run,
    weights: Annotated[list[str], typer.Argument(help="NAME=WEIGHT, one or more.")],
    wait: Wait = WAIT_S,
    as_json: AsJson = False,
) -> None:
    """Change the weight of rewards of a running job.

      ar1 reward set runs/mine consistency=0.5 trajectory=2

    It counts from the next step on, is recorded in the ledger with that step, and survives --resume.
    """
    from rl.reward_plan import ChangeKind, RewardChange

    changes = []
    for pair in weights:
        name, value = _pair(pair)
        try:
            changes.append(RewardChange(ChangeKind.SET, name, float(value)))
        except ValueError as error:
            raise typer.BadParameter(f"{pair!r}: {value!r} is no number", param_hint="WEIGHTS") from error
    _ask(run, changes, wait, as_json)


def promote(
    run: Run,
    names: Annotated[list[str], typer.Argument(help="Rewards that run in shadow.")],
    wait: Wait = WAIT_S,
    as_json: AsJson = False,
) -> None:
    """Let a shadow count: from the next step on it is optimised with the weight it has.

    ar1 reward promote runs/mine smooth
    """
    from rl.reward_plan import ChangeKind, RewardChange

    _ask(run, [RewardChange(ChangeKind.PROMOTE, name) for name in names], wait, as_json)


def swap(
    run: Run,
    pair: Annotated[
        str, typer.Argument(help="NAME=SOURCE: a name, import path, file.py:name or grpc:// address.")
    ],
    wait: Wait = WAIT_S,
    as_json: AsJson = False,
) -> None:
    """Replace what computes a reward. The new server must answer before the old one is let go.

    ar1 reward swap runs/mine consistency=grpc://127.0.0.1:50051/consistency
    """
    from rl.reward_plan import ChangeKind, RewardChange

    name, source = _pair(pair)
    _ask(run, [RewardChange(ChangeKind.SWAP, name, _absolute(source))], wait, as_json)


def add(
    run: Run,
    pair: Annotated[str, typer.Argument(help="NAME=SOURCE, as for `swap`.")],
    weight: Annotated[float, typer.Option(help="What it weighs once promoted.")] = 1.0,
    option: Annotated[
        list[str] | None, typer.Option("--option", "-o", help="KEY=VALUE for its class.")
    ] = None,
    wait: Wait = WAIT_S,
    as_json: AsJson = False,
) -> None:
    """Shadow one more reward on a running job: scored and charted, but it moves nothing until promoted.

    ar1 reward add runs/mine smooth=my_rewards.py:smooth --weight 0.2
    """
    from rl.commands.reward import parse_options
    from rl.reward_plan import ChangeKind, RewardChange

    name, source = _pair(pair)
    change = RewardChange(ChangeKind.ADD, name, _absolute(source), weight, parse_options(option))
    _ask(run, [change], wait, as_json)


def remove(
    run: Run,
    names: Annotated[list[str], typer.Argument(help="Rewards to stop asking.")],
    wait: Wait = WAIT_S,
    as_json: AsJson = False,
) -> None:
    """Stop asking rewards; what they scored stays in the ledger.

    ar1 reward remove runs/mine smooth
    """
    from rl.reward_plan import ChangeKind, RewardChange

    _ask(run, [RewardChange(ChangeKind.REMOVE, name) for name in names], wait, as_json)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise typer.BadParameter(f"{text!r} is not of the form NAME=VALUE")
    return name, value


def _absolute(source: str) -> str:
    """A file's place does not depend on where the job was started."""
    path, colon, attribute = source.rpartition(":")
    if path.endswith(".py"):
        if not Path(path).is_file():
            raise typer.BadParameter(f"no file {path}")
        return f"{Path(path).resolve()}{colon}{attribute}"
    return source


def _ask(run: Path, changes: list[RewardChange], wait: float, as_json: bool) -> None:
    from rl.reward_requests import RewardRequests
    from rl.run_registry import RunRegistry

    state = RunRegistry(run, read_only=True).state()
    if state is not None and state.phase in ("finished", "failed", "stopped"):
        raise ValueError(
            f"{run} is {state.phase}; its rewards can be changed while it runs (ar1 grpo --resume goes on with it)"
        )
    requests = RewardRequests(run)
    ids = [requests.ask(change) for change in changes]
    end = time.monotonic() + wait
    answers: list[dict[str, Any]] = []
    while True:
        asked = [request for request in requests.all() if request.id in ids]
        answers = [
            {**request.change.to_json(), "step": request.step, "refused": request.refused}
            for request in asked
        ]
        if not any(request.open for request in asked) or time.monotonic() >= end:
            break
        time.sleep(POLL_S)
    if as_json:
        typer.echo(json.dumps(answers, indent=2))
    else:
        for request in asked:
            typer.echo(f"{request.change}: {_told(request.step, request.refused)}")
    if any(answer["refused"] for answer in answers):
        raise typer.Exit(1)


def _told(step: int | None, refused: str | None) -> str:
    if refused is not None:
        return f"refused: {refused}"
    return "asked, not answered yet" if step is None else f"in force from step {step} on"
