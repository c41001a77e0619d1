"""Segments become fewer, and what is deleted leaves the disk, while the index is served and written to.

A merge copies the live passages and their stored vectors, so nothing is embedded again. It takes what was live when
it began; what was deleted meanwhile is deleted from the merged segment in the generation that publishes it.
"""

from __future__ import annotations

import heapq
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sixfold.errors import ConfigError
from sixfold.systems.rag.index.history import named_segments
from sixfold.systems.rag.index.lock import COMPACTING, alone
from sixfold.systems.rag.index.manifest import Change, Manifest, Tombstones, read_manifest, read_tombstones, update
from sixfold.systems.rag.index.segment import BLOCK_CHUNKS, IndexedChunk, write_segment
from sixfold.systems.rag.index.segment_reader import Mask, SegmentReader
from sixfold.systems.rag.live.catalog import load_facts, save_facts
from sixfold.systems.rag.live.compact_policy import CompactConfig, SegmentState, segments_to_merge

__all__ = ["Merged", "Tune", "compact_step", "throttled"]

Tune = Callable[[Path], int]  # the probes that a segment needs; 0 for one that is scanned


@dataclass(frozen=True, slots=True)
class Merged:
    """One merge that was published."""

    generation: int
    shard: int
    segments: tuple[str, ...]  # that are not in the index any more
    into: str | None  # None: nothing of them was live
    passages: int  # that were copied
    dead: int  # passages that were left behind
    seconds: float


def compact_step(
    index: str | Path,
    config: CompactConfig | None = None,
    *,
    purge: bool = False,
    share: float = 1.0,
    tune: Tune | None = None,
    before_publish: Callable[[], None] = lambda: None,
) -> Merged | None:
    """One merge, in the first shard that needs one; None if none does. Call it until it returns None.

    purge: rewrite every segment that has tombstones, however few. share: of one core, that copying and indexing may
    take. tune: called for a merged segment that has an inverted file; without it, as a build does it.
    before_publish: for tests of what happens in between. Raises ConfigError if another process compacts this index.
    """
    index = Path(index)
    with alone(index, COMPACTING):
        _clear_leftovers(index)
        now = read_manifest(index)
        for shard in range(len(now.shards)):
            opened = {name: _open(index, now, name) for name in now.shards[shard]}
            states = [_state(now, name, *of) for name, of in opened.items()]
            if chosen := segments_to_merge(states, config, purge=purge):
                some = {name: opened[name] for name in chosen}
                return _merge(index, now, shard, some, throttled(share), tune or _tune, before_publish)
    return None


def throttled(share: float) -> Callable[[], None]:
    """A function that sleeps so that what runs between its calls takes `share` of the time. Raises ConfigError."""
    if not 0 < share <= 1:
        raise ConfigError(f"got a share of {share}, expected above 0 and at most 1")
    last_s = time.perf_counter()

    def pace() -> None:
        nonlocal last_s
        if share < 1:
            time.sleep((time.perf_counter() - last_s) * (1 - share) / share)
            last_s = time.perf_counter()

    return pace


def _open(index: Path, now: Manifest, name: str) -> tuple[SegmentReader, Mask | None]:
    reader = SegmentReader.open(index / "segments" / name)
    gone = read_tombstones(index, now, name)
    return reader, reader.live(gone.documents, gone.chunks) if gone else None


def _state(now: Manifest, name: str, reader: SegmentReader, live: Mask | None) -> SegmentState:
    count = len(reader) if live is None else int(np.count_nonzero(live))
    return SegmentState(name, len(reader), count, reader.total_bytes, name in now.tombstones)


def _merge(
    index: Path,
    now: Manifest,
    shard: int,
    chosen: dict[str, tuple[SegmentReader, Mask | None]],
    pace: Callable[[], None],
    tune: Tune,
    before_publish: Callable[[], None],
) -> Merged:
    began_s = time.perf_counter()
    name: str | None = f"merge-{now.generation + 1:08d}-{shard:04d}"
    folder = index / "segments" / str(name)
    total = sum(len(reader) for reader, _ in chosen.values())
    copied = probes = 0
    if any(live is None or live.any() for _, live in chosen.values()):
        stream = _Stream([(reader, live) for reader, live in chosen.values()])
        embed = stream.vectors if stream.dimension else None
        info = write_segment(folder, stream.passages(), embed, dimension=stream.dimension or 1, pace=pace)
        copied = info.chunks
        _carry_facts(index, now, list(chosen), folder.name, stream.documents)
        probes = tune(folder)
    else:
        name = None
    before_publish()

    def change(newest: Manifest) -> Change:
        if not set(chosen) <= set(newest.shards[shard]):
            raise ConfigError(f"{index} was changed by somebody who compacts it as well: start again")
        later = Tombstones()
        for segment in chosen:
            later |= read_tombstones(index, newest, segment) - read_tombstones(index, now, segment)
        shards = list(newest.shards)
        shards[shard] = tuple(_replaced(newest.shards[shard], set(chosen), name))
        settings = {**newest.settings, "probes": max(probes, int(newest.settings.get("probes", 0)))}
        return Change(tuple(shards), {name: later} if name and later else {}, settings)

    manifest = update(index, change)  # if that fails, the next merge clears the folder away
    seconds = time.perf_counter() - began_s
    return Merged(manifest.generation, shard, tuple(chosen), name, copied, total - copied, seconds)


class _Stream:
    """The live passages of several segments in ascending order of their ids, and beside them their vectors."""

    def __init__(self, segments: Sequence[tuple[SegmentReader, Mask | None]]) -> None:
        self._segments = segments
        self._waiting: deque[npt.NDArray[np.float32]] = deque()
        self.documents: set[str] = set()
        with_vectors = [reader.vectors for reader, _ in segments if reader.vectors is not None]
        if with_vectors and len(with_vectors) < len(segments):
            raise ConfigError("some segments of a shard have vectors and some have none: build the index again")
        self.dimension = with_vectors[0].dimension if with_vectors else 0

    def passages(self) -> Iterator[IndexedChunk]:
        """Each chunk id once."""
        last = ""
        streams = [_live_rows(reader, live) for reader, live in self._segments]
        for passage, vector in heapq.merge(*streams, key=lambda row: row[0].chunk.chunk_id):
            if passage.chunk.chunk_id == last:
                continue
            last = passage.chunk.chunk_id
            self.documents.add(passage.chunk.doc_id)
            if vector is not None:
                self._waiting.append(vector)
            yield passage

    def vectors(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """The vectors of the passages that were taken last: `write_segment` asks for them block by block."""
        return np.stack([self._waiting.popleft() for _ in texts])


def _live_rows(
    reader: SegmentReader, live: Mask | None
) -> Iterator[tuple[IndexedChunk, npt.NDArray[np.float32] | None]]:
    positions = range(len(reader)) if live is None else np.flatnonzero(live).tolist()
    stored = reader.vectors.vectors if reader.vectors is not None else None
    for _, block in groupby(positions, key=lambda at: at // BLOCK_CHUNKS):
        here = list(block)
        vectors = [None] * len(here) if stored is None else stored[here]
        yield from zip(reader.read(here), vectors, strict=True)


def _carry_facts(index: Path, now: Manifest, segments: Sequence[str], into: str, documents: set[str]) -> None:
    """What the catalog knows of the documents that were copied; it would have to read all of their text again."""
    found = []
    for name in segments:
        facts = load_facts(index, name)
        dead = read_tombstones(index, now, name).documents
        found.append(facts[[doc in documents and doc not in dead for doc in map(bytes.decode, facts["doc_id"])]])
    save_facts(index, into, np.concatenate(found))


def _replaced(names: Sequence[str], gone: set[str], into: str | None) -> Iterator[str]:
    for name in names:
        if name not in gone:
            yield name
        elif into is not None:
            yield into
            into = None


def _clear_leftovers(index: Path) -> None:
    """What a killed merge had written and never published."""
    named = named_segments(index)
    for pattern in ("merge-*", ".merge-*.partial"):
        for path in (index / "segments").glob(pattern):
            if path.name not in named:
                shutil.rmtree(path)


def _tune(segment: Path) -> int:
    from sixfold.parts.vectors import VectorIndex
    from sixfold.systems.rag.build_tune import TuneJob, tune_segment

    if not (segment / "vectors").exists() or not VectorIndex.load(segment / "vectors").lists:
        return 0
    return tune_segment(TuneJob(segment))
