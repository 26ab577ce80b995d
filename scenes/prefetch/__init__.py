"""Clips loaded ahead, once for all processes of a machine, in shared memory."""

from scenes.prefetch.errors import ClipFailedError, PrefetchError, PrefetchTimeoutError
from scenes.prefetch.prefetcher import Lease, Prefetcher

__all__ = ["ClipFailedError", "Lease", "PrefetchError", "PrefetchTimeoutError", "Prefetcher"]
