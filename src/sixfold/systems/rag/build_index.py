"""Step five of a build: the passages of one shard become an immutable segment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from sixfold.design.laws.data import shard_count
from sixfold.systems.rag.build_embed import vectors_beside
from sixfold.systems.rag.build_folder import BuildFolder
from sixfold.systems.rag.index.segment import IndexedChunk, SegmentInfo, write_segment
from sixfold.systems.rag.index.segment_reader import indexed_chunk, segment_info

__all__ = ["SegmentJob", "index_bytes", "planned_shards", "write_shard"]

Vectors = npt.NDArray[np.float32]

# b of the shard law: what a byte of clean text takes in a segment. Postings and compressed text took 0.65 of it
# on 3.3 MB of documentation; a passage of 1,360 characters has a vector of 4 x 384 bytes, and half as much again
# in the inverted file of a large segment.
_WORDS, _VECTORS = 0.65, 1.7
# Documents are whole and their hashes uneven: shards are planned with this much room. One that still does not
# fit is refused, and the documents are divided again by twice as many.
_ROOM = 1.6


@dataclass(frozen=True, slots=True)
class SegmentJob:
    """One shard of a build: its passages lie in `build`, its segment goes to `segment`."""

    build: Path
    parts: int
    shard: int
    segment: Path
    capacity_bytes: int
    with_vectors: bool


def index_bytes(text_bytes: int, *, with_vectors: bool) -> float:
    """N b of the shard law: what so many bytes of clean text are expected to take as an index."""
    return text_bytes * (_WORDS + _VECTORS * with_vectors)


def planned_shards(text_bytes: int, capacity_bytes: int, *, with_vectors: bool) -> int:
    """ceil(N b / M) with room for shards that are larger than the mean."""
    return shard_count(1, _ROOM * index_bytes(text_bytes, with_vectors=with_vectors), capacity_bytes)


def write_shard(job: SegmentJob) -> SegmentInfo | None:
    """Write the segment of a shard, unless it is there; None for a shard without passages.

    Memory is bounded by what the shard may hold. Raises InputError if that is exceeded.
    """
    if job.segment.exists():  # whole, and of this build: it appears by a rename
        return segment_info(job.segment)
    files = [BuildFolder(job.build).chunks(part) / f"{job.shard:04d}.parquet" for part in range(job.parts)]
    tables = [pq.read_table(path) for path in files]
    passages = pa.concat_tables(tables)
    if len(passages) == 0:
        return None
    order = np.argsort(np.array(passages["chunk_id"].to_pylist()), kind="stable")
    embed: Callable[[Sequence[str]], Vectors] | None = None
    if job.with_vectors:
        vectors = np.concatenate([np.load(vectors_beside(path), allow_pickle=False) for path in files])
        embed = _in_order(vectors, order)
    return write_segment(job.segment, _rows(passages.take(pa.array(order))), embed, capacity_bytes=job.capacity_bytes)


def _in_order(vectors: Vectors, order: npt.NDArray[np.intp]) -> Callable[[Sequence[str]], Vectors]:
    """What `write_segment` asks for block by block: the passages come in this very order."""
    at = 0

    def embed(texts: Sequence[str]) -> Vectors:
        nonlocal at
        block = vectors[order[at : at + len(texts)]]
        at += len(texts)
        return block

    return embed


def _rows(passages: pa.Table) -> Iterator[IndexedChunk]:
    for batch in passages.to_batches(max_chunksize=1_024):
        for row in batch.to_pylist():
            yield indexed_chunk(row)
