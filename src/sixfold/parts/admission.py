"""Which requests a service takes on when more arrive than it can answer in time.

A request that cannot be answered before its deadline is refused when it arrives, before it costs anything; one that
is taken on waits in a line that is served first come, first served. No clock and no I/O: the running service and a
simulation call the same code.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from sixfold.errors import ConfigError

__all__ = ["Admission", "Refusal", "Ticket"]

_SMOOTHING = 0.1  # weight of the newest service time in the mean: about the last twenty count


@dataclass(frozen=True, slots=True)
class Refusal:
    """Not taken on. After `retry_after_s` the work ahead will have drained so far that the same request fits."""

    retry_after_s: float
    expected_wait_s: float


@dataclass(slots=True)
class Ticket:
    """A request that was taken on."""

    number: int
    kind: str
    latest_s: float  # by when it has to be answered
    started_s: float | None = None  # None while it waits


@dataclass
class Admission:
    """The line in front of `concurrency` servers that share the work; `most_waiting` bounds its memory.

    headroom: the share of its budget that a request may be expected to need; the rest is for what varies.
    typical_s: what a kind of request takes, until some have been measured. Times are of any one clock.
    """

    concurrency: int
    most_waiting: int = 1_000
    headroom: float = 0.8
    typical_s: dict[str, float] = field(default_factory=dict)
    _waiting: dict[int, Ticket] = field(default_factory=dict, init=False)
    _running: dict[int, Ticket] = field(default_factory=dict, init=False)
    _numbers: Iterator[int] = field(default_factory=count, init=False)

    def __post_init__(self) -> None:
        if self.concurrency < 1 or self.most_waiting < 0 or not 0 < self.headroom <= 1:
            got = f"concurrency={self.concurrency}, most_waiting={self.most_waiting}, headroom={self.headroom}"
            raise ConfigError(f"got {got}, expected at least 1, at least 0, and within (0, 1]")

    @property
    def waiting(self) -> int:
        """Requests in the line."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Requests that are being served."""
        return len(self._running)

    def service_s(self, kind: str) -> float:
        """What a request of this kind takes once it is served: a moving mean."""
        return self.typical_s.get(kind, 0.05)

    def expected_wait_s(self, now_s: float) -> float:
        """How long a request that arrives now would wait: the work ahead of it over the servers that drain it."""
        if len(self._running) < self.concurrency:
            return 0.0
        started = ((t, t.started_s if t.started_s is not None else now_s) for t in self._running.values())
        left_s = sum(max(0.0, self.service_s(t.kind) - (now_s - began_s)) for t, began_s in started)
        queued_s = sum(self.service_s(t.kind) for t in self._waiting.values())
        return (left_s + queued_s) / self.concurrency

    def arrive(self, kind: str, now_s: float, budget_s: float) -> Ticket | Refusal:
        """Take the request on (it then waits for `start`), or refuse it because its budget would not do."""
        wait_s = self.expected_wait_s(now_s)
        late_s = wait_s + self.service_s(kind) - self.headroom * budget_s
        if late_s > 0 or len(self._waiting) >= self.most_waiting:
            return Refusal(max(late_s, self.service_s(kind)), wait_s)
        ticket = Ticket(next(self._numbers), kind, now_s + budget_s)
        self._waiting[ticket.number] = ticket
        return ticket

    def start(self, now_s: float) -> list[Ticket]:
        """Take from the line what can be served now; one that is late by now has `started_s` None: refuse it."""
        taken: list[Ticket] = []
        while self._waiting and len(self._running) < self.concurrency:
            ticket = self._waiting.pop(next(iter(self._waiting)))
            if now_s + self.service_s(ticket.kind) <= ticket.latest_s:
                ticket.started_s = now_s
                self._running[ticket.number] = ticket
            taken.append(ticket)
        return taken

    def finish(self, ticket: Ticket, now_s: float, *, completed: bool = True) -> None:
        """The request was answered, or given up (`completed` false: then its time says nothing of the service)."""
        self._waiting.pop(ticket.number, None)
        if self._running.pop(ticket.number, None) is None or not completed or ticket.started_s is None:
            return
        took_s = max(0.0, now_s - ticket.started_s)
        before_s = self.typical_s.get(ticket.kind)
        self.typical_s[ticket.kind] = took_s if before_s is None else before_s + _SMOOTHING * (took_s - before_s)

    def drain_rate_per_s(self, kind: str) -> float:
        """Requests of one kind that leave a second while all servers are busy."""
        service_s = self.service_s(kind)
        return math.inf if service_s <= 0 else self.concurrency / service_s
