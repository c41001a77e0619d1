"""Step five of a build: the passages of one shard become an immutable segment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from sixfold.systems.rag.build_embed import vectors_beside
from sixfold.systems.rag.build_folder import BuildFolder
from sixfold.systems.rag.index.segment import IndexedChunk, SegmentInfo, write_segment
from sixfold.systems.rag.index.segment_reader import indexed_chunk, segment_info

__all__ = ["SegmentJob", "bytes_per_text_byte", "write_shard"]

Vectors = npt.NDArray[np.float32]

# What a byte of clean text takes in a segment: about 900 characters a passage, 4 x 384 bytes for its vector
# and as much again in the inverted file, postings and compressed text; with room for uneven shards. A
# segment that still does not fit is refused, and the build begins again with twice the shards.
_WITH_VECTORS, _WITHOUT = 5.5, 1.2


@dataclass(frozen=True, slots=True)
class SegmentJob:
    """One shard of a build: its passages lie in `build`, its segment goes to `segment`."""

    build: Path
    parts: int
    shard: int
    segment: Path
    capacity_bytes: int
    with_vectors: bool


def bytes_per_text_byte(*, with_vectors: bool) -> float:
    """b of the shard law ceil(N b / M), for N bytes of clean text."""
    return _WITH_VECTORS if with_vectors else _WITHOUT


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
