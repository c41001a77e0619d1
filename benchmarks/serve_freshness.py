"""How soon a document can be found after it was handed in, and what taking documents in costs those who ask.

    python benchmarks/serve_freshness.py [--quick] [--json]

A fleet over pages of Debian's documentation in two shards, nothing cached, with its writer. Documents are pages of one
or three real passages and one word that is nowhere else; they are handed in over HTTP, and so are questions.
Visible is the time from sending POST /v1/documents until the first answer of /v1/search with the document has come;
the question is asked again as soon as it was answered, and documents come one after the other with a pause.
The p99 of questions is of an open loop, in turns with and without documents handed in back to back in calls of four;
for each share of one core that the writer and the compactor may have there is a fleet of its own on a fresh copy.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from common import Row, machine, show
from serve_support import (
    VERSIONS,
    Load,
    Report,
    fleet_of,
    generator,
    pages_index,
    passages_of,
    poisson,
    questions,
    run_load,
    saturated_per_s,
    search_bodies,
)
from sixfold.parts.http_load import http_load
from sixfold.systems.rag.index.segment import IndexedChunk
from sixfold.systems.rag.serve.fleet import Fleet
from sixfold.systems.rag.serve.settings import ServeSettings

VISIBLE_TARGET_S, P99_TARGET = 1.0, 1.3
SHARES = (0.1, 0.25, 0.5)  # of one core; 0 is what the same fleets do while nothing is handed in
DEFAULT_SHARE = ServeSettings(Path()).ingest_share
LOAD_SHARE = 0.3  # of the capacity
CALL = 4  # documents handed in at once
PAUSE_S = 1.0  # between documents whose visibility is measured
GIVE_UP_S = 15.0
K, DEADLINE_S = 10, 5.0
LETTERS = "bcdfghjkmpqvwxz"


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    documents: int  # whose visibility is timed
    phase_s: float
    phases: int  # with documents, and as many without


FULL, QUICK = Size(60, 25.0, 3), Size(20, 12.0, 1)


class Pages:
    """Documents that are not in the index: real passages of other pages in a new order, and a word of their own."""

    def __init__(self, passages: Sequence[IndexedChunk], seed: int) -> None:
        self._draw, self._passages, self._made = random.Random(seed), passages, 0

    def next(self) -> tuple[str, dict[str, Any]]:
        """Its word, and the document as it is handed in."""
        self._made += 1
        word = "zq" + "".join(self._draw.choice(LETTERS) for _ in range(10))
        texts = [at.chunk.text for at in self._draw.sample(self._passages, 3 if self._made % 2 else 1)]
        body = "".join(f"<p>{_escaped(text)}</p>" for text in [f"The page about {word} says this.", *texts])
        html = f"<html><head><title>About {word}</title></head><body><main>{body}</main></body></html>"
        return word, {"url": f"http://fresh.example/{word}", "html": html}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


@dataclass
class Fresh:
    """How soon documents were found."""

    visible_s: list[float] = field(default_factory=list)
    receipt_s: list[float] = field(default_factory=list)
    dropped: int = 0  # by the rules of the build: they never become visible
    never: int = 0


async def visibility(fleet: Fleet, pages: Pages, n: int) -> Fresh:
    """Hand n documents in, one by one, and look for each of them meanwhile."""
    fresh = Fresh()
    async with http_load(fleet.address, lambda _: ("", None)) as http:
        while len(fresh.visible_s) + fresh.never < n:
            word, document = pages.next()
            began_s = time.perf_counter()
            handing_in = asyncio.create_task(http.ask("/v1/documents", {"documents": [document]}))
            seen_s = None
            while time.perf_counter() - began_s < GIVE_UP_S:
                answer = await http.ask("/v1/search", {"query": word, "k": 3, "deadline_s": DEADLINE_S})
                hits = answer.body["data"] if answer.status == 200 else []
                if any(hit["url"] == document["url"] for hit in hits):
                    seen_s = time.perf_counter() - began_s
                    break
                if handing_in.done() and handing_in.result().status != 200:
                    raise ConnectionError(f"the document was refused: {handing_in.result()}")
                if handing_in.done() and not handing_in.result().body["counts"].get("added"):
                    break
                await asyncio.sleep(0.005)
            receipt = await handing_in
            if not receipt.body["counts"].get("added"):
                fresh.dropped += 1
                continue
            if seen_s is None:
                fresh.never += 1
            else:
                fresh.visible_s.append(seen_s)
                fresh.receipt_s.append(receipt.body["seconds"]["total"])
            await asyncio.sleep(PAUSE_S)
    return fresh


class Ingest:
    """Documents handed in back to back by a thread, until told to stop."""

    def __init__(self, fleet: Fleet, pages: Pages) -> None:
        self._fleet, self._pages = fleet, pages
        self._stop = threading.Event()
        self.added = 0
        self.failed: list[str] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    async def _run(self) -> None:
        async with http_load(self._fleet.address, lambda _: ("", None)) as http:
            while not self._stop.is_set():
                documents = [self._pages.next()[1] for _ in range(CALL)]
                try:
                    answer = await http.ask("/v1/documents", {"documents": documents})
                except OSError as error:
                    self.failed.append(str(error))
                    continue
                if answer.status == 200:
                    self.added += answer.body["counts"].get("added", 0)
                else:
                    self.failed.append(str(answer.body))


@dataclass
class Shared:
    """What one share of a core came to."""

    share: float
    rate: float
    latencies: dict[bool, list[float]] = field(default_factory=lambda: {False: [], True: []})
    not_ok: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})
    added: int = 0
    ingest_s: float = 0.0
    failed: list[str] = field(default_factory=list)

    def p99_s(self, ingest: bool) -> float:
        return float(np.quantile(self.latencies[ingest], 0.99))

    def p50_s(self, ingest: bool) -> float:
        return float(np.quantile(self.latencies[ingest], 0.5))

    @property
    def per_s(self) -> float:
        return self.added / self.ingest_s

    @property
    def ratio(self) -> float:
        return self.p99_s(True) / self.p99_s(False)

    @property
    def note(self) -> str:
        n = {on: len(of) for on, of in self.latencies.items()}
        return (
            f"{self.per_s:.1f} documents/s; p50 {self.p50_s(True) * 1e3:.0f} against {self.p50_s(False) * 1e3:.0f} ms; "
            f"n={n[True]} and {n[False]} at {self.rate:.1f}/s, not answered {self.not_ok[True]} and "
            f"{self.not_ok[False]}; calls that failed {len(self.failed)}"
        )


def load_of(
    pool: ProcessPoolExecutor, fleet: Fleet, asked: Sequence[str], rate: float, seconds: float, first: int
) -> Report:
    """Questions at a steady rate."""
    arrivals = poisson(rate, seconds, seed=first)
    bodies = search_bodies(asked, K, DEADLINE_S)
    report: Report = pool.submit(
        run_load, Load(fleet.address, "/v1/search", bodies, arrivals, DEADLINE_S + 5, first=first)
    ).result()
    return report


def shared(
    pool: ProcessPoolExecutor, fleet: Fleet, asked: Sequence[str], pages: Pages, size: Size, share: float, rate: float
) -> Shared:
    """Questions with and without documents coming in, in turns."""
    result = Shared(share, rate)
    first = 0
    for phase in range(2 * size.phases):
        on = phase % 2 == 1
        ingest = Ingest(fleet, pages)
        if on:
            with ingest.running():
                began_s = time.perf_counter()
                report = load_of(pool, fleet, asked, rate, size.phase_s, first)
                result.ingest_s += time.perf_counter() - began_s
        else:
            report = load_of(pool, fleet, asked, rate, size.phase_s, first)
        first += len(report.sent)
        result.added += ingest.added
        result.failed += ingest.failed
        result.latencies[on] += [one.latency_s for one in report.sent if one.ok]
        result.not_ok[on] += sum(not one.ok for one in report.sent)
        time.sleep(3.0)  # the compactor comes to its end
    print(f"share {share}: p99 ratio {result.ratio:.2f}; {result.note}", file=sys.stderr)
    return result


def measure(size: Size) -> list[Row]:
    source = pages_index(600, 2)
    passages = passages_of(source)
    asked = questions(passages, 4_000, seed=2)
    results: list[Shared] = []
    rate, fresh = 0.0, Fresh()
    with generator() as pool, tempfile.TemporaryDirectory() as folder:
        for at, share in enumerate(sorted(SHARES, key=lambda share: share != DEFAULT_SHARE)):
            index = Path(folder) / f"index-{at}"
            shutil.copytree(source, index)
            pages = Pages(passages, seed=at)
            with fleet_of(index, writes=True, ingest_share=share) as fleet:
                rate = rate or LOAD_SHARE * saturated_per_s(pool, fleet, search_bodies(asked[-150:], K, 10.0))
                asyncio.run(visibility(fleet, Pages(passages, seed=100 + at), 2))  # the writer loads its model
                if share == DEFAULT_SHARE:
                    fresh = asyncio.run(visibility(fleet, Pages(passages, seed=200), size.documents))
                results.append(shared(pool, fleet, asked, pages, size, share, rate))
    p50_s, p95_s = (float(np.quantile(fresh.visible_s, q)) for q in (0.5, 0.95))
    n = f"n={len(fresh.visible_s)}, never seen {fresh.never}, dropped by the rules {fresh.dropped}"
    about = f"{len(passages)} passages in 2 shards; load {os.getloadavg()[0]:.1f}"
    rows = [
        Row("from handing a document in to an answer with it, median", p50_s, "s", target=VISIBLE_TARGET_S,
            passed=p50_s <= VISIBLE_TARGET_S and not fresh.never, note=f"{n}; {about}"),
        Row("the same, p95", p95_s, "s", target=VISIBLE_TARGET_S, passed=p95_s <= VISIBLE_TARGET_S and not fresh.never,
            note=f"longest {max(fresh.visible_s):.2f} s; of it within the writer {np.median(fresh.receipt_s):.2f} s"),
    ]  # fmt: skip
    default = next(one for one in results if one.share == DEFAULT_SHARE)
    rows.append(
        Row("p99 of questions while documents come in", default.p99_s(True) * 1e3, "ms", default.p99_s(False) * 1e3,
            default.ratio, P99_TARGET, default.ratio <= P99_TARGET, f"share {DEFAULT_SHARE:g}; {default.note}")
    )  # fmt: skip
    without = [latency for one in results for latency in one.latencies[False]]
    rows.append(
        Row(
            "p99 at an ingest share of 0",
            float(np.quantile(without, 0.99)) * 1e3,
            "ms",
            note="0 documents/s; all fleets",
        )
    )
    for one in sorted(results, key=lambda one: one.share):
        rows += [
            Row(f"p99 at an ingest share of {one.share:g}", one.p99_s(True) * 1e3, "ms", one.p99_s(False) * 1e3,
                one.ratio, note="peer: without, the same fleet"),
            Row(f"documents at an ingest share of {one.share:g}", one.per_s, "1/s", note=one.note),
        ]  # fmt: skip
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="20 documents, one short phase of each kind")
    options = parser.parse_args()
    about = machine(*VERSIONS)
    rows = measure(QUICK if options.quick else FULL)
    show("serve_freshness", about, rows, as_json=options.json)
    return 0 if all(row.passed is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
