"""The retrieval cache: what was found for a question, as long as the index is the same.

The generation is part of the key, so that what was deleted or replaced cannot come back from here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["GenerationCache"]

T = TypeVar("T")


class GenerationCache(Generic[T]):
    """Keeps the values used last, at most `most`, of the newest generation only. Not shared between processes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._generation = 0
        self._values: OrderedDict[Hashable, T] = OrderedDict()
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._values)

    def move_to(self, generation: int) -> int:
        """Forget everything of older generations; returns how many values that were."""
        if generation == self._generation:
            return 0
        forgotten = len(self._values)
        self._generation = generation
        self._values.clear()
        return forgotten

    def get(self, generation: int, key: Hashable) -> T | None:
        """What was put under this key in this generation."""
        value = self._values.get(key) if generation == self._generation else None
        if value is None:
            self.misses += 1
            return None
        self.hits += 1
        self._values.move_to_end(key)
        return value

    def put(self, generation: int, key: Hashable, value: T) -> None:
        """Keep a value; one of another generation than the newest is not kept."""
        if generation != self._generation or self._most < 1:
            return
        self._values[key] = value
        self._values.move_to_end(key)
        while len(self._values) > self._most:
            self._values.popitem(last=False)
