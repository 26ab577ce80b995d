"""Which bearer tokens a server accepts while its token is being rotated.

Invariant: the file's token is accepted; the one it replaced is accepted for `grace_s` more, so that callers
may follow in their own time; nothing else is.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from pathlib import Path

from rewards.secret_files import CHECK_S, SecretFile


class TokenGate:
    """The tokens of one server. grace_s: 0 to lock the replaced token out at once (it has leaked)."""

    def __init__(
        self,
        path: Path,
        grace_s: float = 60.0,
        check_s: float = CHECK_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises SecretError when the file holds no token or others can read it."""
        self._file = SecretFile(path, check_s, clock)
        self._grace_s, self._clock = grace_s, clock
        self._current = self._file.current()
        self._replaced: list[tuple[str, float]] = []
        self._rotations = 0

    def accepts(self, header: str | bytes) -> bool:
        """Whether an authorization header carries a token that is good now."""
        given = header if isinstance(header, bytes) else header.encode()
        self._follow(self._file.current())
        if self._is_good(given):
            return True
        # A caller who shares the file may have seen the new token first.
        self._follow(self._file.reread())
        return self._is_good(given)

    def metrics(self) -> dict[str, float]:
        """rotations: tokens taken over; failures: changes of the file that could not be read."""
        return {"rotations": float(self._rotations), "failures": float(self._file.failures)}

    def _is_good(self, given: bytes) -> bool:
        good = [self._current, *(token for token, _ in self._replaced)]
        # Compare with all of them, so that the time taken does not tell which one was meant.
        return sum(hmac.compare_digest(given, f"Bearer {token}".encode()) for token in good) > 0

    def _follow(self, token: str) -> None:
        now = self._clock()
        if token != self._current:
            self._replaced.append((self._current, now + self._grace_s))
            self._current = token
            self._rotations += 1
        self._replaced = [(old, end) for old, end in self._replaced if now < end]
