"""One worker of a crawl: drives frontier, fetcher, archive and journal on an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from sixfold.axes import Axis
from sixfold.study.meter import Meter, Part, span
from sixfold.systems.rag.crawl.exchange import Exchange, Loan, Status
from sixfold.systems.rag.crawl.fetch import Failure, Fetched, Fetcher, fetch_robots
from sixfold.systems.rag.crawl.frontier import Entry, Frontier, Lease, owner
from sixfold.systems.rag.crawl.journal import Done, Found, Journal, JournalState
from sixfold.systems.rag.crawl.limits import CrawlLimits, Scope
from sixfold.systems.rag.crawl.links import LinkExtractor, canonical_url, host_of
from sixfold.systems.rag.crawl.peers import Peers
from sixfold.systems.rag.crawl.report import WorkerStats
from sixfold.systems.rag.crawl.robots import RobotsPolicy
from sixfold.systems.rag.crawl.seen import SeenSet
from sixfold.systems.rag.crawl.warc import WarcWriter, http_head
from sixfold.systems.rag.takedown_rules import STAGE, Blocklist, crawl_blocklist

__all__ = ["CrawlWorker"]

_REST_POLL_S = 0.004


class CrawlWorker:
    """Worker `index` of `workers`: owns the hosts that hash to it.

    Everything that changes state happens between two awaits of one event loop, so there are no locks.
    """

    def __init__(
        self,
        out_dir: Path,
        limits: CrawlLimits,
        *,
        index: int = 0,
        workers: int = 1,
        exchange: Exchange | None = None,
        state: JournalState | None = None,
        granted: int | None = None,
        resend: bool = False,
    ) -> None:
        """`state` is the fold of the journals so far; `resend` sends other workers' URLs again."""
        self._limits, self.index = limits, index
        self._peers = None if exchange is None else Peers(exchange, index, workers)
        self._scope = Scope(limits.scope)
        self._blocklist = Blocklist(crawl_blocklist(out_dir))
        self._journal = Journal(out_dir / "crawl" / "journal", index)
        self._frontier = Frontier(
            lease_s=limits.lease_s,
            host_connections=limits.host_connections,
            level=None if limits.max_depth is None else 0,
            first_lease=self._journal.life << 40,
        )
        self._links_of = LinkExtractor()
        self._seen = SeenSet(limits.capacity, limits.false_positive_rate)
        self._robots: dict[str, RobotsPolicy] = {}
        state = state or JournalState()
        ends: dict[str, int] = {}
        for done in state.done.values():
            at = done.position
            ends[at.file] = max(ends.get(at.file, 0), at.offset + at.length)
        self._warc = WarcWriter(
            out_dir / "warc",
            f"w{index:03d}",
            max_records=limits.warc_records,
            max_bytes=limits.warc_bytes,
            agent=limits.agent,
            ends=ends,
        )
        self._owner = lru_cache(maxsize=65_536)(lambda host: owner(host, workers))
        self._tasks: set[asyncio.Task[None]] = set()
        self._fetching_pages = 0
        self.granted = granted
        self._fetched = self._requests = self._activity = 0
        self._error: BaseException | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stopping = False
        self._changed: asyncio.Event | None = None
        self._waiting = contextlib.ExitStack()
        self._is_waiting = False
        for url in state.found:
            self._seen.add(url)
        for found in state.unfinished():
            if self._blocklist.rule_for(found[0]) is not None:
                self._journal.failed(found[0], STAGE, "")
            elif self._owner(host_of(found[0])) == index:
                self._frontier.add(Entry(*found))
            elif resend:
                self._pass_on(found)

    # The life of a worker.

    async def run(self) -> None:
        """Crawl until `stop()`; raises what stopped it, such as a full disk. The archive is left whole."""
        self._changed = asyncio.Event()
        began_cpu_s = time.process_time()
        with Meter(Axis.DATA, base=Part.COMMUNICATION) as meter:
            # Requests are also started from other workers' calls, which know nothing of this meter.
            self._meter, self._context = meter, contextvars.copy_context()
            async with Fetcher(self._limits) as self._fetcher:
                background = self._deal()
                try:
                    self._fill()
                    while not self._stopping:
                        await self._changed.wait()
                        self._changed.clear()
                        if self._peers is None and self._frontier.idle:
                            if not self._frontier.deeper:
                                break
                            self.raise_level()
                        elif self._peers is None and self._paused:
                            break
                finally:
                    self._stopping = True
                    await _cancelled([*background, *self._tasks])
                    self._waiting.close()
                    if self._timer is not None:
                        self._timer.cancel()
                    self._close()
            if self._error is not None:
                raise self._error
        self._cpu_s = time.process_time() - began_cpu_s

    def stats(self) -> WorkerStats:
        """What `run` came to; measuring the seen-set takes longer than some pages, so it is not part of the crawl."""
        filling = self._seen.estimated_false_positive_rate()
        return WorkerStats(
            fetched=self._fetched,
            requests=self._requests,
            false_positive_rate=self._seen.measured_false_positive_rate(),
            expected_false_positives=filling * self._seen.added / 2,  # the rate grows from 0 to `filling`
            cpu_s=self._cpu_s,
            reading=self._meter.reading(),
        )

    def stop(self) -> None:
        """Make `run` return; what is in flight is dropped and stays unfinished in the journal."""
        self._stopping = True
        if self._changed is not None:
            self._changed.set()

    def _close(self) -> None:
        """Finish the files; after an error leave them for the next run, which trusts only the journal."""
        try:
            if self._error is None:
                self._warc.close()
            else:
                self._warc.abandon()
            self._journal.close()
        except Exception as error:
            self._error = self._error or error

    def status(self) -> Status:
        """Where it stands."""
        busy = bool(self._tasks) or (self._peers is not None and self._peers.busy)
        return Status(
            idle=self._frontier.idle and not busy,
            paused=self._paused and not busy,
            activity=self._activity,
            pages=self._fetched,
            granted=self.granted or 0,
            queued=self._frontier.queued,
            deeper=self._frontier.deeper,
            lent=self._frontier.lent,
            error=None if self._error is None else f"{self._error}",
        )

    async def rest(self, longest_s: float) -> Status:
        """Where it stands as soon as it has nothing to do, or has failed, or after `longest_s`."""
        until_s = time.monotonic() + longest_s
        while not (status := self.status()).quiet and status.error is None and time.monotonic() < until_s:
            await asyncio.sleep(_REST_POLL_S)
        return status

    @property
    def _paused(self) -> bool:
        spent = self.granted is not None and self._fetched >= self.granted
        return spent and not self._tasks and not self._frontier.idle

    def raise_level(self) -> None:
        """Everything up to the present depth is finished everywhere: go one deeper."""
        self._frontier.raise_level()
        self._fill()

    def grant(self, pages: int) -> None:
        """Set how many pages it may fetch in all."""
        self.granted = pages
        self._fill()

    def _deal(self) -> list[asyncio.Task[None]]:
        if self._peers is None:
            return []
        borrowing = self._peers.borrow(self._is_hungry, self._take_loan, 4 * self._limits.concurrency)
        tasks = [asyncio.create_task(dealing) for dealing in (self._peers.deliver(self._meter), borrowing)]
        for task in tasks:
            task.add_done_callback(self._failed)
        return tasks

    def _is_hungry(self) -> bool:
        return self._frontier.queued < self._limits.concurrency // 2 and self._within_grant()

    def _take_loan(self, loan: Loan) -> None:
        for host, (status, body) in loan.robots.items():
            self._robots[host] = RobotsPolicy(status, body, self._limits.agent)
            self._frontier.host_known(host, 0.0)
        for entry in loan.entries:
            self._frontier.add(entry)
        if loan.entries:
            self._activity += 1
            self._fill()

    # What other workers ask of it.

    def seed(self, urls: Iterable[str]) -> None:
        """Start from these URLs: journal all of them, keep those it owns, pass on the rest."""
        new = self._new(list(urls), 0, 0)
        self._journal.found(new)
        self._route(new)

    def accept(self, links: Iterable[Found]) -> None:
        """Links that another worker found, and has journaled."""
        for link in links:
            if self._blocklist.rule_for(link[0]) is None and self._seen.add(link[0]):
                self._frontier.add(Entry(*link))
        self._activity += 1
        self._fill()

    def lend(self, borrower: int, at_most: int) -> Loan:
        """Hand URLs to a worker that has none."""
        if self._stopping or self._frontier.queued < self._limits.concurrency:
            return Loan((), {})
        leases = self._frontier.lend(borrower, time.monotonic(), at_most)
        self._activity += bool(leases)
        entries = []
        for lease in leases:
            if lease.entry is not None:
                e = lease.entry
                entries.append(Entry(e.url, e.depth, e.hops, e.tries, (self.index, lease.lease_id)))
        hosts = {lease.host for lease in leases}
        return Loan(tuple(entries), {h: (self._robots[h].status, self._robots[h].body) for h in hosts})

    def settle(self, lease_ids: Iterable[int]) -> None:
        """URLs that it had lent are finished."""
        now = time.monotonic()
        for lease_id in lease_ids:
            self._frontier.complete(lease_id, now)
        self._activity += 1
        self._fill()

    async def peer_lost(self, worker: int, state: JournalState) -> None:
        """`worker` died: take back what it had borrowed, and finish nothing more of what it had lent.

        Returns when none of its URLs is in flight here, so that its successor finds them all in the journals.
        """
        finished = {url for url in state.found if state.finished(url)}
        self._frontier.reclaim(worker, finished, time.monotonic())
        self._frontier.drop_loans(worker)
        while self._frontier.borrowed_in_flight(worker) and not self._stopping:
            await asyncio.sleep(0.01)
        self._frontier.drop_loans(worker)  # those that were to be tried again
        if self._peers is not None:
            self._peers.forget(worker)
        self._activity += 1
        self._fill()

    # Fetching.

    def _fill(self) -> None:
        """Start as many requests as the bounds allow, and set the alarm for when there may be more."""
        if self._stopping or self._changed is None:  # not begun yet, or over
            return
        now = time.monotonic()
        if self._frontier.expire(now):
            self._activity += 1
        while len(self._tasks) < self._limits.concurrency and self._within_grant():
            lease = self._frontier.next(now)
            if lease is None:
                break
            self._account_waiting(False)
            if lease.entry is not None:
                self._fetching_pages += 1
                self._journal.leased(lease.entry.url)
            task = asyncio.get_running_loop().create_task(self._work(lease), context=self._context)
            self._tasks.add(task)
            task.add_done_callback(self._finished)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wait_s = self._frontier.wait_s(now)
        if wait_s is not None and len(self._tasks) < self._limits.concurrency and self._within_grant():
            self._timer = asyncio.get_running_loop().call_later(max(wait_s, 0.001), self._fill)
        if not self._tasks:
            self._account_waiting(True)
            self._changed.set()

    def _within_grant(self) -> bool:
        return self.granted is None or self._fetched + self._fetching_pages < self.granted

    def _account_waiting(self, waiting: bool) -> None:
        # This span does contain awaits, which is sound only because nothing is in flight: whatever runs
        # meanwhile opens and closes its own spans inside it.
        if waiting and not self._is_waiting:
            self._waiting.enter_context(self._meter.span(Part.IDLE))
        elif self._is_waiting and not waiting:
            self._waiting.close()
        self._is_waiting = waiting

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._failed(task)
        self._fill()

    def _failed(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._error = self._error or error
            self.stop()

    async def _work(self, lease: Lease) -> None:
        if lease.entry is None:
            await self._learn_robots(lease)
            return
        try:
            url = lease.entry.url
            policy = self._robots[lease.host]
            if self._is_taken_down(url):
                result: Fetched | Failure = Failure(STAGE)
            elif policy.allowed(url):
                self._requests += 1
                result = await self._fetcher.get(url)
            elif policy.reachable:
                result = Failure("robots-disallowed")
            else:
                result = Failure("robots-unreachable", "" if policy.status is None else f"http {policy.status}")
        finally:
            self._fetching_pages -= 1
        with span(Part.COMPUTE):
            self._take(lease, lease.entry, result)

    async def _learn_robots(self, lease: Lease) -> None:
        scheme = "http"  # of the first URL that waits there
        for entry in self._frontier.waiting_at(lease.host):
            scheme = entry.url.partition(":")[0]
            break
        policy, requests = await fetch_robots(
            self._fetcher, f"{scheme}://{lease.host}/robots.txt", self._limits, self._scope
        )
        self._requests += requests
        self._robots[lease.host] = policy
        asked_s = policy.crawl_delay_s or 0.0
        delay_s = max(self._limits.delay_s, min(asked_s, self._limits.max_delay_s))
        self._frontier.host_known(lease.host, delay_s)
        self._frontier.complete(lease.lease_id, time.monotonic())

    # What a request brought.

    def _take(self, lease: Lease, entry: Entry, result: Fetched | Failure) -> None:
        now = time.monotonic()
        if self._stopping or not self._frontier.is_live(lease.lease_id):
            return
        if self._is_taken_down(entry.url):  # while it was on its way, perhaps
            result = Failure(STAGE)
        if isinstance(result, Failure) and result.transient and entry.tries < self._limits.retries:
            after_s = self._limits.retry_after_s * 2**entry.tries
            if result.retry_after_s is not None:
                after_s = max(after_s, min(result.retry_after_s, self._limits.max_delay_s))
                self._frontier.defer(lease.host, now + after_s)
            self._frontier.retry(lease.lease_id, now, after_s)
            return
        if isinstance(result, Failure):
            self._journal.failed(entry.url, result.kind, result.detail)
        elif result.location is not None:
            self._take_redirect(entry, result.location)
        else:
            self._take_page(entry, result)
        if entry.loan is not None and self._peers is not None:
            self._peers.settle(*entry.loan)
        self._frontier.complete(lease.lease_id, now)
        self._activity += 1

    def _is_taken_down(self, url: str) -> bool:
        self._blocklist.refresh()
        return self._blocklist.rule_for(url) is not None

    def _take_redirect(self, entry: Entry, location: str) -> None:
        try:
            target = canonical_url(urljoin(entry.url, location))
        except ValueError:
            target = None
        if target is None:
            self._journal.failed(entry.url, "bad-redirect", location[:200])
        elif entry.hops >= self._limits.max_redirects:
            self._journal.failed(entry.url, "too-many-redirects", target)
        else:
            # One deeper, as a link would be: then a page's depth does not depend on the order of arrival.
            new = self._new([target], entry.depth + 1, entry.hops + 1)
            self._journal.redirect(entry.url, target, new)
            self._route(new)

    def _take_page(self, entry: Entry, page: Fetched) -> None:
        new: list[Found] = []
        if page.content_type in ("text/html", "application/xhtml+xml"):
            new = self._new(self._links_of(entry.url, page.body), entry.depth + 1, 0)
        head = http_head(page.status, page.reason, page.headers, len(page.body), page.decoded)
        position = self._warc.append(entry.url, head, page.body, truncated=page.truncated)
        self._journal.done(entry.url, Done(position, entry.depth, len(page.body), page.truncated), new)
        self._fetched += 1
        self._route(new)

    def _new(self, urls: Sequence[str], depth: int, hops: int) -> list[Found]:
        if self._limits.max_depth is not None and depth > self._limits.max_depth:
            return []
        add, allows, taken_down = self._seen.add, self._scope.allows, self._blocklist.rule_for
        return [(u, depth, hops) for u in urls if allows(host_of(u)) and taken_down(u) is None and add(u)]

    def _route(self, links: Iterable[Found]) -> None:
        for link in links:
            if self._owner(host_of(link[0])) == self.index:
                self._frontier.add(Entry(*link))
            else:
                self._pass_on(link)

    def _pass_on(self, link: Found) -> None:
        if self._peers is not None:
            self._peers.send(self._owner(host_of(link[0])), link)


async def _cancelled(tasks: Iterable[asyncio.Task[Any]]) -> None:
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
