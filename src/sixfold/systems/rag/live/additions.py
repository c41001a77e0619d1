"""The documents that one call adds, as segments: embedded, spread over the shards and written, not yet published."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sixfold.systems.rag.build_chunks import shard_of
from sixfold.systems.rag.index.manifest import Manifest
from sixfold.systems.rag.index.segment import IndexedChunk, write_segment
from sixfold.systems.rag.live.catalog import Catalog, save_facts
from sixfold.systems.rag.live.sift import Kept

__all__ = ["Embed", "TextVectors", "embed_with", "stored_vectors", "write_additions"]

Embed = Callable[[list[str]], npt.NDArray[np.float32]]
TextVectors = dict[str, npt.NDArray[np.float32]]  # the vector of a passage by its text, on which alone it depends


def stored_vectors(kept: Sequence[Kept], catalog: Catalog) -> TextVectors:
    """Those of the passages of the documents' older versions: what did not change need not be embedded again."""
    vectors: TextVectors = {}
    for one in kept:
        for segment in one.older[:1]:
            stored = catalog.reader(segment).vectors
            passages, positions = catalog.passages(segment, one.document.doc_id)
            if stored is not None:
                vectors.update({at.chunk.text: stored.vectors[n] for at, n in zip(passages, positions, strict=True)})
    return vectors


def embed_with(embed: Embed, kept: Sequence[Kept], known: TextVectors) -> TextVectors:
    """The vectors of all passages: the known ones, and each other text once."""
    new = list(dict.fromkeys(text for one in kept for text in one.texts if text not in known))
    if not new:
        return known
    return {**known, **dict(zip(new, np.asarray(embed(new), dtype=np.float32), strict=True))}


def write_additions(
    index: Path, kept: Sequence[Kept], vectors: TextVectors | None, now: Manifest, catalog: Catalog, capacity_bytes: int
) -> dict[int, str]:
    """Write one segment for each shard that gets documents: shard -> name. vectors: None for an index without.

    A document goes to the shard that its id names among those with room for more; if all are full, to a new one.
    """
    numbers = range(len(now.shards))
    open_shards = [n for n in numbers if catalog.bytes_of(now.shards[n]) < capacity_bytes] or [len(now.shards)]
    by_shard: dict[int, list[Kept]] = {}
    for one in kept:
        by_shard.setdefault(open_shards[shard_of(one.document.doc_id, len(open_shards))], []).append(one)
    dimension = catalog.dimension or next((len(vector) for vector in (vectors or {}).values()), 1)
    names = {}
    for shard, mine in sorted(by_shard.items()):
        names[shard] = f"live-{now.generation + 1:08d}-{shard:04d}"
        embed = None if vectors is None else _looked_up(vectors)
        write_segment(index / "segments" / names[shard], _rows(mine), embed, dimension=dimension)
        save_facts(index, names[shard], np.concatenate([one.facts for one in mine]))
    return names


def _rows(kept: Sequence[Kept]) -> list[IndexedChunk]:
    documents = ((one.document, one.chunks) for one in kept)
    rows = [IndexedChunk(c, d.url, d.title, d.language, d.source) for d, chunks in documents for c in chunks]
    return sorted(rows, key=lambda row: row.chunk.chunk_id)


def _looked_up(vectors: Mapping[str, npt.NDArray[np.float32]]) -> Callable[[Sequence[str]], npt.NDArray[np.float32]]:
    return lambda texts: np.stack([vectors[text] for text in texts])
