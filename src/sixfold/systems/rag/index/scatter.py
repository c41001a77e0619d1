"""Asking every shard at once, wherever it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

__all__ = ["ShardHandle", "wait_all"]


class ShardHandle(Protocol):
    """A `Shard` in this process, or a `RayShard` elsewhere."""

    number: int

    def begin(self, method: str, /, *args: Any, **options: Any) -> Callable[[], Any]:
        """Start a method of `Shard`; the returned function waits for its result."""
        ...


def wait_all(waiting: Sequence[Callable[[], Any]]) -> list[Any]:
    """Every result, in order; after all have come or failed, the first failure is raised."""
    results, errors = [], []
    for result in waiting:
        try:
            results.append(result())
        except Exception as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return results
