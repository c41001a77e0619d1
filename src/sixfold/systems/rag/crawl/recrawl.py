"""Visiting archived pages again, most where it keeps the most pages fresh, and archiving those that changed.

    CRAWL/crawl/visits.jsonl        what every visit saw (visits.py)
    CRAWL/warc/recrawl-NNNNN.warc.gz   pages that had changed

New links are not followed: that is what the crawl itself is for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sixfold.errors import ConfigError, InputError
from sixfold.files import read_json
from sixfold.systems.rag.crawl.change_rate import change_rate_hz, freshness, visit_frequencies_hz
from sixfold.systems.rag.crawl.crawler import opened_crawl
from sixfold.systems.rag.crawl.fetch import Failure, Fetched, Fetcher, FetchResult, fetch_robots, load_client
from sixfold.systems.rag.crawl.journal import read_journals
from sixfold.systems.rag.crawl.limits import CrawlLimits, Scope
from sixfold.systems.rag.crawl.links import host_of
from sixfold.systems.rag.crawl.visits import (
    CHANGED,
    GONE,
    UNCHANGED,
    PageHistory,
    VisitLog,
    VisitRecord,
    add_archived,
    validators,
)
from sixfold.systems.rag.crawl.warc import WarcWriter, http_head
from sixfold.systems.rag.payload import payload_digest
from sixfold.systems.rag.takedown_rules import Blocklist, crawl_blocklist

__all__ = ["choose_pages", "estimated_rates_hz", "run_recrawl"]

Rates = npt.NDArray[np.float64]

DAY_S = 86_400.0
UNKNOWN_RATE_HZ = 1 / (30 * DAY_S)  # of pages of which no visit has told anything yet
EXPLORED = 0.1  # the share of the visits that every page gets alike
_GONE_STATUS = (404, 410)


def run_recrawl(
    crawl: str | Path,
    *,
    budget: int,
    period_s: float = DAY_S,
    delay_s: float = 1.0,
    index: Path | None = None,
    limits: CrawlLimits | None = None,
) -> dict[str, Any]:
    """Visit the `budget` pages of a finished crawl that are most overdue, and say what became of them.

    period_s: how often this is called with such a budget. index: one that gets the changed pages and loses the gone
    ones. limits: how to fetch; scope, types and agent stay those of the crawl. Killed, the next call also tells what
    this one had seen. Raises ConfigError for a bad budget or period, InputError for a folder that is no crawl.
    """
    crawl = Path(crawl)
    if budget < 1 or not period_s > 0:
        raise ConfigError(f"got a budget of {budget} pages every {period_s} s, expected at least 1 and more than 0")
    if not (crawl / "crawl" / "crawl.json").exists():
        raise InputError("not a crawl: it has no crawl/crawl.json", path=crawl)
    bounds = _limits(crawl, limits or CrawlLimits(delay_s=delay_s))
    with opened_crawl(read_json(crawl / "crawl" / "crawl.json")["seeds"], crawl, bounds):
        log = VisitLog(crawl / "crawl" / "visits.jsonl")
        add_archived(log, read_journals(crawl / "crawl" / "journal", crawl / "warc"), crawl / "warc")
        blocklist = Blocklist(crawl_blocklist(crawl))
        pages = [p for p in log.pages.values() if not p.gone and blocklist.rule_for(p.url) is None]
        rates = estimated_rates_hz(pages)
        chosen = choose_pages(pages, rates, budget, period_s, time.time())
        archive = WarcWriter(
            crawl / "warc",
            "recrawl",
            max_records=bounds.warc_records,
            max_bytes=bounds.warc_bytes,
            agent=bounds.agent,
            ends=log.ends,
        )
        try:
            asyncio.run(_visit(chosen, bounds, blocklist, lambda page, result: _record(log, archive, page, result)))
        except BaseException:
            archive.abandon()
            raise
        archive.close()
        told = _told(log.unreported, crawl)
        told["pages"] = len(pages)
        frequencies = _frequencies_hz(rates, budget / period_s)
        told["expected_freshness"] = {
            "these_visits": float(freshness(rates, frequencies).mean()) if pages else 1.0,
            "all_pages_alike": float(freshness(rates, budget / period_s / max(1, len(pages))).mean()) if pages else 1.0,
        }
        if index is not None:
            told["index"] = _feed(index, told)
        log.end(time.time())
    return told


def estimated_rates_hz(pages: Sequence[PageHistory]) -> Rates:
    """The rate of each page [n] by its own visits; where they saw no change, or none was made, by those of all.

    A page that never changed in T s of visits has the mean of the posterior for no event, 0.5 / (T + 0.5 / prior),
    with the rate of all pages as the prior's mean and Jeffreys' shape of 0.5: at 0 it would never be visited again.
    """
    every = [visit for page in pages for visit in page.visits]
    prior = change_rate_hz(every) or UNKNOWN_RATE_HZ
    if not any(visit.changed for visit in every) and every:
        prior = 0.5 / (sum(visit.after_s for visit in every) + 0.5 / UNKNOWN_RATE_HZ)
    rates = []
    for page in pages:
        if any(visit.changed for visit in page.visits):
            rates.append(change_rate_hz(page.visits))
        elif page.visits:
            rates.append(0.5 / (sum(visit.after_s for visit in page.visits) + 0.5 / prior))
        else:
            rates.append(prior)
    return np.array(rates, np.float64)


def choose_pages(
    pages: Sequence[PageHistory],
    rates_hz: Rates,
    budget: int,
    period_s: float,
    now_s: float,
) -> list[PageHistory]:
    """At most `budget` pages: those that have waited longest, in units of the interval that suits them."""
    overdue = _frequencies_hz(rates_hz, budget / period_s) * [max(0.0, now_s - page.last_s) for page in pages]
    order = sorted(range(len(pages)), key=lambda at: (-overdue[at], pages[at].url))
    return [pages[at] for at in order[:budget] if overdue[at] > 0]


def _frequencies_hz(rates_hz: Rates, budget_hz: float) -> Rates:
    """The optimum with nine tenths of the visits; the rest goes round, so that a wrong estimate does not stay wrong."""
    if not len(rates_hz):
        return rates_hz
    return visit_frequencies_hz(rates_hz, (1 - EXPLORED) * budget_hz) + EXPLORED * budget_hz / len(rates_hz)


def _limits(crawl: Path, limits: CrawlLimits) -> CrawlLimits:
    """These limits with what a crawl keeps for its life: scope, types, agent and the like."""
    held = read_json(crawl / "crawl" / "crawl.json")
    fixed = {name: tuple(value) if isinstance(value, list) else value for name, value in held.items()}
    del fixed["seeds"]
    return CrawlLimits(**{**asdict(limits), **fixed})


async def _visit(
    pages: Sequence[PageHistory],
    limits: CrawlLimits,
    blocklist: Blocklist,
    take: Callable[[PageHistory, FetchResult], None],
) -> None:
    """Fetch each page, one request at a time to a host and its delay between them."""
    load_client()
    hosts: dict[str, list[PageHistory]] = {}
    for page in pages:
        hosts.setdefault(host_of(page.url), []).append(page)
    room = asyncio.Semaphore(limits.concurrency)
    scope = Scope(limits.scope)
    async with Fetcher(limits) as fetcher:

        async def visit_host(host: str, mine: list[PageHistory]) -> None:
            async with room:
                robots_url = f"{mine[0].url.partition(':')[0]}://{host}/robots.txt"
                policy, _ = await fetch_robots(fetcher, robots_url, limits, scope)
                delay_s = max(limits.delay_s, min(policy.crawl_delay_s or 0.0, limits.max_delay_s))
                for page in mine:
                    blocklist.refresh()
                    if blocklist.rule_for(page.url) is not None:
                        continue
                    if not policy.allowed(page.url):
                        take(page, Failure("robots-disallowed" if policy.reachable else "robots-unreachable"))
                        continue
                    await asyncio.sleep(delay_s)
                    take(page, await _fetch(fetcher, page, limits))

        await asyncio.gather(*(visit_host(host, mine) for host, mine in hosts.items()))


async def _fetch(fetcher: Fetcher, page: PageHistory, limits: CrawlLimits) -> FetchResult:
    tries = 0
    while True:
        result = await fetcher.get(page.url, headers=validators(page))
        if not isinstance(result, Failure) or not result.transient or tries >= limits.retries:
            return result
        after_s = max(limits.retry_after_s * 2**tries, min(result.retry_after_s or 0.0, limits.max_delay_s))
        await asyncio.sleep(max(limits.delay_s, after_s))
        tries += 1


def _record(log: VisitLog, archive: WarcWriter, page: PageHistory, result: FetchResult) -> None:
    """Archive a page that changed, and log the visit: in this order, so that no logged page is missing."""
    now_s = time.time()
    if isinstance(result, Failure):
        if result.status == 304:
            log.add(VisitRecord(page.url, now_s, UNCHANGED))
        elif result.status in _GONE_STATUS:
            log.add(VisitRecord(page.url, now_s, GONE, detail=result.kind))
        else:
            outcome = "disallowed" if result.kind == "robots-disallowed" else "failed"
            log.add(VisitRecord(page.url, now_s, outcome, detail=result.kind))
        return
    if result.location is not None:
        log.add(VisitRecord(page.url, now_s, "moved", detail=result.location[:2_048]))
        return
    digest = payload_digest(result.body)
    headers = {name.lower(): value for name, value in result.headers}
    seen = (digest, headers.get("etag", ""), headers.get("last-modified", ""))
    if digest == page.digest:
        log.add(VisitRecord(page.url, now_s, UNCHANGED, *seen))
        return
    at = archive.append(page.url, _head(result), result.body, truncated=result.truncated)
    log.add(VisitRecord(page.url, now_s, CHANGED, *seen, file=at.file, offset=at.offset, length=at.length))


def _head(page: Fetched) -> bytes:
    return http_head(page.status, page.reason, page.headers, len(page.body), page.decoded)


def _told(records: Sequence[VisitRecord], crawl: Path) -> dict[str, Any]:
    """What the visits came to. Of several of one page the last counts, but a change stays one if it is still there."""
    by_url: dict[str, VisitRecord] = {}
    for record in records:
        if not (record.outcome in (UNCHANGED, "failed") and record.url in by_url and by_url[record.url].file):
            by_url[record.url] = record
    last = by_url.values()
    failed: dict[str, int] = {}
    for record in last:
        if record.outcome == "failed":
            failed[record.detail] = failed.get(record.detail, 0) + 1
    files = sorted({record.file for record in records if record.file})
    return {
        "crawl": str(crawl),
        "visited": len(last),
        "changed": sorted(record.url for record in last if record.outcome == CHANGED),
        "unchanged": sum(record.outcome == UNCHANGED for record in last),
        "gone": sorted(record.url for record in last if record.outcome == GONE),
        "moved": {record.url: record.detail for record in last if record.outcome == "moved"},
        "disallowed": sorted(record.url for record in last if record.outcome == "disallowed"),
        "failed": failed,
        "warc": [str(crawl / "warc" / name) for name in files],
    }


def _feed(index: Path, told: dict[str, Any]) -> dict[str, Any]:
    """Put what changed into an index and take out what is gone; idempotent, as both calls are."""
    from sixfold.systems.rag.live.operate import run_ingest
    from sixfold.systems.rag.live.writer import Writer

    fed: dict[str, Any] = {"ingested": {}, "removed": 0}
    if told["warc"]:
        ingested = run_ingest(told["warc"], index)
        fed = {"ingested": ingested["counts"], "removed": 0, "generation": ingested["generation"]}
    if told["gone"]:
        receipt = Writer(index).remove(urls=told["gone"])
        fed |= {"removed": len(receipt.removed), "generation": receipt.generation}
    return fed
