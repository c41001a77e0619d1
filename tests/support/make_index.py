"""Small indexes for the tests of this folder: made with the real writer, from texts of few words."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from sixfold.systems.rag.index.manifest import Manifest, publish
from sixfold.systems.rag.index.segment import IndexedChunk, write_segment
from sixfold.systems.rag.records import Chunk, Source, document_id

D = 16


def embed(texts: Sequence[str]) -> np.ndarray:
    """A bag of characters: like texts get like vectors, and equal ones equal vectors."""
    counts = np.array([[text.count(chr(97 + i)) for i in range(D)] for text in texts], dtype=np.float32)
    counts = counts.reshape(-1, D) + np.float32(0.01)
    return counts / np.linalg.norm(counts, axis=1, keepdims=True)


def indexed(url: str, texts: Sequence[str], language: str = "en") -> list[IndexedChunk]:
    """The chunks of one document."""
    doc_id = document_id(url)
    chunks, start = [], 0
    for ordinal, text in enumerate(texts):
        chunk = Chunk(f"{doc_id}-{ordinal:04d}", doc_id, ordinal, start, start + len(text), text)
        chunks.append(IndexedChunk(chunk, url, f"Title of {url}", language, Source("in.warc", start, "sha1:X")))
        start += len(text)
    return chunks


def write(index: Path, name: str, chunks: Iterable[IndexedChunk], **options) -> None:
    """One segment, sorted."""
    ordered = sorted(chunks, key=lambda at: at.chunk.chunk_id)
    options = {"embed": embed, "dimension": D} | options
    write_segment(index / "segments" / name, ordered, **options)


def make_index(index: Path, shards: Sequence[Sequence[Sequence[IndexedChunk]]], **options) -> Manifest:
    """Shards of segments of chunks; empty segments are left out."""
    names = []
    for number, segments in enumerate(shards):
        names.append(tuple(f"s{number}-{at}" for at, chunks in enumerate(segments) if chunks))
        for at, chunks in enumerate(segments):
            if chunks:
                write(index, f"s{number}-{at}", chunks, **options)
    manifest = Manifest(1, tuple(names))
    publish(index, manifest)
    return manifest
