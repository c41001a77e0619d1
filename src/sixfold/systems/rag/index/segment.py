"""An immutable segment: passages, where they come from, their lexical index and their vectors, in one folder.

    chunks.parquet   the passages and their origin, in ascending order of chunk_id
    ids.npy          chunk_id of each position, fixed-width UTF-8
    lexical/         parts.lexical
    vectors/         parts.vectors; float32, so that a scan runs on the mapped file as it is; absent without an encoder
    segment.json     counts, settings, and size and SHA-256 of every other file

A segment appears whole or not at all, and the same passages give the same bytes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import file_digest
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from sixfold.errors import CapacityError, ConfigError, InputError
from sixfold.files import replace_json
from sixfold.parts.analyzer import Analyzer
from sixfold.parts.lexical import LexicalIndex
from sixfold.parts.vectors import ANN_MINIMUM, VectorIndex
from sixfold.systems.rag.index.filters import host_of
from sixfold.systems.rag.records import Chunk, Source

__all__ = ["FORMAT", "SCHEMA", "IndexedChunk", "SegmentInfo", "digest", "write_segment"]

Vectors = npt.NDArray[np.float32]
Embed = Callable[[Sequence[str]], Vectors]

FORMAT = "sixfold-segment-1"
BLOCK_CHUNKS = 1_024  # passages that are embedded and written at once; also a row group, the unit of a read
SCHEMA = pa.schema(
    [
        pa.field("chunk_id", pa.string(), nullable=False),
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("ordinal", pa.int32(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("end", pa.int64(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("url", pa.string(), nullable=False),
        pa.field("host", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("source_file", pa.string(), nullable=False),
        pa.field("source_offset", pa.int64(), nullable=False),
        pa.field("source_digest", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class IndexedChunk:
    """A passage and what its document says of it."""

    chunk: Chunk
    url: str
    title: str
    language: str  # ISO 639-1
    source: Source

    def row(self) -> dict[str, str | int]:
        """One row of `SCHEMA`. Lone surrogates, which no UTF-8 file can hold, become question marks."""
        chunk, source = self.chunk, self.source
        return {
            "chunk_id": chunk.chunk_id,
            "doc_id": chunk.doc_id,
            "ordinal": chunk.ordinal,
            "start": chunk.start,
            "end": chunk.end,
            "text": _utf8(chunk.text),
            "url": _utf8(self.url),
            "host": _utf8(host_of(self.url)),
            "title": _utf8(self.title),
            "language": _utf8(self.language),
            "source_file": _utf8(source.file),
            "source_offset": source.offset,
            "source_digest": _utf8(source.digest),
        }


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """What was written."""

    name: str
    chunks: int
    documents: int
    dimension: int  # of the vectors; 0 without
    total_bytes: int  # of all files but segment.json


def write_segment(
    folder: str | Path,
    chunks: Iterable[IndexedChunk],
    embed: Embed | None,
    *,
    dimension: int = 384,
    capacity_bytes: int | None = None,
    ann_minimum: int = ANN_MINIMUM,
    analyzer: Analyzer | None = None,
    pace: Callable[[], None] = lambda: None,
) -> SegmentInfo:
    """Write passages, in strictly ascending order of chunk_id, as a new segment.

    embed: None for a segment that is searched by words only; or texts -> vectors [n, dimension] float32, called
    with 1,024 passages at a time. A text's vector must not depend on its neighbours (`Embedder.embed`, or
    `EmbeddingCache.embed` around it).
    pace: called between any two blocks; it may sleep.
    Position order is then chunk_id order, which is what makes a merged top k that of the whole. Texts and
    vectors stream to disk; memory holds the ids, the lexical index and the IVF; `capacity_bytes`
    bounds them.

    Raises:
        InputError: the folder exists, the ids do not ascend, there are no passages, or the segment grows
            beyond `capacity_bytes`, what one shard may hold (CapacityError). Nothing is left of it then.
        ConfigError: `embed` returns another shape, or a value that is not finite.
    """
    folder = Path(folder)
    if folder.exists():
        raise InputError("exists, and segments are never changed; choose a new name", path=folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a build that was killed
    partial.mkdir()
    try:
        info = _write(partial, folder.name, iter(chunks), embed, dimension, capacity_bytes, ann_minimum, analyzer, pace)
        _sync(partial)
        partial.rename(folder)
        _sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return info


def _write(
    partial: Path,
    name: str,
    chunks: Iterator[IndexedChunk],
    embed: Embed | None,
    dimension: int,
    capacity_bytes: int | None,
    ann_minimum: int,
    analyzer: Analyzer | None,
    pace: Callable[[], None],
) -> SegmentInfo:
    ids: list[bytes] = []
    documents: set[str] = set()

    def check_capacity() -> None:
        used = sum(path.stat().st_size for path in _files(partial))
        if capacity_bytes is not None and used > capacity_bytes:
            raise CapacityError(
                f"takes {used} bytes after {len(ids)} passages, and a shard may hold {capacity_bytes}; "
                "give it fewer passages or the shards more capacity",
                path=name,
            )

    (partial / "vectors").mkdir()
    # The header is written again at the end, when the number of rows is known.
    with (
        pq.ParquetWriter(partial / "chunks.parquet", SCHEMA, compression="zstd") as parquet,
        (partial / "vectors" / "vectors.npy").open("wb") as file,
    ):
        file.write(_npy_header(0, dimension))
        while block := list(islice(chunks, BLOCK_CHUNKS)):
            for at in block:
                chunk_id = at.chunk.chunk_id.encode("utf-8")
                if not chunk_id or b"\0" in chunk_id or (ids and chunk_id <= ids[-1]):
                    before = ids[-1].decode() if ids else ""
                    raise InputError(
                        f"got passage {at.chunk.chunk_id!r} after {before!r}, expected ascending ids",
                        path=name,
                    )
                ids.append(chunk_id)
                documents.add(at.chunk.doc_id)
            pace()
            rows = [at.row() for at in block]
            parquet.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), row_group_size=BLOCK_CHUNKS)
            check_capacity()
            if embed is None:
                continue
            vectors = embed([at.chunk.text for at in block])
            if vectors.shape != (len(block), dimension):
                raise ConfigError(f"got vectors of shape {vectors.shape}, expected ({len(block)}, {dimension})")
            file.write(np.ascontiguousarray(vectors, dtype="<f4").tobytes())
        file.seek(0)
        file.write(_npy_header(len(ids), dimension))
    if not ids:
        raise InputError("no passages to write; leave the segment out", path=name)
    np.save(partial / "ids.npy", np.array(ids, dtype=np.bytes_), allow_pickle=False)
    if embed is None:
        shutil.rmtree(partial / "vectors")
        dimension = 0
    else:
        mapped = np.load(partial / "vectors" / "vectors.npy", mmap_mode="r", allow_pickle=False)
        VectorIndex.build(mapped, ann_minimum=ann_minimum).save(partial / "vectors", with_vectors=False)
    check_capacity()
    LexicalIndex.build(_texts(partial / "chunks.parquet", pace), analyzer).save(partial / "lexical")
    check_capacity()
    sizes = {str(path.relative_to(partial)): path.stat().st_size for path in _files(partial)}
    files = {name: {"bytes": size, "sha256": digest(partial / name)} for name, size in sizes.items()}
    info = SegmentInfo(name, len(ids), len(documents), dimension, sum(sizes.values()))
    replace_json(
        partial / "segment.json",
        {
            "format": FORMAT,
            "chunks": info.chunks,
            "documents": info.documents,
            "dimension": dimension,
            "bytes": info.total_bytes,
            "files": files,
        },
    )
    return info


def _texts(parquet: Path, pace: Callable[[], None]) -> Iterator[str]:
    with pq.ParquetFile(parquet) as file:
        for batch in file.iter_batches(batch_size=BLOCK_CHUNKS, columns=["text"]):
            pace()
            yield from batch.column(0).to_pylist()


def _npy_header(rows: int, columns: int) -> bytes:
    """A version 1.0 .npy header of 128 bytes for float32 [rows, columns] (numpy.lib.format)."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}"
    return b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + text.ljust(117).encode() + b"\n"


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _utf8(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _sync(folder: Path) -> None:
    for path in _files(folder):
        with path.open("rb") as file:
            os.fsync(file.fileno())
    for inside in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        _sync_folder(inside)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
