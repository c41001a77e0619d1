"""Taking documents out of the index: invisible in the next generation, then off the disk.

Tombstones need no lock but that of the manifest, so that even a build that runs for hours cannot delay them.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from sixfold.errors import ConfigError
from sixfold.systems.rag.index.manifest import Change, Manifest, Tombstones, read_manifest, read_tombstones, update
from sixfold.systems.rag.live.compact import compact_step
from sixfold.systems.rag.takedown_receipt import Found

__all__ = ["bury", "find_in_segments", "named_documents", "purge", "segment_passages", "segment_sources"]

Matches = Callable[[str], bool]
_AGAIN_S = 0.05


def named_documents(segment: Path, matches: Matches) -> dict[str, str]:
    """The documents of a segment whose URL matches, deleted or not: id -> URL. Reads two columns."""
    with pq.ParquetFile(segment / "chunks.parquet") as file:
        table = file.read(columns=["doc_id", "url"])
    pairs = dict(zip(table["doc_id"].to_pylist(), table["url"].to_pylist(), strict=True))
    return {doc_id: url for doc_id, url in pairs.items() if matches(url)}


def find_in_segments(index: Path, matches: Matches) -> Iterator[Found]:
    """Every matching document in every segment on the disk, published or not; the digest is of title and passages."""
    for segment, doc_id, rows in _passages(index, matches):
        data = "\n".join([rows[0]["title"], *(row["text"] for row in rows)]).encode()
        file = str((segment / "chunks.parquet").relative_to(index))
        yield Found("segment", file, doc_id, rows[0]["url"], len(data), hashlib.sha256(data).hexdigest())


def segment_passages(index: Path, matches: Matches) -> Iterator[str]:
    """The texts of the matching passages on the disk."""
    for _, _, rows in _passages(index, matches):
        yield from (row["text"] for row in rows)


def segment_sources(index: Path, matches: Matches) -> Iterator[tuple[str, int, str]]:
    """(file, offset, URL): the records of the input that matching passages came from."""
    for _, _, rows in _passages(index, matches):
        yield rows[0]["source_file"], rows[0]["source_offset"], rows[0]["url"]


def bury(index: Path, matches: Matches) -> tuple[int, dict[str, set[str]]]:
    """Publish tombstones for every matching document that is live; the generation from which on none is.

    Also gives what was buried now: segment -> documents.
    """
    seen: dict[str, frozenset[str]] = {}
    buried: dict[str, set[str]] = {}
    while True:
        now = read_manifest(index)
        gone: dict[str, Tombstones] = {}
        for name in now.segments:
            if name not in seen:
                try:
                    seen[name] = frozenset(named_documents(index / "segments" / name, matches))
                except FileNotFoundError:  # merged and forgotten since the manifest was read
                    break
            if alive := seen[name] - read_tombstones(index, now, name).documents:
                gone[name] = Tombstones(alive)
        else:
            if not gone:
                return now.generation, buried

        def change(newest: Manifest, gone: dict[str, Tombstones] = gone) -> Change:
            # A merge that was published meanwhile has taken some segments away; what it wrote is looked at next.
            return Change(gone={name: ids for name, ids in gone.items() if name in newest.segments})

        update(index, change)
        for name, tombstones in gone.items():
            buried.setdefault(name, set()).update(tombstones.documents)


def purge(index: Path, wait_s: float) -> Counter[str]:
    """Merge until no segment has tombstones; what that came to. Waits for another compactor.

    Raises ConfigError if it does not finish in time.
    """
    until_s = time.monotonic() + wait_s
    told: Counter[str] = Counter()
    while True:
        try:
            merged = compact_step(index, purge=True)
        except ConfigError:
            if time.monotonic() > until_s:
                raise
            time.sleep(_AGAIN_S)
            continue
        if merged is None:
            return told
        told.update(merges=1, passages_copied=merged.passages, passages_left_behind=merged.dead)


def _passages(index: Path, matches: Matches) -> Iterator[tuple[Path, str, list[dict[str, Any]]]]:
    """(segment, document, rows in order) of every matching document of every segment on the disk."""
    for segment in sorted((index / "segments").glob("[!.]*")):
        try:
            if ids := sorted(named_documents(segment, matches)):
                table = pq.read_table(segment / "chunks.parquet", filters=pc.field("doc_id").isin(ids))
            else:
                continue
        except FileNotFoundError:  # half deleted, or just now
            continue
        rows: dict[str, list[dict[str, Any]]] = {}
        for row in sorted(table.to_pylist(), key=lambda row: int(row["ordinal"])):
            rows.setdefault(row["doc_id"], []).append(row)
        for doc_id, of in rows.items():
            yield segment, doc_id, of
