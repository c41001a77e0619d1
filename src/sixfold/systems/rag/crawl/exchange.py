"""What workers of one crawl say to each other, whatever carries it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sixfold.systems.rag.crawl.frontier import Entry
from sixfold.systems.rag.crawl.journal import Found

__all__ = ["Exchange", "Loan", "PeerLostError", "Status"]


class PeerLostError(Exception):
    """A worker did not answer: it is dead, or its successor is not ready yet."""


@dataclass(frozen=True, slots=True)
class Loan:
    """URLs of a busy worker, handed to one that has none, with what their hosts' robots.txt said."""

    entries: tuple[Entry, ...]
    robots: dict[str, tuple[int | None, bytes]]


class Exchange(Protocol):
    """How a worker reaches the others. Every call raises PeerLostError when the other one can not be reached."""

    async def send(self, worker: int, links: list[Found]) -> None:
        """Deliver links that `worker` owns; returns when they are safe with it."""

    async def borrow(self, worker: int, at_most: int) -> Loan:
        """Ask `worker` for URLs to fetch."""

    async def settle(self, worker: int, lease_ids: list[int]) -> None:
        """Tell `worker` that URLs borrowed from it are finished."""


@dataclass(frozen=True, slots=True)
class Status:
    """A worker at one moment. `activity` grows with everything that can make another worker busy."""

    idle: bool  # nothing to do up to the present level
    paused: bool  # work left, but its grant of pages is used up
    activity: int
    pages: int
    granted: int
    queued: int
    deeper: int
    lent: int
    error: str | None

    @property
    def quiet(self) -> bool:
        """Nothing will happen here unless somebody else makes it."""
        return self.idle or self.paused
