"""What a crawl came to: the report, and the log of everything that did not become a page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sixfold.files import replace_bytes, replace_json
from sixfold.study.meter import Reading
from sixfold.systems.rag.crawl.journal import JournalState

__all__ = ["CrawlReport", "WorkerStats", "looping_redirects", "write_report"]


@dataclass(frozen=True, slots=True)
class WorkerStats:
    """What one worker did in this run."""

    fetched: int  # pages
    requests: int  # robots.txt, redirects, failures and repeats too
    false_positive_rate: float  # of its seen-set, measured at the end
    expected_false_positives: float  # URLs lost to the seen-set, from its filling
    cpu_s: float
    reading: Reading


@dataclass(frozen=True, slots=True)
class CrawlReport:
    """The state of a crawl at the end of a run; `fetched`, `requests` and `seconds` are of this run alone."""

    pages: int
    payload_bytes: int
    errors: Mapping[str, int]  # kind -> URLs; each is one line of crawl/errors.jsonl
    redirects: int
    unfinished: int  # URLs known and not fetched: a bound stopped the crawl
    fetched: int
    requests: int
    seconds: float
    workers: int
    cpu_s: float
    false_positive_rate: float
    expected_false_positives: float
    warc_files: tuple[str, ...] = ()
    readings: tuple[Reading, ...] = field(default=(), repr=False)

    def as_json(self) -> dict[str, Any]:
        """Plain data, without the meter's readings."""
        plain = {name: getattr(self, name) for name in self.__slots__ if name != "readings"}
        return {**plain, "errors": dict(self.errors), "warc_files": list(self.warc_files)}


def looping_redirects(redirects: Mapping[str, str]) -> set[str]:
    """The URLs whose chain of redirects never ends.

    Decided on the whole graph, so that the answer does not depend on which URL of a loop was fetched first.
    """
    ends: dict[str, bool] = {}  # url -> loops
    for start in redirects:
        path: list[str] = []
        on_path: set[str] = set()
        url = start
        while url in redirects and url not in ends and url not in on_path:
            path.append(url)
            on_path.add(url)
            url = redirects[url]
        loops = url in on_path or ends.get(url, False)
        ends.update(dict.fromkeys(path, loops))
    return {url for url, loops in ends.items() if loops}


def write_report(
    out_dir: Path, state: JournalState, stats: Iterable[WorkerStats], *, seconds: float, workers: int
) -> CrawlReport:
    """Write `crawl/errors.jsonl` (sorted by URL) and `crawl/report.json`, and return the report."""
    stats = list(stats)
    looping = looping_redirects(state.redirects)
    errors = [(url, kind, detail) for url, (kind, detail) in state.failed.items() if url not in state.done]
    errors += [(url, "redirect-loop", state.redirects[url]) for url in looping]
    errors += [(url, "body-cut", done.truncated) for url, done in state.done.items() if done.truncated]
    lines = [json.dumps({"url": u, "kind": k, "detail": d}, ensure_ascii=False) + "\n" for u, k, d in sorted(errors)]
    replace_bytes(out_dir / "crawl" / "errors.jsonl", "".join(lines).encode())
    report = CrawlReport(
        pages=len(state.done),
        payload_bytes=sum(done.payload_bytes for done in state.done.values()),
        errors=dict(sorted(Counter(kind for _, kind, _ in errors).items())),
        redirects=len(state.redirects),
        unfinished=len(state.unfinished()),
        fetched=sum(s.fetched for s in stats),
        requests=sum(s.requests for s in stats),
        seconds=seconds,
        workers=workers,
        cpu_s=sum(s.cpu_s for s in stats),
        false_positive_rate=max((s.false_positive_rate for s in stats), default=0.0),
        expected_false_positives=sum(s.expected_false_positives for s in stats),
        warc_files=tuple(sorted(str(path) for path in (out_dir / "warc").glob("*.warc.gz"))),
        readings=tuple(s.reading for s in stats),
    )
    replace_json(out_dir / "crawl" / "report.json", report.as_json())
    return report
