"""`ar1 dashboard`: look at runs in a browser on this machine.

Invariant: listens on 127.0.0.1 alone and reads; from elsewhere, forward the port over ssh.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Annotated

import typer

HOST = "127.0.0.1"
SHUTDOWN_S = 1

app = typer.Typer(invoke_without_command=True)


@app.callback(invoke_without_command=True)
def dashboard(
    runs: Annotated[Path, typer.Option(help="Folder that holds runs, each runs/<name>.")] = Path("runs"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = 0,
    clips: Annotated[
        list[Path] | None,
        typer.Option(help="Clip store to take images from; repeatable. Runs name theirs, so rarely needed."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the address as one JSON line.")] = False,
) -> None:
    """Serve the dashboard until Ctrl-C. Charts per reward, groups with cameras and a bird's-eye view, live.

    The address is printed once it answers. On a remote machine: ssh -L 8123:127.0.0.1:8123 HOST, then
    `ar1 dashboard --port 8123` there and http://127.0.0.1:8123 here.
    """
    if not runs.is_dir():
        raise typer.BadParameter(
            f"{runs} is no folder; start a job (ar1 grpo) or name its folder", param_hint="--runs"
        )
    for store in clips or []:
        if not store.is_dir():
            raise typer.BadParameter(f"{store} is no folder; give a clip store", param_hint="--clips")
    import uvicorn

    from rl.dashboard.server import create_app

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            raise typer.BadParameter(
                f"cannot listen on {HOST}:{port} ({error.strerror}); use --port 0 for a free one",
                param_hint="--port",
            ) from error
        listener.listen()
        url = f"http://{HOST}:{listener.getsockname()[1]}"
        line = (
            json.dumps({"url": url, "runs": str(runs)})
            if as_json
            else f"Dashboard of {runs} at {url} (Ctrl-C ends)"
        )
        config = uvicorn.Config(
            create_app(runs, clips or []),
            log_level="warning",
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
        typer.echo(line)
        uvicorn.Server(config).run(sockets=[listener])
