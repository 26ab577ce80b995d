"""A bounded mapping that forgets what was used longest ago."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Lru(Generic[K, V]):
    """Invariant: the summed size of the entries is at most `capacity`, except that one entry is always held.

    size: the size of a value in the unit of capacity; by default each counts 1."""

    def __init__(self, capacity: int, size: Callable[[V], int] = lambda _: 1) -> None:
        if capacity < 1:
            raise ValueError(f"capacity {capacity} holds nothing; give at least 1")
        self.capacity = capacity
        self.used = 0
        self._size = size
        self._entries: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def get(self, key: K) -> V | None:
        """The value, now the most recently used, or None."""
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> list[K]:
        """Insert or replace; returns the keys that were forgotten to make room."""
        self.drop(key)
        self._entries[key] = value
        self.used += self._size(value)
        gone = []
        while self.used > self.capacity and len(self._entries) > 1:
            oldest, old = self._entries.popitem(last=False)
            self.used -= self._size(old)
            gone.append(oldest)
        return gone

    def drop(self, key: K) -> None:
        """Forget a key, if it is held."""
        if key in self._entries:
            self.used -= self._size(self._entries.pop(key))
