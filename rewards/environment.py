"""A virtual environment of its own for a reward server: dependencies that the job does not have, or has in
another version.

Invariant: the server's interpreter sees its environment's packages and this project's folders that a server
needs, and nothing of the job's site-packages. An environment made from a requirements file is made once per
contents and interpreter; a half-made one is never used.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rewards.redaction import redact

# What rewards/ and scenes/ import in a server; grpcio and protobuf no older than the generated modules.
SERVER_NEEDS = (
    "grpcio>=1.85.1",
    "grpcio-health-checking>=1.85.1",
    "grpcio-reflection>=1.85.1",
    "numpy>=2.1",
    "prometheus-client>=0.21",
    "protobuf>=7.35.1",
)
OUR_FOLDERS = ("rewards", "scenes", "critic_server")
COMPLETE = "complete"
PROBE_S = 120.0
_PROBE = (
    "import sys\n"
    "if sys.version_info < (3, 11): sys.exit(f'Python {sys.version.split()[0]} is older than 3.11')\n"
    "import rewards.server, rewards.worker\n"
)


class EnvironmentBuildError(ValueError):
    """A reward's environment cannot be made or does not do; the text names the fix."""


@dataclass(frozen=True)
class Environment:
    """python: interpreter; variables: the whole environment of its processes."""

    python: str
    variables: Mapping[str, str]


def prepare(
    given: Path,
    cache: Path,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
    deadline_s: float = 900.0,
    needs: Sequence[str] = SERVER_NEEDS,
) -> Environment:
    """The environment that a reward names: the folder of a virtual environment, or a requirements file.

    cache: where environments of requirements files are kept, a folder each by digest of contents, needs and
    interpreter; relative paths in the file are meant from its folder, and changes there do not change the
    digest. Makes at most one at a time; others who want the same one wait. Raises EnvironmentBuildError, and
    TimeoutError when it is not ready after deadline_s."""
    if (given / "bin" / "python").is_file():
        folder = given.absolute()
    elif given.is_file():
        folder = _made(given, cache.absolute(), say, time.monotonic() + deadline_s, needs)
    else:
        raise EnvironmentBuildError(
            f"no environment at {given}: give the folder of a virtual environment (python -m venv FOLDER) or a "
            "requirements file"
        )
    environment = Environment(str(folder / "bin" / "python"), _variables(folder, _links(cache.absolute())))
    _probe(environment, given)
    return environment


def _made(
    requirements: Path, cache: Path, say: Callable[[str], None], end: float, needs: Sequence[str]
) -> Path:
    contents = requirements.read_bytes()
    key = b"\0".join(
        [contents, *(need.encode() for need in needs), sys.version.encode(), sys.prefix.encode()]
    )
    folder = cache / hashlib.sha256(key).hexdigest()[:16]
    cache.mkdir(parents=True, exist_ok=True)
    with _lock(folder.with_suffix(".lock"), end):
        if (folder / COMPLETE).exists():
            return folder
        # Left by a job that was killed while it made it.
        shutil.rmtree(folder, ignore_errors=True)
        say(f"making the environment of {requirements} in {folder} (once; this can take minutes)")
        began = time.monotonic()
        _run([sys.executable, "-m", "venv", str(folder)], cache, requirements, end)
        words = [str(folder / "bin" / "python"), "-m", "pip", "install", "--no-input", *needs]
        _run([*words, "-r", str(requirements.absolute())], requirements.absolute().parent, requirements, end)
        (folder / COMPLETE).touch()
        say(f"made the environment of {requirements} in {time.monotonic() - began:.0f} s")
    return folder


def _run(command: list[str], cwd: Path, requirements: Path, end: float) -> None:
    left = max(end - time.monotonic(), 0.1)
    variables = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        done = subprocess.run(
            command, cwd=cwd, env=variables, capture_output=True, text=True, errors="replace", timeout=left
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"the environment of {requirements} was not made within its deadline") from error
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise EnvironmentBuildError(f"the environment of {requirements} cannot be made:\n{redact(tail)}")


@contextmanager
def _lock(path: Path, end: float) -> Iterator[None]:
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise TimeoutError(f"another process is still making {path.with_suffix('')}") from None
                time.sleep(0.2)
        yield


def _links(cache: Path) -> Path:
    """A folder that holds this project's folders and nothing else. Their parent will not do: it may be the
    site-packages of the job."""
    root = Path(__file__).resolve().parent.parent
    folder = cache / f"ar1-{hashlib.sha256(str(root).encode()).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    for name in OUR_FOLDERS:
        link, fresh = folder / name, folder / f".{name}.{os.getpid()}"
        if not link.exists():
            fresh.symlink_to(root / name, target_is_directory=True)
            fresh.replace(link)
    return folder


def _variables(folder: Path, links: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONHOME", "PYTHONSTARTUP")}
    path = os.pathsep.join([str(folder / "bin"), kept.get("PATH", os.defpath)])
    own = {"PYTHONPATH": str(links), "PYTHONNOUSERSITE": "1", "VIRTUAL_ENV": str(folder), "PATH": path}
    return {**kept, **own}


def _probe(environment: Environment, given: Path) -> None:
    """Whether a server can start there, found out before the job counts on it."""
    command = [environment.python, "-c", _PROBE]
    links = environment.variables["PYTHONPATH"]
    try:
        done = subprocess.run(
            command,
            env=dict(environment.variables),
            cwd=links,
            capture_output=True,
            text=True,
            timeout=PROBE_S,
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(
            f"{environment.python} did not import a reward server within {PROBE_S:g} s"
        ) from error
    if done.returncode:
        why = redact(done.stderr.strip().rpartition("\n")[2])
        install = f"{environment.python} -m pip install " + " ".join(f"'{need}'" for need in SERVER_NEEDS)
        raise EnvironmentBuildError(f"no reward server can run in {given}: {why}; try: {install}")
