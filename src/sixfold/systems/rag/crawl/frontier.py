"""The frontier: which URL may be fetched next, of which host, and who holds it meanwhile.

Pure: time is an argument. A URL handed out is a lease; a lease that is not completed in time puts its URL
back, and a late completion of it counts for nothing, so each URL is completed exactly once.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from xxhash import xxh3_64_intdigest

from sixfold.systems.rag.crawl.links import host_of

__all__ = ["Entry", "Frontier", "Lease", "owner"]


def owner(host: str, workers: int) -> int:
    """The worker that owns `host` of `workers`: the same in every process and run."""
    return int(xxh3_64_intdigest(host.encode("utf-8", "surrogatepass"))) % workers


@dataclass(frozen=True, slots=True)
class Entry:
    """A URL to be fetched."""

    url: str
    depth: int = 0  # links and redirects from a seed
    hops: int = 0  # redirects in a row that led here
    tries: int = 0  # failed attempts so far
    loan: tuple[int, int] | None = None  # lender and its lease, for a URL borrowed from another worker


@dataclass(frozen=True, slots=True)
class Lease:
    """A URL handed out until `deadline_s`; without an entry it is the host's robots.txt that is wanted."""

    lease_id: int
    host: str
    entry: Entry | None
    deadline_s: float
    borrower: int | None = None  # the worker it was lent to


@dataclass(slots=True)
class _Host:
    queue: deque[Entry] = field(default_factory=deque)
    not_before_s: float = float("-inf")
    in_flight: int = 0
    delay_s: float = 0.0
    known: bool = False  # its robots.txt has been read
    scheduled: bool = False  # it has a place in the heap


class Frontier:
    """The queues of the hosts that one worker owns, with politeness and leases.

    A host with a delay has one request at a time, and the delay counts from the end of a request: then the
    host sees the gap too, however late a packet or an event loop is.
    """

    def __init__(
        self, *, lease_s: float, host_connections: int, level: int | None = None, first_lease: int = 0
    ) -> None:
        """`level` is the deepest depth handed out, None for all (see `raise_level`).

        Lease numbers start behind `first_lease`, so that those of a dead predecessor mean nothing here.
        """
        self._lease_s, self._connections = lease_s, host_connections
        self.level = level
        self._hosts: dict[str, _Host] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._delayed: list[tuple[float, int, Entry]] = []
        self._deeper: list[Entry] = []
        self._leases: dict[int, Lease] = {}
        self._deadlines: list[tuple[float, int]] = []
        self._next_id, self._sequence = first_lease, 0
        self.queued = 0  # entries that wait for their turn
        self.lent = 0  # leases that other workers hold

    def add(self, entry: Entry) -> None:
        """Queue an entry; the caller has checked that it is new and in bounds."""
        if self.level is not None and entry.depth > self.level:
            self._deeper.append(entry)
            return
        name = host_of(entry.url)
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts[name] = _Host()
        host.queue.append(entry)
        self.queued += 1
        self._schedule(name, host)

    def next(self, now_s: float) -> Lease | None:
        """Hand out the next URL that may be fetched at `now_s`, or a host's robots.txt before its first."""
        self._release_delayed(now_s)
        while self._heap and self._heap[0][0] <= now_s:
            _, _, name = heapq.heappop(self._heap)
            host = self._hosts[name]
            host.scheduled = False
            if not host.queue or host.in_flight >= self._limit(host):
                continue
            if host.not_before_s > now_s:  # it was deferred after it had been scheduled
                self._schedule(name, host)
                continue
            entry = None
            if host.known:
                entry = host.queue.popleft()
                self.queued -= 1
            host.in_flight += 1
            self._schedule(name, host)
            return self._lease(name, entry, now_s)
        return None

    def wait_s(self, now_s: float) -> float | None:
        """Seconds until `next` or `expire` may have something, or None when nothing waits for time."""
        times = [heap[0][0] for heap in (self._heap, self._delayed, self._deadlines) if heap]
        return max(0.0, min(times) - now_s) if times else None

    def host_known(self, host: str, delay_s: float) -> None:
        """Its robots.txt has been read: URLs of `host` may be handed out, `delay_s` apart."""
        state = self._hosts.setdefault(host, _Host())
        state.known, state.delay_s = True, delay_s
        self._schedule(host, state)

    def defer(self, host: str, until_s: float) -> None:
        """Leave `host` alone until `until_s` (Retry-After)."""
        state = self._hosts[host]
        state.not_before_s = max(state.not_before_s, until_s)

    def is_live(self, lease_id: int) -> bool:
        """Whether a lease still counts; ask before writing what it brought."""
        return lease_id in self._leases

    def complete(self, lease_id: int, now_s: float) -> bool:
        """End a lease; False when it had expired, and then its result must be dropped."""
        lease = self._leases.pop(lease_id, None)
        if lease is None:
            return False
        self._give_up(lease, now_s)
        return True

    def retry(self, lease_id: int, now_s: float, after_s: float) -> bool:
        """End a lease whose attempt failed: its URL comes back after `after_s`, one try older."""
        lease = self._leases.get(lease_id)
        if lease is None or not self.complete(lease_id, now_s):
            return False
        if lease.entry is not None:
            again = replace(lease.entry, tries=lease.entry.tries + 1)
            self._sequence += 1
            heapq.heappush(self._delayed, (now_s + after_s, self._sequence, again))
        return True

    def expire(self, now_s: float) -> list[Lease]:
        """Take back every lease whose deadline has passed; its URL is queued again."""
        expired = []
        while self._deadlines and self._deadlines[0][0] <= now_s:
            _, lease_id = heapq.heappop(self._deadlines)
            lease = self._leases.pop(lease_id, None)
            if lease is not None:
                expired.append(lease)
                self._take_back(lease, now_s)
        return expired

    # Lending: a worker with nothing to fetch takes URLs of a busy one. Only hosts without a delay are lent,
    # so that politeness stays in one place.

    def lend(self, borrower: int, now_s: float, at_most: int) -> list[Lease]:
        """Lease at most `at_most` URLs, and half of what waits, to another worker; longest queues first."""
        at_most = min(at_most, self.queued // 2)
        loans: list[Lease] = []
        free = [(len(h.queue), name) for name, h in self._hosts.items() if h.queue and h.known and h.delay_s == 0]
        for _, name in heapq.nlargest(8, free):
            host = self._hosts[name]
            while len(loans) < at_most and host.queue:
                entry = host.queue.pop()
                if entry.loan is not None:  # borrowed itself
                    host.queue.append(entry)
                    break
                self.queued -= 1
                self.lent += 1
                loans.append(self._lease(name, entry, now_s, borrower))
        return loans

    def reclaim(self, borrower: int, finished: Iterable[str], now_s: float) -> None:
        """`borrower` is gone: take back what it held, except URLs that it is known to have `finished`."""
        done = frozenset(finished)
        for lease in [lease for lease in self._leases.values() if lease.borrower == borrower]:
            del self._leases[lease.lease_id]
            if lease.entry is not None and lease.entry.url in done:
                self._give_up(lease, now_s)
            else:
                self._take_back(lease, now_s)

    def drop_loans(self, lender: int) -> None:
        """`lender` is gone: forget the URLs borrowed from it that were not fetched yet."""
        for host in self._hosts.values():
            if any(e.loan is not None and e.loan[0] == lender for e in host.queue):
                kept = deque(e for e in host.queue if e.loan is None or e.loan[0] != lender)
                self.queued -= len(host.queue) - len(kept)
                host.queue = kept
        self._delayed = [d for d in self._delayed if d[2].loan is None or d[2].loan[0] != lender]
        heapq.heapify(self._delayed)

    # What a crawl asks to know whether it is finished.

    @property
    def idle(self) -> bool:
        """Nothing queued or being fetched here up to the present level; what is `lent` others have to do."""
        return not (self.queued or len(self._leases) > self.lent or self._delayed)

    @property
    def deeper(self) -> int:
        """Entries below the present level."""
        return len(self._deeper)

    def raise_level(self) -> None:
        """Go one level down: everything found above it is finished everywhere.

        Depth then is the length of the shortest path, whatever the order in which pages arrived.
        """
        if self.level is not None:
            self.level += 1
            waiting, self._deeper = self._deeper, []
            for entry in waiting:
                self.add(entry)

    def waiting_at(self, host: str) -> Iterable[Entry]:
        """The entries queued for one host."""
        state = self._hosts.get(host)
        return state.queue if state is not None else ()

    def waiting(self) -> Iterable[Entry]:
        """Every entry not handed out, in no order that matters."""
        for host in self._hosts.values():
            yield from host.queue
        yield from (entry for _, _, entry in self._delayed)
        yield from self._deeper

    def borrowed_in_flight(self, lender: int) -> int:
        """Leases of URLs borrowed from `lender` that are being fetched now."""
        return sum(
            1 for x in self._leases.values() if x.entry and x.entry.loan is not None and x.entry.loan[0] == lender
        )

    def _limit(self, host: _Host) -> int:
        return self._connections if host.known and host.delay_s == 0 else 1

    def _schedule(self, name: str, host: _Host) -> None:
        if not host.scheduled and host.queue and host.in_flight < self._limit(host):
            self._sequence += 1
            heapq.heappush(self._heap, (host.not_before_s, self._sequence, name))
            host.scheduled = True

    def _lease(self, name: str, entry: Entry | None, now_s: float, borrower: int | None = None) -> Lease:
        self._next_id += 1
        lease = Lease(self._next_id, name, entry, now_s + self._lease_s, borrower)
        self._leases[lease.lease_id] = lease
        heapq.heappush(self._deadlines, (lease.deadline_s, lease.lease_id))
        if len(self._deadlines) > 2 * len(self._leases) + 1_000:  # most of them were completed long ago
            self._deadlines = [(x.deadline_s, x.lease_id) for x in self._leases.values()]
            heapq.heapify(self._deadlines)
        return lease

    def _give_up(self, lease: Lease, now_s: float) -> None:
        if lease.borrower is not None:
            self.lent -= 1
            return
        host = self._hosts[lease.host]
        host.in_flight -= 1
        if host.delay_s > 0:
            host.not_before_s = max(host.not_before_s, now_s + host.delay_s)
        self._schedule(lease.host, host)

    def _take_back(self, lease: Lease, now_s: float) -> None:
        self._give_up(lease, now_s)
        if lease.entry is not None:
            self.add(lease.entry)
        else:
            self._schedule(lease.host, self._hosts[lease.host])

    def _release_delayed(self, now_s: float) -> None:
        while self._delayed and self._delayed[0][0] <= now_s:
            self.add(heapq.heappop(self._delayed)[2])
