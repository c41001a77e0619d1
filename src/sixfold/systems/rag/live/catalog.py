"""Which documents an index has, and what tells that two have the same text: one row a document and segment.

    INDEX/live/facts/SEGMENT.npy   derived from the segment, so it is made again if it is missing

Everything is computed from the passages as they are in the segments, whoever wrote those: a build, a live writer or
a merge. A document is live in one segment at most; its older versions are tombstones in others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from sixfold.systems.rag.clean.minhash import BANDS, PERMUTATIONS, band_hashes, signature
from sixfold.systems.rag.index.manifest import Manifest, read_tombstones
from sixfold.systems.rag.index.segment import IndexedChunk
from sixfold.systems.rag.index.segment_reader import SegmentReader, segment_info
from sixfold.systems.rag.shingles import shingles

__all__ = ["Catalog", "Facts", "content_of", "forget_facts", "load_facts", "save_facts"]

# content: BLAKE2b of the words of the passages; bands: as `band_hashes`, zeros for a text without words.
FACTS = np.dtype([("doc_id", "S32"), ("content", "<u8", (2,)), ("bands", "<u8", (BANDS,))])
Facts = npt.NDArray[np.void]


@dataclass(frozen=True, slots=True)
class _Known:
    """The facts of one segment, and which of its documents are deleted."""

    ids: npt.NDArray[np.bytes_]  # ascending
    content: npt.NDArray[np.uint64]  # [m, 2]
    bands: npt.NDArray[np.uint64]  # [m, B]
    dead: frozenset[str]
    dimension: int
    total_bytes: int

    def live(self, at: int) -> str | None:
        doc_id = str(self.ids[at].decode())
        return None if doc_id in self.dead else doc_id


class Catalog:
    """The documents of one generation. Costs 160 bytes of memory a document; not for several threads."""

    def __init__(self, index: Path) -> None:
        self._index = index
        self._known: dict[str, _Known] = {}
        self._files: dict[str, str | None] = {}  # tombstones by segment, as they were read
        self._readers: dict[str, SegmentReader] = {}

    def refresh(self, manifest: Manifest) -> None:
        """Look at another generation; only new segments and new tombstones are read."""
        known: dict[str, _Known] = {}
        for name in manifest.segments:
            file = manifest.tombstones.get(name)
            before = self._known.get(name)
            if before is not None and self._files[name] == file:
                known[name] = before
                continue
            dead = read_tombstones(self._index, manifest, name).documents
            if before is not None:
                ids, content, bands = before.ids, before.content, before.bands
                known[name] = _Known(ids, content, bands, dead, before.dimension, before.total_bytes)
                continue
            info = segment_info(self._index / "segments" / name)
            facts = load_facts(self._index, name)
            ids, content = (np.ascontiguousarray(facts[field]) for field in ("doc_id", "content"))
            known[name] = _Known(ids, content, facts["bands"], dead, info.dimension, info.total_bytes)
        self._known = known
        self._files = {name: manifest.tombstones.get(name) for name in known}
        self._readers = {name: reader for name, reader in self._readers.items() if name in known}

    @property
    def dimension(self) -> int | None:
        """Of the vectors; 0 for an index without, None for one without segments."""
        return max((known.dimension for known in self._known.values()), default=None)

    def bytes_of(self, segments: Iterable[str]) -> int:
        """What these segments take on disk."""
        return sum(self._known[name].total_bytes for name in segments)

    def segments_of(self, doc_id: str) -> list[str]:
        """Where a document is live: in one segment, or nowhere."""
        key = np.bytes_(doc_id.encode("utf-8", "replace"))
        found = []
        for name, known in self._known.items():
            at = int(np.searchsorted(known.ids, key))
            if at < len(known.ids) and known.ids[at] == key and doc_id not in known.dead:
                found.append(name)
        return found

    def has_content(self, segment: str, doc_id: str, facts: Facts) -> bool:
        """Does a segment hold this document with the words that `facts` [1] are of?"""
        known = self._known[segment]
        at = int(np.searchsorted(known.ids, np.bytes_(doc_id.encode())))
        return bool((known.content[at] == facts["content"][0]).all())

    def same_content(self, facts: Facts) -> Iterator[tuple[str, str]]:
        """(segment, document) of every live document with the words that `facts` [1] are of."""
        yield from self._matches(lambda known: (known.content == facts["content"]).all(axis=1))

    def in_a_band(self, facts: Facts) -> Iterator[tuple[str, str]]:
        """(segment, document) of every live document that shares a band: candidates for near duplicates."""
        if facts["bands"].any():
            yield from self._matches(lambda known: (known.bands == facts["bands"]).any(axis=1))

    def _matches(self, test: Callable[[_Known], npt.NDArray[np.bool_]]) -> Iterator[tuple[str, str]]:
        for name, known in self._known.items():
            for at in np.flatnonzero(test(known)):
                if (doc_id := known.live(int(at))) is not None:
                    yield name, doc_id

    def passages(self, segment: str, doc_id: str) -> tuple[list[IndexedChunk], list[int]]:
        """The passages of a document in order, and their positions in the segment."""
        reader = self.reader(segment)
        positions = reader.positions_of(doc_id)
        both = sorted(zip(reader.read(positions), positions, strict=True), key=lambda pair: pair[0].chunk.ordinal)
        return [chunk for chunk, _ in both], [at for _, at in both]

    def urls(self) -> Iterator[tuple[str, str, str]]:
        """(segment, document, URL) of everything that is live."""
        for name, known in self._known.items():
            table = self.reader(name).table(["doc_id", "url"])
            first = dict(zip(table["doc_id"].to_pylist(), table["url"].to_pylist(), strict=True))
            for doc_id, url in first.items():
                if doc_id not in known.dead:
                    yield name, doc_id, url

    def reader(self, segment: str) -> SegmentReader:
        """The segment, open."""
        if segment not in self._readers:
            self._readers[segment] = SegmentReader.open(self._index / "segments" / segment)
        return self._readers[segment]


def content_of(doc_id: str, texts: Sequence[str]) -> Facts:
    """The row of one document with these passages, in order: an array of one."""
    return _rows({doc_id: [(at, _words(text)) for at, text in enumerate(texts)]}, {doc_id: _minimum(texts)})


def save_facts(index: Path, segment: str, facts: Facts) -> None:
    """Keep the facts of a segment, in ascending order of the documents."""
    path = _path(index, segment)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.save(file, facts[np.argsort(facts["doc_id"], kind="stable")], allow_pickle=False)
    partial.replace(path)


def load_facts(index: Path, segment: str) -> Facts:
    """The facts [m] of a segment, mapped, in ascending order of the documents; they are made if they are not there."""
    path = _path(index, segment)
    documents = segment_info(index / "segments" / segment).documents
    try:
        facts: Facts = np.load(path, mmap_mode="r", allow_pickle=False)
        if facts.dtype == FACTS and len(facts) == documents:
            return facts
    except (OSError, ValueError, EOFError):
        pass
    save_facts(index, segment, _read(index / "segments" / segment / "chunks.parquet"))
    loaded: Facts = np.load(path, mmap_mode="r", allow_pickle=False)
    return loaded


def forget_facts(index: Path) -> None:
    """Delete the facts of segments that are not there any more."""
    for path in (index / "live" / "facts").glob("*.npy"):
        if not (index / "segments" / path.stem).exists():
            path.unlink(missing_ok=True)


def _path(index: Path, segment: str) -> Path:
    return index / "live" / "facts" / f"{segment}.npy"


def _read(parquet: Path) -> Facts:
    """The facts of all documents of a segment; memory holds 16 bytes a passage and a signature a document."""
    words: dict[str, list[tuple[int, bytes]]] = {}
    least: dict[str, npt.NDArray[np.uint32]] = {}
    with pq.ParquetFile(parquet) as file:
        for batch in file.iter_batches(columns=["doc_id", "ordinal", "text"]):
            for row in batch.to_pylist():
                words.setdefault(row["doc_id"], []).append((row["ordinal"], _words(row["text"])))
                mine = _minimum([row["text"]])
                before = least.get(row["doc_id"])
                least[row["doc_id"]] = mine if before is None else np.minimum(before, mine)
    return _rows(words, least)


def _rows(words: Mapping[str, list[tuple[int, bytes]]], least: Mapping[str, npt.NDArray[np.uint32]]) -> Facts:
    facts = np.zeros(len(words), FACTS)
    for at, (doc_id, parts) in enumerate(words.items()):
        digest = blake2b(b"".join(part for _, part in sorted(parts)), digest_size=16).digest()
        facts["doc_id"][at] = doc_id.encode()
        facts["content"][at] = np.frombuffer(digest, "<u8")
        if (least[doc_id] != _NONE).any():
            facts["bands"][at] = band_hashes(least[doc_id][None, :])[0]
    return facts


_NONE = np.uint32(0xFFFFFFFF)


def _words(text: str) -> bytes:
    return blake2b(" ".join(text.split()).encode("utf-8", "replace"), digest_size=16).digest()


def _minimum(texts: Iterable[str]) -> npt.NDArray[np.uint32]:
    """The signature of the union of the passages' shingles: those across two passages are not among them."""
    least = np.full(PERMUTATIONS, _NONE)
    for text in texts:
        if signed := signature(text):
            least = np.minimum(least, np.frombuffer(signed, "<u4"))
    return least


def shingles_of(texts: Iterable[str]) -> npt.NDArray[np.uint64]:
    """The shingles of a document from its passages."""
    return shingles("\n".join(texts))
