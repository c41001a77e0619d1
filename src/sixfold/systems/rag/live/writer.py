"""Documents come and go while an index is being served: new segments and tombstones, one generation a call.

    INDEX/segments/live-GENERATION-SHARD/   what one call added to one shard
    INDEX/live/                             what was handed in (ledger.py), what repeats what (catalog.py)

A call is over when its generation is published; killed before that, it leaves the index as it was, and what it had
begun to write is cleared away by the next one.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from fnmatch import translate
from pathlib import Path
from re import compile as compile_pattern

import numpy as np
import numpy.typing as npt

from sixfold.errors import ConfigError
from sixfold.systems.rag.build_clean import cleaner_config
from sixfold.systems.rag.build_folder import BuildFolder, BuildSettings
from sixfold.systems.rag.clean.cleaner import MAX_TITLE_CHARS, NOT_TEXT, Cleaner
from sixfold.systems.rag.clean.pii import scrub
from sixfold.systems.rag.index.filters import host_of
from sixfold.systems.rag.index.history import GRACE_S, forget, named_segments
from sixfold.systems.rag.index.lock import WRITING, alone
from sixfold.systems.rag.index.manifest import Change, Manifest, Tombstones, read_manifest, update
from sixfold.systems.rag.live.additions import Embed, embed_with, stored_vectors, write_additions
from sixfold.systems.rag.live.catalog import Catalog, forget_facts
from sixfold.systems.rag.live.ledger import Ledger, Position
from sixfold.systems.rag.live.pages import Page, check_call, raw_record
from sixfold.systems.rag.live.receipts import Fate, Receipt, Removed
from sixfold.systems.rag.live.sift import Kept, Sifted, sift
from sixfold.systems.rag.records import Document, Dropped, RawRecord, document_id
from sixfold.systems.rag.takedown_rules import Blocklist, index_blocklist

__all__ = ["Writer"]

MAX_PATTERN_CHARS = 2_048
WAIT_S = 10.0


class Writer:
    """Adds documents to an index and removes them. One call at a time, of all writers and builds of the index.

    The lock is held during a call only, so that writers of several processes and builds take turns; a writer that
    lives long keeps what it knows of the index, and its calls are fast.
    """

    def __init__(
        self,
        index: str | Path,
        *,
        embed: Embed | None = None,
        settings: BuildSettings | None = None,
        cleaner: Cleaner | None = None,
        wait_s: float = WAIT_S,
        grace_s: float = GRACE_S,
    ) -> None:
        """embed: texts -> [n, d] float32, normalised; without it, the model of builds. settings and cleaner: the rules
        of the newest build, or a build's defaults. wait_s: for another writer. grace_s: see `history.forget`.
        """
        self._index = Path(index)
        self._embed = embed or _embed
        self._settings, self._cleaner = settings, cleaner
        self._wait_s, self._grace_s = wait_s, grace_s
        self._catalog = Catalog(self._index)
        self._rules: tuple[str | None, BuildSettings, Cleaner] | None = None
        self._clean = False  # no leftovers of this process, and those of others were looked for
        self._swept_s = 0.0

    def upsert(self, pages: Sequence[Page | RawRecord], *, allow_duplicates: bool = False) -> Receipt:
        """Add pages, or put them in the place of what their URLs had; visible together, when this returns.

        Pages are cleaned by the rules of the newest build. What repeats a live document is dropped with a reason,
        unless duplicates are allowed; what a takedown names is refused. A record of a file keeps its source, a page
        is archived and points there.
        Raises InputError for more than a call may bring, ConfigError if another writer does not finish in time.
        """
        check_call(pages)
        clock = _Clock()
        settings, cleaner = self._rules_of(self._manifest())
        outcomes = [_clean(cleaner, page) for page in pages]
        clock.lap("clean")
        with self._alone() as now:
            clock.lap("wait")
            outcomes = self._without_taken_down(outcomes)
            found = sift(
                outcomes,
                self._catalog,
                jaccard_threshold=settings.near_duplicate_jaccard,
                allow_duplicates=allow_duplicates,
            )
            clock.lap("compare")
            ledger = Ledger(self._index, Position.of(now))
            kept = [self._archived(one, pages[one.at], ledger) for one in found.kept]
            vectors = None
            if self._catalog.dimension != 0:
                vectors = embed_with(self._embed, kept, stored_vectors(kept, self._catalog))
            clock.lap("embed")
            added = write_additions(self._index, kept, vectors, now, self._catalog, settings.capacity_bytes)
            clock.lap("write")
            fates = _fates(found, kept)
            gone = {one.document.doc_id: one.older for one in kept if one.older} | found.outdated
            removed = tuple(Removed(found.urls[doc_id], doc_id) for doc_id in found.outdated)
            entry = {"at": time.time(), "call": "upsert", "pages": [asdict(fate) for fate in fates] + _told(removed)}
            published = bool(added or gone)
            manifest = self._publish(ledger, entry, now, added, gone) if published else now
            if not published:
                ledger.commit(entry, published=False)
            clock.lap("publish")
        passages = sum(len(one.chunks) for one in kept)
        return Receipt(manifest.generation, published, fates, removed, passages, clock.seconds())

    def remove(
        self,
        *,
        urls: Sequence[str] = (),
        hosts: Sequence[str] = (),
        doc_ids: Sequence[str] = (),
        pattern: str | None = None,
    ) -> Receipt:
        """Remove every document that any of these names: gone from all answers when this returns.

        hosts: as `host_of` gives them. pattern: of whole URLs, as of file names (* ? [abc]). The text stays on the
        disk until the segments are merged (`compact`, with `purge` at once). Raises ConfigError for a call that
        names nothing, or if another writer does not finish in time.
        """
        if not (urls or hosts or doc_ids or pattern):
            raise ConfigError("got nothing to remove; name URLs, hosts, documents or a pattern")
        if pattern is not None and len(pattern) > MAX_PATTERN_CHARS:
            raise ConfigError(f"got a pattern of {len(pattern)} characters, expected at most {MAX_PATTERN_CHARS}")
        clock = _Clock()
        of_hosts = {host.lower() for host in hosts}
        matches = compile_pattern(translate(pattern)).match if pattern else lambda _: None
        with self._alone() as now:
            clock.lap("wait")
            places: dict[str, tuple[str, ...]] = {}
            removed: dict[str, Removed] = {}
            known = {document_id(url): url for url in urls}
            for doc_id in dict.fromkeys([*known, *doc_ids]):
                if segments := self._catalog.segments_of(doc_id):
                    url = known.get(doc_id) or self._catalog.passages(segments[0], doc_id)[0][0].url
                    places[doc_id], removed[doc_id] = tuple(segments), Removed(url, doc_id)
            for segment, doc_id, url in self._catalog.urls() if of_hosts or pattern else ():
                if doc_id not in removed and (host_of(url) in of_hosts or matches(url)):
                    places[doc_id] = (*places.get(doc_id, ()), segment)
                    removed[doc_id] = Removed(url, doc_id)
            clock.lap("find")
            manifest, gone = now, tuple(sorted(removed.values(), key=lambda one: one.url))
            if removed:
                by = {"urls": list(urls), "hosts": list(hosts), "doc_ids": list(doc_ids), "pattern": pattern}
                entry = {"at": time.time(), "call": "remove", "by": by, "pages": _told(gone)}
                manifest = self._publish(Ledger(self._index, Position.of(now)), entry, now, {}, places)
            clock.lap("publish")
        return Receipt(manifest.generation, bool(removed), (), gone, 0, clock.seconds())

    def _without_taken_down(self, outcomes: list[Document | Dropped]) -> list[Document | Dropped]:
        blocklist = Blocklist(index_blocklist(self._index))
        rules = ((one, blocklist.rule_for(one.url)) for one in outcomes)
        return [one if rule is None else rule.dropped(one.url, one.source) for one, rule in rules]

    @contextmanager
    def _alone(self) -> Iterator[Manifest]:
        """Nobody else adds or removes; the catalog is of the newest generation, which is given."""
        with alone(self._index, WRITING, wait_s=self._wait_s):
            if not self._clean:
                self._clear_leftovers()
            self._clean = False
            now = self._manifest()
            self._catalog.refresh(now)
            yield now
            self._clean = True
            if time.monotonic() - self._swept_s > self._grace_s and now.generation:
                forget(self._index, time.time(), self._grace_s)
                forget_facts(self._index)
                self._swept_s = time.monotonic()

    def _manifest(self) -> Manifest:
        return read_manifest(self._index) if (self._index / "manifest.json").exists() else Manifest(0, ())

    def _rules_of(self, now: Manifest) -> tuple[BuildSettings, Cleaner]:
        build = now.settings.get("build")
        if self._rules is None or self._rules[0] != build:
            settings = self._settings
            if settings is None:
                folder = BuildFolder(self._index / "builds" / str(build))
                settings = folder.read_plan()[1] if folder.plan_path.exists() else BuildSettings()
            self._rules = (build, settings, self._cleaner or Cleaner(cleaner_config(settings)))
        return self._rules[1:]

    def _clear_leftovers(self) -> None:
        """Segments that a killed writer had begun or finished, and never published."""
        folder = self._index / "segments"
        if not folder.is_dir():
            return
        named = named_segments(self._index)
        for pattern in ("live-*", ".live-*.partial"):
            for path in folder.glob(pattern):
                if path.name not in named:
                    shutil.rmtree(path)

    def _archived(self, one: Kept, page: Page | RawRecord, ledger: Ledger) -> Kept:
        if isinstance(page, RawRecord):
            return one
        raw = raw_record(page)
        if isinstance(raw, Dropped):  # sifted out before
            return one
        return replace(one, document=replace(one.document, source=ledger.keep(raw)))

    def _publish(
        self,
        ledger: Ledger,
        entry: dict[str, object],
        now: Manifest,
        added: dict[int, str],
        gone: dict[str, tuple[str, ...]],
    ) -> Manifest:
        position = ledger.commit(entry, published=True)

        def change(newest: Manifest) -> Change:
            shards = [list(shard) for shard in newest.shards]
            shards += [[] for _ in range(len(shards), max(added, default=-1) + 1)]
            for shard, name in added.items():
                shards[shard].append(name)
            # A merge may have been published since `now`. What it wrote is not in the catalog; it may hold any of
            # the documents, and a tombstone for one that it does not hold does no harm.
            unknown = set(newest.segments) - set(now.segments)
            dead: dict[str, set[str]] = {name: set(gone) for name in unknown if gone}
            for doc_id, segments in gone.items():
                for name in set(segments) & set(newest.segments):
                    dead.setdefault(name, set()).add(doc_id)
            tombstones = {name: Tombstones(frozenset(ids)) for name, ids in dead.items()}
            return Change(tuple(map(tuple, shards)), tombstones, {**newest.settings, "live": asdict(position)})

        return update(self._index, change)


class _Clock:
    """How long the steps of a call took."""

    def __init__(self) -> None:
        self._began_s = self._last_s = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, step: str) -> None:
        now_s = time.perf_counter()
        self._laps[step] = self._laps.get(step, 0.0) + now_s - self._last_s
        self._last_s = now_s

    def seconds(self) -> dict[str, float]:
        return {**self._laps, "total": time.perf_counter() - self._began_s}


def _embed(texts: list[str]) -> npt.NDArray[np.float32]:
    from sixfold.systems.rag.build_embed import embedder

    return embedder().embed(texts)


def _clean(cleaner: Cleaner, page: Page | RawRecord) -> Document | Dropped:
    raw = page if isinstance(page, RawRecord) else raw_record(page)
    if isinstance(raw, Dropped):
        return raw
    outcome = cleaner.clean(raw)
    if isinstance(outcome, Document) and isinstance(page, Page) and page.title and page.title.strip():
        title = " ".join(NOT_TEXT.sub(" ", page.title).split())[:MAX_TITLE_CHARS].rstrip()
        return replace(outcome, title=scrub(title) if cleaner.config.scrub_pii else title)
    return outcome


def _fates(found: Sifted, kept: Sequence[Kept]) -> tuple[Fate, ...]:
    fates = list(found.fates)
    for one in kept:
        d = one.document
        fate = "replaced" if one.older else "added"
        source = f"{d.source.file}:{d.source.offset}"
        fates[one.at] = Fate(d.url, d.doc_id, fate, source=source, language=d.language, passages=len(one.chunks))
    return tuple(fate for fate in fates if fate is not None)


def _told(removed: Sequence[Removed]) -> list[dict[str, object]]:
    return [{"url": one.url, "doc_id": one.doc_id, "fate": "removed"} for one in removed]
