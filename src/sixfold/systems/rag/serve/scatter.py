"""Asking all groups of shards at once, each through one of its replicas, and a second one if that is slow or fails.

What has not answered in time, or has no replica left to ask, is missing: that never fails the whole.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from sixfold.errors import SixfoldError, first_line
from sixfold.parts.hedging import Hedging
from sixfold.systems.rag.serve.coverage import ShardState

__all__ = ["Calls", "Copy", "Gathered", "Group", "Lost", "scatter"]

T = TypeVar("T")
Calls = Mapping[int, Sequence[tuple[str, tuple[Any, ...]]]]  # shard -> method and arguments, one after the other
_AVOID_S = 1.0  # how long a replica that failed, or was overtaken, is asked last
_PATIENCE = 10  # times what half of the groups took: one that is later still is not slow but gone
_LEAST_PATIENCE_S = 1.5
_FIRST_HEDGE = 0.1  # of the time there is, after which a second one is asked while the usual latency is not known


class Copy(Protocol):
    """One replica of a group of shards."""

    name: str

    async def call(self, generation: int, calls: Calls) -> dict[int, list[Any]]:
        """Methods of `Shard` on one generation: shard -> their results, in order."""
        ...


@dataclass
class Group(Generic[T]):
    """The replicas of a group of shards as one gateway sees them."""

    copies: Sequence[T]
    hedging: Hedging = field(default_factory=Hedging)
    hedged: int = 0  # second requests so far
    _in_flight: dict[int, int] = field(default_factory=dict)
    _avoided_at_s: dict[int, float] = field(default_factory=dict)
    _turn: int = 0

    def order(self, now_s: float) -> list[int]:
        """Replicas by preference: not avoided, least in flight, in turn."""
        self._turn += 1
        n = len(self.copies)

        def rank(at: int) -> tuple[bool, int, int]:
            avoided = now_s - self._avoided_at_s.get(at, -1e9) < _AVOID_S
            return avoided, self._in_flight.get(at, 0), (at - self._turn) % n

        return sorted(range(n), key=rank)

    def avoid(self, at: int) -> None:
        """A replica failed, or was overtaken by the one that was asked after it: for a while it is asked last."""
        self._avoided_at_s[at] = time.perf_counter()

    async def ask(self, at: int, call: Callable[[T], Awaitable[Any]]) -> Any:
        """One request to one replica."""
        self._in_flight[at] = self._in_flight.get(at, 0) + 1
        try:
            return await call(self.copies[at])
        except Exception:
            self.avoid(at)
            raise
        finally:
            self._in_flight[at] -= 1


@dataclass(frozen=True, slots=True)
class Lost:
    """What became of a group that did not answer, and why in words."""

    state: ShardState
    reason: str


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the groups answered, and what became of the others."""

    results: dict[int, Any]
    lost: dict[int, Lost]
    slowest_s: float  # until the last one that answered had


async def scatter(
    groups: Mapping[int, Group[Any]], call: Callable[[int, Any], Awaitable[Any]], *, wait_s: float
) -> Gathered:
    """`call(group, replica)` for every one of `groups`, for at most `wait_s`.

    Once half of the groups have answered, the others are waited for ten times as long as that took, or 1.5 s.
    """
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    end_s = began_s + max(0.0, wait_s)
    tasks = {number: asyncio.ensure_future(_one(number, group, call, wait_s)) for number, group in groups.items()}
    results: dict[int, Any] = {}
    lost: dict[int, Lost] = {}
    slowest_s = 0.0
    try:
        pending = set(tasks.values())
        while pending and loop.time() < end_s:
            _, pending = await asyncio.wait(pending, timeout=end_s - loop.time(), return_when=asyncio.FIRST_COMPLETED)
            answered = sum(task.done() and task.exception() is None for task in tasks.values())
            if pending and 2 * answered >= len(tasks):
                took_s = loop.time() - began_s
                end_s = min(end_s, began_s + max(_LEAST_PATIENCE_S, _PATIENCE * took_s))
        waited_s = loop.time() - began_s
        for number, task in tasks.items():
            if not task.done():
                lost[number] = Lost(ShardState.LATE, f"no answer within {waited_s:.2f} s")
            elif (error := task.exception()) is not None:
                lost[number] = Lost(ShardState.FAILED, _words(error))
            else:
                results[number], took_s = task.result()
                slowest_s = max(slowest_s, took_s)
    finally:
        for task in tasks.values():
            task.cancel()
        if loop.time() < end_s:  # those that are late may take as long to hear of it
            await asyncio.gather(*tasks.values(), return_exceptions=True)
    return Gathered(results, lost, slowest_s)


async def _one(
    number: int, group: Group[Any], call: Callable[[int, Any], Awaitable[Any]], wait_s: float
) -> tuple[Any, float]:
    """The first answer of a replica, and after how long it came; raises the last failure if all fail."""
    began_s = time.perf_counter()
    left = group.order(began_s)
    asked: set[asyncio.Task[Any]] = set()
    first = left[0] if left else -1
    failure: BaseException = LookupError("it has no replica")

    def ask_next() -> asyncio.Task[Any]:
        at = left.pop(0)
        task = asyncio.ensure_future(group.ask(at, lambda copy: call(number, copy)))
        asked.add(task)
        return task

    try:
        original = ask_next() if left else None
        hedge_s = None
        if left:
            hedge_s = group.hedging.delay_s if group.hedging.known else _FIRST_HEDGE * wait_s
        while asked:
            done, asked = await asyncio.wait(asked, timeout=hedge_s, return_when=asyncio.FIRST_COMPLETED)
            hedge_s = None
            for task in done:
                if (error := task.exception()) is None:
                    took_s = time.perf_counter() - began_s
                    group.hedging.record(took_s)
                    if task is not original:
                        group.avoid(first)
                    return task.result(), took_s
                failure = error
            if not done and left:
                group.hedging.spend()
                group.hedged += 1
                ask_next()
            elif not asked and left:
                ask_next()
        raise failure
    finally:
        for task in asked:
            task.cancel()


def _words(error: BaseException) -> str:
    """A reason to show: ours as it is, of others their kind only, since texts of engines carry addresses."""
    if isinstance(error, SixfoldError | LookupError):
        return first_line(error)
    return f"its replicas failed ({type(error).__name__})"
