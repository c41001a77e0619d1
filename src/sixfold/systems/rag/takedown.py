"""Takedown: what a URL, a host or a pattern names leaves the crawl, its archive, the builds, the index and the caches.

The order makes every step safe to repeat: the rule is on record first, then nothing answers with the pages any more,
then everything that is about to be destroyed is noted with its digest, and only then is it destroyed. Killed
anywhere, the same call goes on; a receipt in the state `complete` says that a search for all of it found nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from sixfold.errors import ConfigError, InputError
from sixfold.parts.embedder import Precision, model_id
from sixfold.parts.embedding_cache import forget
from sixfold.systems.rag.crawl.warc import OPEN_SUFFIX
from sixfold.systems.rag.index.lock import COMPACTING, WRITING, alone
from sixfold.systems.rag.index.manifest import read_manifest, sweep
from sixfold.systems.rag.live.catalog import forget_facts
from sixfold.systems.rag.takedown_builds import (
    build_passages,
    build_sources,
    find_in_builds,
    same_text,
    scrub_builds,
)
from sixfold.systems.rag.takedown_index import bury, find_in_segments, purge, segment_passages, segment_sources
from sixfold.systems.rag.takedown_live import find_in_live, scrub_live
from sixfold.systems.rag.takedown_receipt import Found, OpenReceipt, Receipt, open_receipt
from sixfold.systems.rag.takedown_rules import Blocklist, Rule, crawl_blocklist, index_blocklist, iso_time
from sixfold.systems.rag.takedown_scan import files_with
from sixfold.systems.rag.takedown_warc import find_records, journaled_members, overwrite

__all__ = ["takedown", "why_taken_down"]

_LOCK = ".takedown.lock"
_PROBES = 3
_PROBE_CHARS = 40


def takedown(
    index: str | Path,
    *,
    url: str | None = None,
    host: str | None = None,
    pattern: str | None = None,
    subdomains: bool = False,
    crawls: Sequence[str | Path] = (),
    reason: str = "",
    scan: bool = False,
    wait_s: float = 60.0,
    grace_s: float = 2.0,
) -> Receipt:
    """Take down what exactly one of `url`, `host` and `pattern` names, from an index and the crawls it was made of.

    scan: also look for strings of the pages in every byte of the index and the crawls. wait_s: for a build or a
    writer to let go of the index. grace_s: that readers of earlier generations are given to open their files.
    Raises ConfigError for a bad rule, or if a build has the index (no answer has the pages then, the rest is done
    by calling again); InputError for a folder that is no index or no crawl.
    """
    index = Path(index)
    rule = Rule.of(url=url, host=host, pattern=pattern, subdomains=subdomains, reason=reason)
    if not (index / "manifest.json").exists() and not (index / "builds").is_dir():
        raise InputError("not an index: it has neither a manifest nor builds", path=index)
    for crawl in map(Path, crawls):
        if not (crawl / "warc").is_dir():
            raise InputError("not a crawl: it has no folder warc/", path=crawl)
    with alone(index, _LOCK, wait_s=wait_s):
        named = tuple(str(Path(crawl).resolve()) for crawl in crawls)
        return _Takedown(index, open_receipt(index / "takedowns", rule, named, time.time()), wait_s, grace_s).run(scan)


def why_taken_down(index: Path, url: str) -> list[dict[str, Any]]:
    """What rules say of a URL, as `run_why` tells it of builds."""
    return [
        {
            "build": "takedowns",
            "fate": "taken down",
            "at": iso_time(rule.at_s),
            "rule": str(rule),
            "reason": rule.reason,
            "receipt": rule.receipt,
        }
        for rule in Blocklist(index_blocklist(index)).rules()
        if rule.matches(url)
    ]


class _Takedown:
    """One attempt at one takedown."""

    def __init__(self, index: Path, opened: OpenReceipt, wait_s: float, grace_s: float) -> None:
        self._index, self._opened, self._wait_s, self._grace_s = index, opened, wait_s, grace_s
        self._rule = opened.receipt.rule
        self._crawls = [Path(crawl) for crawl in opened.receipt.crawls]
        self._published = (index / "manifest.json").exists()
        self._seconds: dict[str, float] = {}
        self._last_s = time.perf_counter()

    def run(self, scan: bool) -> Receipt:
        index, rule, number = self._index, self._rule, self._opened.receipt.number
        Blocklist(index_blocklist(index)).add(rule)
        for crawl in self._crawls:
            Blocklist(crawl_blocklist(crawl)).add(rule)
        generation = self._bury(self._opened.receipt.generation)
        self._lap("answers")
        try:
            with alone(index, WRITING, wait_s=self._wait_s):
                generation = self._bury(generation)  # of a build that was published in between
                probes = self._note(scan)
                self._lap("note")
                self._forget_vectors()
                self._lap("embeddings")
                if self._published:
                    purge(index, self._wait_s)
                    merged_s = time.monotonic()
                self._lap("merge")
                scrub_builds(index, rule, set(read_manifest(index).segments) if self._published else set())
                self._lap("builds")
                scrub_live(index, rule, self._opened.of("live"), number)
                self._lap("live")
                self._scrub_crawls()
                self._lap("crawls")
                if self._published:
                    time.sleep(max(0.0, merged_s + self._grace_s - time.monotonic()))
                    if (index / "segments").is_dir():
                        with alone(index, COMPACTING, wait_s=self._wait_s):
                            sweep(index)
                    forget_facts(index)
                self._lap("sweep")
                verification = self._verify(probes)
                self._lap("verify")
        except ConfigError as error:
            told = f"no answer has it from generation {generation} on, but it is still on the disk"
            raise ConfigError(f"{error}; {told}: call again to go on with receipt {number}") from error
        state = "running" if any(verification["remaining"].values()) else "complete"
        return self._opened.save(state=state, verification=verification, seconds=self._seconds)

    def _bury(self, before: int) -> int:
        """The generation from which on nothing answers with it; `before` if that still is the one."""
        if not self._published:
            return 0
        generation, buried = bury(self._index, self._rule.matches)
        generation = generation if buried or not before else before
        self._opened.save(generation=generation)
        return generation

    def _note(self, scan: bool) -> list[str]:
        """Write down everything that is there before any of it goes; some strings of it, if they are asked for."""
        index, rule = self._index, self._rule
        self._opened.note(find_in_segments(index, rule.matches))
        self._opened.note(find_in_builds(index, rule))
        self._opened.note(find_in_live(index, rule))
        left = {(at["file"], at["offset"]): at for at in self._opened.receipt.left}
        reach = [*(crawl / "warc" for crawl in self._crawls), (index / "live").resolve()]
        for file, offset, url in (*segment_sources(index, rule.matches), *build_sources(index, rule)):
            path = Path(file).resolve()
            if path.exists() and not any(path.is_relative_to(folder) for folder in reach):
                at = {"file": str(path), "offset": str(offset), "url": url}
                left[at["file"], at["offset"]] = {**at, "why": "an input of a build that is in no crawl that was named"}
        left = {key: at for key, at in left.items() if not any(Path(at["file"]).is_relative_to(f) for f in reach)}
        same = dict.fromkeys([*self._opened.receipt.same_text, *same_text(index, rule)])
        self._opened.save(left=tuple(left.values()), same_text=tuple(same))
        return _probes(self._passages()) if scan else []

    def _passages(self) -> Iterator[str]:
        yield from segment_passages(self._index, self._rule.matches)
        yield from build_passages(self._index, self._rule)

    def _forget_vectors(self) -> None:
        folder, models = self._index / "embeddings", [model_id(precision) for precision in get_args(Precision)]
        known = forget(folder, models, self._passages(), dry=True)
        self._opened.note(
            Found("embedding", f"embeddings/{one.file}.vectors", str(one.row), "", one.size_bytes, one.sha256)
            for one in known
        )
        if known:
            forget(folder, models, self._passages())

    def _scrub_crawls(self) -> None:
        number = self._opened.receipt.number
        for found in self._opened.of("crawl"):  # what an attempt that was killed had begun to overwrite
            overwrite(_archive(Path(found.file)), found, number, self._rule.at_s)
        # A crawler that runs looks at its blocklist before each page; what it was writing then comes a moment later.
        while found_now := self._opened.note(self._find_in_crawls()):
            for found in found_now:
                overwrite(_archive(Path(found.file)), found, number, self._rule.at_s)

    def _find_in_crawls(self) -> Iterator[Found]:
        for crawl in self._crawls:
            known = journaled_members(crawl)
            for path in sorted((crawl / "warc").glob("*.warc.gz*")):
                name = path.name.removesuffix(OPEN_SUFFIX)
                file = str(path.with_name(name))
                yield from find_records(path, self._rule.matches, "crawl", file, known.get(name, ()))

    def _verify(self, probes: list[str]) -> dict[str, Any]:
        index, rule = self._index, self._rule
        remaining = {
            "segments": _count(find_in_segments(index, rule.matches)),
            "builds": _count(find_in_builds(index, rule)),
            "live": _count(find_in_live(index, rule)),
            "crawls": _count(self._find_in_crawls()),
        }
        verification: dict[str, Any] = {"at": iso_time(time.time()), "remaining": remaining}
        if probes:
            hits = files_with([index, *self._crawls], probes)
            verification["scan"] = {
                "strings": len(probes),
                "files_with_them": sorted({f for of in hits.values() for f in of}),
            }
        return verification

    def _lap(self, step: str) -> None:
        now_s = time.perf_counter()
        self._seconds[step] = round(now_s - self._last_s, 4)
        self._last_s = now_s


def _archive(path: Path) -> Path:
    """A WARC file under the name that it has at present."""
    return path if path.exists() else path.with_name(path.name + OPEN_SUFFIX)


def _probes(passages: Iterable[str]) -> list[str]:
    """The longest lines of some passages: a string that other pages are not likely to have."""
    lines = (max(text.split("\n"), key=len) for text in passages)
    found: dict[str, None] = {}
    for line in lines:
        if len(line) >= _PROBE_CHARS:
            found[line[:500]] = None
        if len(found) == _PROBES:
            break
    return list(found)


def _count(found: Iterable[Found]) -> int:
    return sum(1 for _ in found)
