"""Local reward servers under supervision: started, watched, restarted, ended with the job.

Invariant: a server lives at one address for the supervisor's life; when it dies it is started again there,
with back-off, at most `restarts` times; when the supervising process dies, so does the server.
Scores in flight at a death are the client's matter: it retries inside its deadline and reports the rest as
missing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from rewards.backoff import Backoff
from rewards.environment import Environment
from rewards.server import ServerConfig


@dataclass(frozen=True)
class LaunchConfig:
    """server: what to run (its port_file and lifeline are set here); directory: for log and port file;
    restarts: the most in the supervisor's life; bind_s: deadline for a start to announce its address;
    environment: interpreter and variables to run it with, None for the job's own."""

    server: ServerConfig
    directory: Path
    name: str = "rewards"
    restarts: int = 20
    bind_s: float = 30.0
    stop_s: float = 5.0
    backoff: Backoff = field(default_factory=lambda: Backoff(0.1, 5.0))
    environment: Environment | None = None


class LaunchError(RuntimeError):
    """The server did not come up; the text ends with the last lines of its log."""


class SupervisedServer:
    """One server process and its keeper.

    with SupervisedServer(LaunchConfig(ServerConfig((RewardSource("trajectory"),)), run_dir)) as server:
        client = RewardClient(ClientConfig(server.url("trajectory")))
        await client.wait_ready(10.0)
    """

    def __init__(self, config: LaunchConfig) -> None:
        self.config = config
        self.address = ""
        self.starts = 0
        self.failure: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._keeper: threading.Thread | None = None
        self.log_path = config.directory / f"{config.name}.log"
        self._port_path = config.directory / f"{config.name}.port"

    def __enter__(self) -> SupervisedServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """Process id of the running server, or None."""
        alive = self._process is not None and self._process.poll() is None
        return self._process.pid if alive and self._process is not None else None

    def url(self, reward: str) -> str:
        """Address of one reward of this server, for `rewards.client.ClientConfig`."""
        return f"grpc://{self.address}/{reward}"

    def start(self) -> None:
        """Start and wait until the address is known; loading goes on (see RewardClient.wait_ready).

        Raises LaunchError when the process ends or is silent for `bind_s`."""
        self.config.directory.mkdir(parents=True, exist_ok=True)
        self._port_path.unlink(missing_ok=True)
        self._spawn(self.config.server.port)
        end = time.monotonic() + self.config.bind_s
        while not self._port_path.exists():
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise LaunchError(f"reward server {self.config.name!r} did not start:\n{self.log_tail()}")
            time.sleep(0.01)
        self.address = self._port_path.read_text().strip()
        self._keeper = threading.Thread(target=self._keep, name=f"keeper-{self.config.name}", daemon=True)
        self._keeper.start()

    def stop(self) -> None:
        """End the server: SIGTERM, then SIGKILL to its process group after `stop_s`."""
        self._stopping.set()
        if self._keeper is not None:
            self._keeper.join()
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(self.config.stop_s)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def log_tail(self, lines: int = 20) -> str:
        """The last lines that the server wrote."""
        if not self.log_path.exists():
            return ""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def metrics(self) -> dict[str, float]:
        """starts: how often it was started; alive: 0 or 1."""
        return {"starts": float(self.starts), "alive": float(self.pid is not None)}

    def _spawn(self, port: int) -> None:
        server = replace(self.config.server, port=port, port_file=str(self._port_path), lifeline=True)
        own = self.config.environment or Environment(sys.executable, os.environ)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [own.python, "-m", "rewards.server", server.to_json()],
                env=dict(own.variables),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.starts += 1

    def _keep(self) -> None:
        port = int(self.address.rpartition(":")[2])
        quick_deaths = 0
        while not self._stopping.is_set():
            assert self._process is not None
            born = time.monotonic()
            while self._process.poll() is None:
                if self._stopping.wait(0.05):
                    return
            if self.starts > self.config.restarts:
                self.failure = f"died {self.starts} times; gave up after {self.config.restarts} restarts"
                return
            quick_deaths = 0 if time.monotonic() - born > 10.0 else quick_deaths + 1
            pause = min(self.config.backoff.first_s * 2.0**quick_deaths, self.config.backoff.most_s)
            if self._stopping.wait(pause):
                return
            self._spawn(port)
