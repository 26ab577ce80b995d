"""Secrets come from files or environment variables, by name; a file may change while the process runs.

Invariant: a configuration names the place of a secret and never holds its value. A file that others can read
is refused. A rotated file takes effect within `check_s`; one that is unreadable or empty in the middle of a
rotation leaves the last good value in force, with a log line.
"""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rewards.redaction import SHORTEST, remember, secret_in

log = logging.getLogger("ar1.rewards")
CHECK_S = 1.0
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class SecretError(ValueError):
    """A secret that cannot be had or is not safe where it is; the text names the fix, never the value."""


def refuse_secrets(options: Mapping[str, Any], whose: str) -> None:
    """Insist that plain options name the place of a secret instead of holding it; SecretError says which."""
    if (place := secret_in(options)) is not None:
        key = place.rpartition(".")[2]
        raise SecretError(
            f"{whose}: option {place} holds a secret, which would end up in dumped configurations and process "
            f"lists; put it in a file that only you can read and name that ({key}_file), or an environment "
            f"variable ({key}_env)"
        )


def check_private(path: Path) -> None:
    """Insist that only the owner can read and write a secret's file; SecretError names the fix.

    Left alone: volumes in which Kubernetes mounts secrets. Their files are links through a "..data" link that
    is swapped at a rotation, their mode is the volume's defaultMode (0644 unless set) and only the pod sees
    them."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise SecretError(f"{path} is no regular file: a secret is read from a file of its own")
    if mode & OTHERS and not _mounted(path):
        shown = stat.filemode(mode)
        raise SecretError(f"others can read or change the secret in {path} ({shown}): run chmod 600 {path}")


def _mounted(path: Path) -> bool:
    """Whether the file is a link through a secret volume's "..data" link."""
    volume = path.parent / "..data"
    return path.is_symlink() and volume.is_symlink() and path.resolve().is_relative_to(volume.resolve())


def signature(path: Path) -> tuple[int, int, int, int]:
    """What changes when a file's contents are replaced or rewritten. OSError when it is not there."""
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def read_secret(path: Path, shortest: int = SHORTEST) -> str:
    """The secret in a file, without white space around it, and unprintable from now on (see `redact`).

    shortest: somebody else's service may accept what is too short to be redacted wherever it occurs. Raises
    SecretError when the file is missing, open to others, no text, or too short."""
    try:
        check_private(path)
        text = path.read_text().strip()
    except OSError as error:
        raise SecretError(f"cannot read the secret in {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SecretError(f"the secret in {path} is no UTF-8 text") from error
    return _accept(text, str(path), shortest)


def secret_of_environment(name: str) -> str:
    """The secret in an environment variable; SecretError when it is not set or too short."""
    return _accept(os.environ.get(name, "").strip(), f"${name}")


def _accept(text: str, where: str, shortest: int = SHORTEST) -> str:
    if len(text) < shortest or not text.isascii() or not text.isprintable():
        raise SecretError(
            f"the secret in {where} is no line of at least {shortest} printable ASCII characters; make one "
            "with: openssl rand -hex 32"
        )
    remember(text)
    return text


class SecretFile:
    """A secret that follows its file. Not thread-safe: one event loop."""

    def __init__(
        self, path: Path, check_s: float = CHECK_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Reads the file at once: SecretError as for `read_secret`."""
        self.path = path
        self.failures = 0
        self._check_s, self._clock = check_s, clock
        self._seen = _seen(path)
        self._value = read_secret(path)
        self._checked = clock()

    def current(self) -> str:
        """The value, read again when the file has changed; looks at the file at most every `check_s`."""
        return self.reread() if self._clock() - self._checked >= self._check_s else self._value

    def reread(self) -> str:
        """The value as `current`, after a look at the file at this moment."""
        self._checked = self._clock()
        self._reread()
        return self._value

    def _reread(self) -> None:
        seen = _seen(self.path)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._value = read_secret(self.path)
        except SecretError as error:
            self.failures += 1
            log.warning("a changed secret is not taken over, the one before stays in force (%s)", error)
        else:
            log.info("read the rotated secret in %s", self.path)


def _seen(path: Path) -> tuple[int, int, int, int] | None:
    try:
        return signature(path)
    except OSError:
        return None


def secret_reader(file: str | None, env: str | None) -> Callable[[], str] | None:
    """How to get the current value of a secret that a configuration names; None when it names none.

    Raises SecretError when both places are given, or the one given holds no secret."""
    if file and env:
        raise SecretError(f"give the secret's file ({file}) or its environment variable ({env}), not both")
    if file:
        return SecretFile(Path(file)).current
    if env:
        value = secret_of_environment(env)
        return lambda: value
    return None
