"""The crawl over Ray: each actor is a worker that owns the hosts that hash to it.

Actors talk to each other directly; the driver seeds, watches, replaces the dead and decides when it is over.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sixfold.errors import ConfigError, PrerequisiteError, UserError, first_line
from sixfold.systems.rag.crawl.crawler import finish_files, opened_crawl
from sixfold.systems.rag.crawl.exchange import Loan, PeerLostError, Status
from sixfold.systems.rag.crawl.fetch import load_client
from sixfold.systems.rag.crawl.frontier import Entry
from sixfold.systems.rag.crawl.journal import Found, JournalState, read_journals
from sixfold.systems.rag.crawl.limits import CrawlLimits
from sixfold.systems.rag.crawl.progress import crawl_progress
from sixfold.systems.rag.crawl.report import CrawlReport, WorkerStats, write_report
from sixfold.systems.rag.crawl.worker import CrawlWorker

__all__ = ["crawl_distributed"]

_REST_S = 0.5  # how long a busy worker may keep its state to itself
_PAUSE_S = 0.02  # before looking again at a crawl that was told to go on
_START_TIMEOUT_S = 120.0
_CALL_TIMEOUT_S = 60.0
_MAX_REPLACEMENTS = 20  # in one crawl: more deaths than this have a cause that a restart does not mend


class _RayExchange:
    """The exchange between actors: `CrawlWorker` calls it, Ray carries it."""

    def __init__(self, index: int) -> None:
        from ray.exceptions import RayError

        self._index = index
        self._lost = RayError  # the actor died, or the call failed inside it
        self.handles: list[Any] = []

    async def send(self, worker: int, links: list[Found]) -> None:
        await self._answer(self.handles[worker].accept.remote(links))

    async def borrow(self, worker: int, at_most: int) -> Loan:
        entries, robots = await self._answer(self.handles[worker].lend.remote(self._index, at_most))
        return Loan(tuple(Entry(*entry) for entry in entries), robots)

    async def settle(self, worker: int, lease_ids: list[int]) -> None:
        await self._answer(self.handles[worker].settle.remote(lease_ids))

    async def _answer(self, call: Any) -> Any:
        try:
            return await call
        except self._lost as error:
            raise PeerLostError(first_line(error)) from error


class _CrawlActor:
    """One worker in a process of its own. Only plain data crosses its border."""

    def __init__(self, index: int, workers: int, out_dir: str, limits: dict[str, Any]) -> None:
        self._index, self._workers, self._out = index, workers, Path(out_dir)
        self._limits = CrawlLimits(**limits)
        self._exchange = _RayExchange(index)
        self._worker: CrawlWorker | None = None
        self._running: asyncio.Task[None] | None = None

    async def load(self, granted: int | None, resend: bool, level: int) -> int:
        """Fold the journals into a worker; gives this process's id."""
        load_client()
        self._worker = CrawlWorker(
            self._out,
            self._limits,
            index=self._index,
            workers=self._workers,
            exchange=self._exchange,
            state=self._journals(),
            granted=granted,
            resend=resend,
        )
        for _ in range(level):
            self._worker.raise_level()
        return os.getpid()

    async def meet(self, handles: list[Any]) -> None:
        self._exchange.handles = handles

    async def begin(self, seeds: list[str]) -> None:
        worker = self._loaded()
        worker.seed(seeds)
        self._running = asyncio.create_task(worker.run())

    async def accept(self, links: list[Found]) -> None:
        self._loaded().accept(links)

    async def lend(self, borrower: int, at_most: int) -> tuple[list[Any], dict[str, tuple[int | None, bytes]]]:
        loan = self._loaded().lend(borrower, at_most)
        return [(e.url, e.depth, e.hops, e.tries, e.loan) for e in loan.entries], loan.robots

    async def settle(self, lease_ids: list[int]) -> None:
        self._loaded().settle(lease_ids)

    async def peer_lost(self, worker: int) -> None:
        await self._loaded().peer_lost(worker, self._journals())

    async def status(self) -> Status:
        return self._loaded().status()

    async def rest(self) -> Status:
        """Its state when it has nothing to do, or after `_REST_S`: asking again and again would slow it down."""
        return await self._loaded().rest(_REST_S)

    async def raise_level(self) -> None:
        self._loaded().raise_level()

    async def grant(self, pages: int) -> None:
        self._loaded().grant(pages)

    async def finish(self) -> None:
        if self._running is None:
            raise UserError("the worker was never begun")
        self._loaded().stop()
        await self._running

    async def stats(self) -> WorkerStats:
        return self._loaded().stats()

    def _journals(self) -> JournalState:
        return read_journals(self._out / "crawl" / "journal", self._out / "warc")

    def _loaded(self) -> CrawlWorker:
        if self._worker is None:
            raise UserError("the worker was never loaded")
        return self._worker


class _Fleet:
    """The driver's side: the actors of one crawl, replaced when they die."""

    def __init__(
        self, out_dir: Path, limits: CrawlLimits, workers: int, on_workers: Callable[[list[int]], None] | None
    ) -> None:
        import ray

        self._ray = ray
        self._out, self._limits, self._workers, self._on_workers = out_dir, limits, workers, on_workers
        self._actors: list[Any] = []
        self._pids: list[int] = []
        self._level = self._replaced = 0

    def start(self, done: int) -> None:
        """Start every worker's process."""
        shares: list[int | None] = [None] * self._workers
        if self._limits.max_pages is not None:
            budget = max(0, self._limits.max_pages - done)
            shares = [*_split(budget, self._workers)]
        self._actors = [self._actor(index) for index in range(self._workers)]
        loading = [a.load.remote(share, False, 0) for a, share in zip(self._actors, shares, strict=True)]
        try:
            self._pids = self._ray.get(loading, timeout=_START_TIMEOUT_S)
        except self._ray.exceptions.GetTimeoutError:
            raise PrerequisiteError(
                f"Ray did not place {self._workers} crawl workers in {_START_TIMEOUT_S:g} s: "
                "free some of its CPUs; see `ray status`"
            ) from None
        self._get([actor.meet.remote(self._actors) for actor in self._actors])

    def begin(self, seeds: list[str]) -> None:
        """Seed the first worker: it passes on what it does not own."""
        self._get([a.begin.remote(seeds if index == 0 else []) for index, a in enumerate(self._actors)])
        self._tell()

    def watch(self, show: Callable[[Sequence[Status]], None]) -> None:
        """Return when the crawl is over.

        It is when everyone was idle in two rounds in a row and nobody did anything in between: then there was
        a moment between the rounds at which all were idle at once (F. Mattern, 1987, section 4).
        """
        while True:
            before = self._states(show, "rest")
            if before is None or not all(state.quiet for state in before):
                continue
            states = self._states(show, "status")
            if states is None or not all(state.quiet for state in states):
                continue
            if [state.activity for state in states] != [state.activity for state in before]:
                continue
            if not self._go_on(states):
                return
            time.sleep(_PAUSE_S)

    def finish(self) -> None:
        """Stop every worker; their files are whole when this returns."""
        self._get([actor.finish.remote() for actor in self._actors])

    def stats(self) -> list[WorkerStats]:
        """What every finished worker did."""
        return self._get([actor.stats.remote() for actor in self._actors])

    def kill(self) -> None:
        """End the processes."""
        for actor in self._actors:
            with suppress(Exception):
                self._ray.kill(actor)

    def _actor(self, index: int) -> Any:
        remote = self._ray.remote(num_cpus=1, max_restarts=0)(_CrawlActor)
        return remote.remote(index, self._workers, str(self._out.resolve()), asdict(self._limits))

    def _get(self, refs: list[Any]) -> list[Any]:
        return list(self._ray.get(refs, timeout=_CALL_TIMEOUT_S))

    def _tell(self) -> None:
        if self._on_workers is not None:
            self._on_workers(list(self._pids))

    def _states(self, show: Callable[[Sequence[Status]], None], method: str) -> list[Status] | None:
        """Everyone's state, or None after somebody was found dead and replaced."""
        refs = [getattr(actor, method).remote() for actor in self._actors]
        states: list[Status] = []
        for index, ref in enumerate(refs):
            try:
                states.append(self._ray.get(ref, timeout=_CALL_TIMEOUT_S))
            except self._ray.exceptions.RayActorError:
                self._replace(index)
                return None
        for state in states:
            if state.error is not None:
                raise UserError(state.error)
        show(states)
        return states

    def _replace(self, index: int) -> None:
        """Start worker `index` again from the journals, once nobody holds a URL of its any more."""
        self._replaced += 1
        if self._replaced > _MAX_REPLACEMENTS:
            raise UserError(f"crawl workers died {self._replaced} times: see Ray's logs for the cause, then run again")
        alive = [actor for other, actor in enumerate(self._actors) if other != index]
        for actor in alive:
            with suppress(self._ray.exceptions.RayActorError):  # dead too: its turn comes
                self._ray.get(actor.peer_lost.remote(index), timeout=self._limits.lease_s)
        successor = self._actor(index)
        self._actors[index] = successor
        load = successor.load.remote(self._grant_left(alive), True, self._level)
        self._pids[index] = self._ray.get(load, timeout=_START_TIMEOUT_S)
        for actor in self._actors:
            with suppress(self._ray.exceptions.RayActorError):
                self._ray.get(actor.meet.remote(self._actors), timeout=_CALL_TIMEOUT_S)
        with suppress(self._ray.exceptions.RayActorError):
            self._ray.get(successor.begin.remote([]), timeout=_CALL_TIMEOUT_S)
        self._tell()

    def _grant_left(self, alive: list[Any]) -> int | None:
        if self._limits.max_pages is None:
            return None
        promised = 0
        for actor in alive:
            with suppress(self._ray.exceptions.RayActorError):
                state = self._ray.get(actor.status.remote(), timeout=_CALL_TIMEOUT_S)
                promised += state.granted - state.pages
        done = len(read_journals(self._out / "crawl" / "journal", self._out / "warc").done)
        return max(0, self._limits.max_pages - done - promised)

    def _go_on(self, states: list[Status]) -> bool:
        """Everyone is idle as things stand: hand out what is left of the page budget, or go deeper."""
        paused = [index for index, state in enumerate(states) if state.paused]
        if paused:
            left = sum(state.granted - state.pages for state in states)
            if left <= 0:
                return False
            shares = dict(zip(paused, _split(left, len(paused)), strict=True))
            for index, (actor, state) in enumerate(zip(self._actors, states, strict=True)):
                actor.grant.remote(state.pages + shares.get(index, 0))
            return True
        if any(state.lent for state in states):  # an answer was lost on its way: the leases will expire
            return True
        if any(state.deeper for state in states):
            self._level += 1
            for actor in self._actors:
                actor.raise_level.remote()
            return True
        return False


def _split(total: int, parts: int) -> list[int]:
    return [total // parts + (index < total % parts) for index in range(parts)]


def crawl_distributed(
    seeds: Sequence[str],
    out_dir: Path,
    limits: CrawlLimits | None = None,
    workers: int = 2,
    *,
    progress: bool = False,
    on_workers: Callable[[list[int]], None] | None = None,
) -> CrawlReport:
    """Crawl with `workers` Ray actors; the pages are those that `crawl_single` would get, for any number.

    Ray must be running in this process, and every node must see `out_dir` under the same path. A worker that
    dies is replaced and loses nothing. `on_workers` is told the process ids whenever they change. Raises
    PrerequisiteError without Ray, ConfigError for bad seeds, bounds or more workers than Ray has CPUs.
    """
    import ray

    if workers < 1:
        raise ConfigError(f"workers: got {workers}, expected at least 1")
    if not ray.is_initialized():
        raise PrerequisiteError("no Ray in this process: start one first, as `with Lab.local(workers=2):` does")
    cpus = int(ray.cluster_resources().get("CPU", 0))
    if workers > cpus:
        raise ConfigError(f"workers: got {workers}, expected at most the {cpus} CPUs that Ray has")
    out_dir = Path(out_dir)
    with opened_crawl(seeds, out_dir, limits or CrawlLimits()) as (urls, bounds):
        journals, archive = out_dir / "crawl" / "journal", out_dir / "warc"
        done = len(read_journals(journals, archive).done)
        finish_files(archive, keep=workers - 1)
        fleet = _Fleet(out_dir, bounds, workers, on_workers)
        try:
            fleet.start(done)
            start_s = time.perf_counter()
            fleet.begin(urls)
            with crawl_progress(progress, done=done) as show:
                fleet.watch(show)
            fleet.finish()
            seconds = time.perf_counter() - start_s
            stats = fleet.stats()
        finally:
            fleet.kill()
        return write_report(out_dir, read_journals(journals, archive), stats, seconds=seconds, workers=workers)
