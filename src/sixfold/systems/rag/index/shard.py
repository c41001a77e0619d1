"""One shard: its segments of one generation, searched as if they were one.

What it returns depends on which passages it holds and not on how they are spread over segments: ids ascend
within a segment, so ties are broken by chunk_id everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sixfold.errors import ConfigError
from sixfold.parts.lexical import LexicalIndex, Statistics
from sixfold.systems.rag.index.filters import Filter
from sixfold.systems.rag.index.manifest import Manifest, read_manifest, read_tombstones
from sixfold.systems.rag.index.segment import IndexedChunk
from sixfold.systems.rag.index.segment_reader import Mask, SegmentReader, segment_bytes

__all__ = ["Shard", "merge_vectors"]

Scores = npt.NDArray[np.float32]
Ids = npt.NDArray[np.bytes_]


@dataclass(frozen=True, slots=True)
class _Opened:
    """What the shard of the next generation may go on with."""

    folder: Path
    in_memory: bool
    readers: Mapping[str, SegmentReader]  # by the name of the segment
    masks: Mapping[str, Mask | None]  # by the file of its tombstones


class Shard:
    """An open shard; never changes. A new generation is a new `Shard`."""

    def __init__(
        self,
        number: int,
        generation: int,
        segments: Sequence[tuple[SegmentReader, Mask | None]],
        *,
        opened: _Opened | None = None,
    ) -> None:
        self.number = number
        self.generation = generation
        self._segments = segments
        self._opened = opened

    @classmethod
    def open(
        cls,
        index: str | Path,
        number: int,
        manifest: Manifest | None = None,
        *,
        capacity_bytes: int | None = None,
        in_memory: bool = False,
        reuse: Shard | None = None,
    ) -> Shard:
        """Open shard `number` of a generation (the newest one without it).

        in_memory: read the vectors instead of mapping them; what a node with enough memory does. reuse: the same
        shard in another generation: its segments are not opened, and not checked, again. Both may answer at once,
        and either may be closed first.

        Raises ConfigError if there is no such shard or it is larger than `capacity_bytes`, InputError if a
        segment is damaged, MemoryError if it does not fit.
        """
        index = Path(index)
        manifest = manifest or read_manifest(index)
        if not 0 <= number < len(manifest.shards):
            raise ConfigError(f"got shard {number}, expected 0 to {len(manifest.shards) - 1}")
        names = manifest.shards[number]
        folder = index.resolve() / "segments"
        before = reuse._opened if reuse is not None else None
        if before is None or (before.folder, before.in_memory) != (folder, in_memory):
            before = _Opened(folder, in_memory, {}, {})
        known = before.readers
        size = sum(known[name].total_bytes if name in known else segment_bytes(folder / name) for name in names)
        if capacity_bytes is not None and size > capacity_bytes:
            raise ConfigError(
                f"shard {number} takes {size} bytes and may hold {capacity_bytes}; build the index with more shards"
            )
        readers = {name: known.get(name) or SegmentReader.open(folder / name, in_memory=in_memory) for name in names}
        segments, masks = [], {}
        for name, reader in readers.items():
            live = None
            if (file := manifest.tombstones.get(name)) is not None:
                if file in before.masks:
                    live = before.masks[file]
                else:
                    gone = read_tombstones(index, manifest, name)
                    live = reader.live(gone.documents, gone.chunks)
                masks[file] = live
            segments.append((reader, live))
        return cls(number, manifest.generation, segments, opened=_Opened(folder, in_memory, readers, masks))

    def begin(self, method: str, /, *args: Any, **options: Any) -> Callable[[], Any]:
        """Call a method now and return its result on demand: the in-process side of `ShardHandle`."""
        result = getattr(self, method)(*args, **options)
        return lambda: result

    @property
    def resident_bytes(self) -> int:
        """Bytes of all files of its segments: what it takes when all of it is in memory."""
        return sum(reader.total_bytes for reader, _ in self._segments)

    @property
    def chunks(self) -> int:
        """Passages that are not deleted."""
        return sum(len(r) if live is None else int(np.count_nonzero(live)) for r, live in self._segments)

    @cached_property
    def documents(self) -> int:
        """Documents that are not deleted."""
        return sum(reader.documents(live) for reader, live in self._segments)

    def facts(self) -> dict[str, int]:
        """Number, generation, passages and bytes, for reports."""
        return {
            "shard": self.number,
            "generation": self.generation,
            "chunks": self.chunks,
            "resident_bytes": self.resident_bytes,
        }

    def statistics(self, terms: Sequence[str]) -> Statistics:
        """What the passages that are not deleted add to the statistics of the whole index."""
        parts = (reader.lexical.statistics(terms, live) for reader, live in self._segments)
        return sum(parts, Statistics(0, 0, dict.fromkeys(terms, 0)))

    def lexical(
        self, terms: Sequence[str], statistics: Statistics, k: int, where: Filter | None = None
    ) -> list[tuple[str, float]]:
        """The k best (chunk_id, BM25 score), best first, ties by chunk_id; `statistics` of all shards."""
        found: list[tuple[float, str]] = []
        for reader, live in self._segments:
            index: LexicalIndex = reader.lexical
            positions, scores = index.search(terms, statistics, k, _mask(reader, live, where))
            ids = reader.ids[positions]
            found += [(-float(score), key.decode()) for score, key in zip(scores, ids.tolist(), strict=True)]
        return [(key, -score) for score, key in sorted(found)[:k]]

    def vector(
        self, queries_qd: Scores, k: int, probes: int | None = None, where: Filter | None = None
    ) -> tuple[Scores, Ids]:
        """Scores [q, k] float32 and chunk ids [q, k] (UTF-8 bytes), best first, ties by chunk_id.

        Segments without vectors are passed over. probes: None scans exactly; -inf and b"" where there are fewer than k.
        """
        parts = []
        for reader, live in self._segments:
            if reader.vectors is None:
                continue
            mask = _mask(reader, live, where)
            scores_qk, positions_qk = reader.vectors.search(queries_qd, k, probes, mask)
            ids_qk = np.asarray(reader.ids[positions_qk])
            ids_qk[positions_qk < 0] = b""
            parts.append((scores_qk, ids_qk))
        return merge_vectors(parts, len(queries_qd), k)

    def passages(self, chunk_ids: Sequence[str]) -> dict[str, IndexedChunk]:
        """Those of the passages that are here and not deleted, by chunk_id."""
        found: dict[str, IndexedChunk] = {}
        for reader, live in self._segments:
            here = ((key, reader.position(key)) for key in chunk_ids)
            places = {key: at for key, at in here if at is not None and (live is None or live[at])}
            found.update(zip(places, reader.read(list(places.values())), strict=True))
        return found

    def close(self) -> None:
        """Let go of the files; nothing may be called after it. What is being answered meanwhile is answered.

        A file is closed when no shard and no answer needs it any more: shards of several generations share them.
        """
        self._segments = ()
        self._opened = None


def merge_vectors(parts: Iterable[tuple[Scores, Ids]], q: int, k: int) -> tuple[Scores, Ids]:
    """The k best of several results of `Shard.vector`, sorted by (-score, chunk_id)."""
    parts = list(parts)
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return np.full((q, k), -np.inf, dtype=np.float32), np.full((q, k), b"", dtype="S1")
    scores_qc = np.concatenate([scores for scores, _ in parts], axis=1)
    ids_qc = np.concatenate([ids for _, ids in parts], axis=1)
    best_qk = np.lexsort((ids_qc, -scores_qc), axis=1)[:, :k]
    return np.take_along_axis(scores_qc, best_qk, axis=1), np.take_along_axis(ids_qc, best_qk, axis=1)


def _mask(reader: SegmentReader, live: Mask | None, where: Filter | None) -> Mask | None:
    if where is None or where == Filter():
        return live
    allowed = reader.allowed(where)
    return allowed if live is None else allowed & live
