"""One worker's dealings with the others: links that they own are sent on, URLs are borrowed and settled."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable

from sixfold.study.meter import Meter
from sixfold.systems.rag.crawl.exchange import Exchange, Loan, PeerLostError
from sixfold.systems.rag.crawl.journal import Found

__all__ = ["Peers"]

_COALESCE_S = 0.02  # between two deliveries: links wait for company, the first ones do not
_LOST_S = 0.2  # before a delivery to a lost worker is tried again: its successor needs longer than that
_HUNGRY_S = (0.02, 0.1)  # how often a worker without work asks others for some: at first, at most


class Peers:
    """The outgoing side of worker `index` of `workers`; everything happens on that worker's event loop."""

    def __init__(self, exchange: Exchange, index: int, workers: int) -> None:
        self._exchange, self._index, self._workers = exchange, index, workers
        self._links: defaultdict[int, list[Found]] = defaultdict(list)
        self._settled: defaultdict[int, list[int]] = defaultdict(list)
        self._outgoing = asyncio.Event()
        self._calls = 0

    @property
    def busy(self) -> bool:
        """Something is under way or waits to be sent."""
        return bool(self._calls or any(self._links.values()) or any(self._settled.values()))

    def send(self, worker: int, link: Found) -> None:
        """Have `link` delivered to `worker`, who owns it."""
        self._links[worker].append(link)
        self._outgoing.set()

    def settle(self, lender: int, lease_id: int) -> None:
        """Have `lender` told that a URL borrowed from it is finished."""
        self._settled[lender].append(lease_id)
        self._outgoing.set()

    def forget(self, lender: int) -> None:
        """`lender` died, and its leases with it."""
        self._settled.pop(lender, None)

    async def deliver(self, meter: Meter) -> None:
        """Send what is to be sent, for ever; the bytes of the links are `meter`'s."""
        while True:
            await self._outgoing.wait()
            self._outgoing.clear()
            for worker in {*self._links, *self._settled}:
                links, settled = self._links.pop(worker, []), self._settled.pop(worker, [])
                self._calls += 1
                try:
                    if links:
                        meter.move(sum(len(url) for url, _, _ in links))
                        await self._exchange.send(worker, links)
                        links = []
                    if settled:
                        await self._exchange.settle(worker, settled)
                except PeerLostError:
                    # Its successor gets the links. What it had lent died with it, and a stale lease number
                    # means nothing to the successor.
                    self._links[worker] += links
                    self._settled[worker] += settled
                    await asyncio.sleep(_LOST_S)
                    self._outgoing.set()
                finally:
                    self._calls -= 1
            await asyncio.sleep(_COALESCE_S)

    async def borrow(self, hungry: Callable[[], bool], take: Callable[[Loan], None], at_most: int) -> None:
        """Whenever `hungry()`, ask the others in turn for up to `at_most` URLs and `take` what they lend; for ever."""
        if self._workers == 1:
            return
        first_s, longest_s = _HUNGRY_S
        wait_s, turn = first_s, self._index
        while True:
            await asyncio.sleep(wait_s)
            if not hungry():
                wait_s = first_s
                continue
            turn = (turn + 1) % self._workers
            if turn == self._index:
                continue
            self._calls += 1
            try:
                loan = await self._exchange.borrow(turn, at_most)
            except PeerLostError:
                loan = Loan((), {})
            finally:
                self._calls -= 1
            take(loan)
            wait_s = first_s if loan.entries else min(longest_s, wait_s * 2)
