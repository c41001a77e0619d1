"""Reading a segment: masks for filters and tombstones, passages by their id."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sixfold.errors import InputError
from sixfold.files import read_json
from sixfold.parts.lexical import LexicalIndex
from sixfold.parts.vectors import VectorIndex
from sixfold.systems.rag.index.filters import Filter
from sixfold.systems.rag.index.segment import BLOCK_CHUNKS, FORMAT, SCHEMA, IndexedChunk, SegmentInfo, digest
from sixfold.systems.rag.records import Chunk, Source

__all__ = ["Mask", "SegmentReader", "indexed_chunk", "segment_bytes", "segment_info"]

Mask = npt.NDArray[np.bool_]
Ids = npt.NDArray[np.bytes_]

_FILTERS_KEPT = 16  # masks of recent filters, n bytes each
_GROUPS_KEPT = 16  # of 1,024 passages, 1.5 MB of text and origin each


def segment_info(folder: str | Path) -> SegmentInfo:
    """What was written into a segment, as its `segment.json` says. Raises InputError if that is damaged."""
    folder = Path(folder)
    meta = read_json(folder / "segment.json")
    try:
        counts = (int(meta[name]) for name in ("chunks", "documents", "dimension", "bytes"))
        return SegmentInfo(folder.name, *counts)
    except (KeyError, TypeError, ValueError):
        raise InputError("has no size; build the segment again", path=folder / "segment.json") from None


def segment_bytes(folder: str | Path) -> int:
    """What a segment takes on disk. Raises InputError if its `segment.json` is damaged."""
    return segment_info(folder).total_bytes


@dataclass(frozen=True, slots=True)
class _Columns:
    language: pa.ChunkedArray
    host: pa.ChunkedArray
    url: pa.ChunkedArray


@dataclass(frozen=True, slots=True)
class _Documents:
    """The documents of a segment, and which of them each passage belongs to."""

    ids: pa.Array  # [m] distinct
    number: npt.NDArray[np.int32]  # [n] into `ids`


class SegmentReader:
    """One segment, open. Its files are held open or mapped, so deleting the folder does not disturb it.

    Several shards, of several generations, may read from it at once, in any threads. Its files are closed when
    nobody has it any more.
    """

    def __init__(
        self,
        folder: Path,
        ids: Ids,
        lexical: LexicalIndex,
        vectors: VectorIndex | None,
        total_bytes: int,
        total_documents: int,
    ) -> None:
        self.folder = folder
        self.ids = ids
        self.lexical = lexical
        self.vectors = vectors
        self.total_bytes = total_bytes
        self.total_documents = total_documents  # deleted ones included
        self._parquet = pq.ParquetFile(folder / "chunks.parquet")
        self._reading = threading.RLock()  # a Parquet reader is for one thread at a time
        self._groups: dict[int, pa.Table] = {}  # the one read last at the end
        self._loaded: _Columns | None = None
        self._grouped: _Documents | None = None
        self._masks: dict[Filter, Mask] = {}

    @classmethod
    def open(cls, folder: str | Path, *, in_memory: bool = False, verify: bool = False) -> SegmentReader:
        """Map a segment, or read its vectors into memory; `verify` compares every byte with its SHA-256.

        Raises InputError if a file is missing or damaged, MemoryError if it does not fit.
        """
        folder = Path(folder)
        meta = read_json(folder / "segment.json")
        try:
            if meta["format"] != FORMAT:
                raise ValueError(f"its format is {meta['format']!r}, expected {FORMAT!r}")
            for name, known in meta["files"].items():
                path = folder / name
                if path.stat().st_size != known["bytes"] or (verify and digest(path) != known["sha256"]):
                    raise ValueError(f"{name} is not what was written")
            ids = np.load(folder / "ids.npy", mmap_mode="r", allow_pickle=False)
            lexical = LexicalIndex.load(folder / "lexical")
            vectors = VectorIndex.load(folder / "vectors", in_memory=in_memory) if meta["dimension"] else None
            reader = cls(folder, ids, lexical, vectors, int(meta["bytes"]), int(meta["documents"]))
            counts = {len(ids), lexical.documents, reader._parquet.metadata.num_rows}
            counts |= {len(vectors)} if vectors is not None else set()
            if counts != {meta["chunks"]} or ids.dtype.kind != "S":
                raise ValueError("its files do not fit together")
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            raise InputError(f"not a whole segment ({error}); build it again", path=folder) from error
        return reader

    def __len__(self) -> int:
        return len(self.ids)

    def live(self, documents: Iterable[str], chunks: Iterable[str]) -> Mask | None:
        """True [n] where neither the document nor the chunk is deleted; None if all of them are live."""
        deleted = np.zeros(len(self), dtype=np.bool_)
        deleted[[at for at in map(self.position, chunks) if at is not None]] = True
        if ids := sorted(documents):
            grouped = self._documents()
            deleted |= _bools(pc.is_in(grouped.ids, pa.array(ids, pa.string())))[grouped.number]
        return ~deleted if deleted.any() else None

    def documents(self, live: Mask | None) -> int:
        """How many documents have a passage here that is live; all passages are without a mask."""
        if live is None:
            return self.total_documents
        grouped = self._documents()
        return int(np.count_nonzero(np.bincount(grouped.number[live], minlength=len(grouped.ids))))

    def positions_of(self, doc_id: str) -> list[int]:
        """Where the passages of a document lie, deleted or not; empty if there are none."""
        grouped = self._documents()
        number = pc.index(grouped.ids, doc_id).as_py()
        found: list[int] = np.flatnonzero(grouped.number == number).tolist()
        return found

    def allowed(self, where: Filter) -> Mask:
        """True [n] where the filter lets a passage through."""
        with self._reading:
            if where not in self._masks:
                columns = self._columns()
                mask = np.ones(len(self), dtype=np.bool_)
                if where.language is not None:
                    mask &= _bools(pc.equal(columns.language, where.language))
                if where.host is not None:
                    mask &= _bools(pc.equal(columns.host, where.host.lower()))
                if where.url_prefix is not None:
                    mask &= _bools(pc.starts_with(columns.url, where.url_prefix))
                while len(self._masks) >= _FILTERS_KEPT:
                    del self._masks[next(iter(self._masks))]
                self._masks[where] = mask
            return self._masks[where]

    def position(self, chunk_id: str) -> int | None:
        """Where a chunk lies, or None if it is not here."""
        key = np.bytes_(chunk_id.encode("utf-8", "replace"))
        at = int(np.searchsorted(self.ids, key))
        return at if at < len(self.ids) and self.ids[at] == key else None

    def read(self, positions: Sequence[int]) -> list[IndexedChunk]:
        """The passages at these positions, in the order asked for."""
        rows: dict[int, IndexedChunk] = {}
        for group in sorted({at // BLOCK_CHUNKS for at in positions}):
            wanted = sorted({at for at in positions if at // BLOCK_CHUNKS == group})
            table = self._group(group)
            found = table.take(pa.array([at % BLOCK_CHUNKS for at in wanted], pa.int64())).to_pylist()
            rows.update(zip(wanted, map(indexed_chunk, found), strict=True))
        return [rows[at] for at in positions]

    def _group(self, group: int) -> pa.Table:
        """A row group; those read last are kept, since to decode one takes longer than all else about a read."""
        with self._reading:
            table = self._groups.pop(group, None)
            if table is None:
                table = self._parquet.read_row_group(group, columns=SCHEMA.names)
            self._groups[group] = table
            while len(self._groups) > _GROUPS_KEPT:
                del self._groups[next(iter(self._groups))]
            return table

    def table(self, columns: Sequence[str]) -> pa.Table:
        """Some columns of all passages (`SCHEMA`), in their order."""
        with self._reading:
            return self._parquet.read(columns=list(columns))

    def _columns(self) -> _Columns:
        with self._reading:
            if self._loaded is None:
                names = ["language", "host", "url"]
                table = self._parquet.read(columns=names)
                self._loaded = _Columns(*(table.column(name) for name in names))
            return self._loaded

    def _documents(self) -> _Documents:
        with self._reading:
            if self._grouped is None:
                column = self._parquet.read(columns=["doc_id"]).column(0).combine_chunks().dictionary_encode()
                self._grouped = _Documents(column.dictionary, column.indices.to_numpy())
            return self._grouped


def _bools(column: pa.Array | pa.ChunkedArray) -> Mask:
    mask: Mask = np.asarray(column).astype(np.bool_)
    return mask


def indexed_chunk(row: dict[str, str | int]) -> IndexedChunk:
    """The inverse of `IndexedChunk.row`."""

    def text(name: str) -> str:
        return str(row[name])

    def number(name: str) -> int:
        return int(row[name])

    chunk = Chunk(text("chunk_id"), text("doc_id"), number("ordinal"), number("start"), number("end"), text("text"))
    source = Source(text("source_file"), number("source_offset"), text("source_digest"))
    return IndexedChunk(chunk, text("url"), text("title"), text("language"), source)
