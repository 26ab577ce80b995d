"""What can go wrong while clips are loaded ahead."""

from __future__ import annotations


class PrefetchError(RuntimeError):
    """The prefetcher itself cannot go on; the message names the fix."""


class ClipFailedError(RuntimeError):
    """One clip could not be loaded; others can. The message names the clip and the cause."""


class PrefetchTimeoutError(TimeoutError):
    """A clip was not there in time; the message says what it waited for."""
