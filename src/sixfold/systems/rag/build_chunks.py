"""Step three of a build: documents that are left become passages, laid out by the shard that will hold them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sixfold.systems.rag.build_folder import BuildFolder
from sixfold.systems.rag.build_published import dropped_places
from sixfold.systems.rag.chunk import chunk_document
from sixfold.systems.rag.index.segment import SCHEMA, IndexedChunk
from sixfold.systems.rag.records import Document
from sixfold.systems.rag.records_arrow import table_to_documents

__all__ = ["ChunkJob", "chunk_part", "kept_documents", "shard_of"]


@dataclass(frozen=True, slots=True)
class ChunkJob:
    """One part to cut. `build` has its documents, `out` gets the passages (the same folder, in a build)."""

    build: Path
    out: Path
    part: int
    shards: int


def shard_of(doc_id: str, shards: int) -> int:
    """The shard that holds a document: all of its passages, so that a document is deleted in one place."""
    return int(doc_id[:8], 16) % shards


def chunk_part(job: ChunkJob) -> int:
    """Cut the documents of a part; returns the number of passages. Files ascend by chunk id, as a segment does."""
    rows: list[list[dict[str, str | int]]] = [[] for _ in range(job.shards)]
    for document in kept_documents(BuildFolder(job.build), job.part):
        shard = rows[shard_of(document.doc_id, job.shards)]
        for chunk in chunk_document(document):
            shard.append(IndexedChunk(chunk, document.url, document.title, document.language, document.source).row())
    folder = BuildFolder(job.out).chunks(job.part)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for number, mine in enumerate(rows):
        mine.sort(key=lambda row: row["chunk_id"])
        pq.write_table(pa.Table.from_pylist(mine, schema=SCHEMA), partial / f"{number:04d}.parquet", compression="zstd")
    partial.rename(folder)
    return sum(map(len, rows))


def kept_documents(folder: BuildFolder, part: int) -> Iterator[Document]:
    """The documents of a part that deduplication left."""
    gone = dropped_places(folder, part)
    with pq.ParquetFile(folder.documents(part)) as file:
        for group in range(file.num_row_groups):
            for document in table_to_documents(file.read_row_group(group)):
                if (document.source.file, document.source.offset) not in gone:
                    yield document
