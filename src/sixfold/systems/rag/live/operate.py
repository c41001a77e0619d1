"""What the commands of `sixfold rag` do to an index that is being served: ingest, delete, compact."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sixfold.errors import ConfigError, InputError
from sixfold.systems.rag.build_folder import BuildSettings
from sixfold.systems.rag.index.history import GRACE_S, forget
from sixfold.systems.rag.index.manifest import read_manifest
from sixfold.systems.rag.live.compact import compact_step
from sixfold.systems.rag.live.compact_policy import CompactConfig
from sixfold.systems.rag.live.pages import MOST_BYTES, MOST_PAGES
from sixfold.systems.rag.live.writer import Writer
from sixfold.systems.rag.records import Dropped, RawRecord
from sixfold.systems.rag.sources import plan_splits, read_split

__all__ = ["run_compact", "run_delete", "run_ingest"]


def run_ingest(inputs: list[str], index: Path, *, allow_duplicates: bool = False) -> dict[str, Any]:
    """Read WARC, JSONL and files as a build does, and put their pages into an index that is there.

    A receipt for every so many pages, each visible when it was published. What cannot be read is in `unread`.
    """
    read_manifest(index)  # an index has to be there: a mistyped name must not become one
    writer = Writer(index)
    unread: list[dict[str, str]] = []
    receipts = [writer.upsert(batch, allow_duplicates=allow_duplicates) for batch in _batches(inputs, unread)]
    counts: dict[str, int] = {}
    for fate in (fate for receipt in receipts for fate in receipt.fates):
        counts[fate.fate] = counts.get(fate.fate, 0) + 1
    return {
        "index": str(index),
        "generation": read_manifest(index).generation,
        "counts": counts,
        "unread": unread,
        "receipts": [receipt.as_json() for receipt in receipts],
    }


def run_delete(
    index: Path, *, url: str | None = None, host: str | None = None, pattern: str | None = None
) -> dict[str, Any]:
    """Remove what a URL, a host or a pattern of URLs names. Raises InputError if that is nothing."""
    read_manifest(index)
    receipt = Writer(index).remove(
        urls=[url] if url is not None else [], hosts=[host] if host is not None else [], pattern=pattern
    )
    if not receipt.removed:
        raise InputError(f"nothing in it is named by {url or host or pattern!r}", path=index)
    return receipt.as_json()


def run_compact(
    index: Path,
    *,
    purge: bool = False,
    share: float = 1.0,
    grace_s: float = GRACE_S,
    config: CompactConfig | None = None,
) -> dict[str, Any]:
    """Merge segments until none needs it, and delete what no recent generation names.

    purge: all that was removed is off the disk when this returns, so it waits until `grace_s` are over.
    """
    if grace_s < 0:
        raise ConfigError(f"got a grace of {grace_s} s, expected at least 0")
    merges = []
    while (merged := compact_step(index, config, purge=purge, share=share)) is not None:
        merges.append(asdict(merged))
    if purge and merges:
        time.sleep(grace_s)
    erased = forget(index, time.time(), grace_s)
    now = read_manifest(index)
    return {
        "index": str(index),
        "generation": now.generation,
        "segments": len(now.segments),
        "merges": merges,
        "erased": erased,
    }


def _batches(inputs: list[str], unread: list[dict[str, str]]) -> Iterator[list[RawRecord]]:
    """The pages of all inputs, as many at once as a call may bring; what could not be read goes to `unread`."""
    batch: list[RawRecord] = []
    size = 0
    for split in plan_splits(inputs, BuildSettings().split_bytes):
        for item in read_split(split):
            if isinstance(item, Dropped):
                place = f"{item.source.file}:{item.source.offset}"
                unread.append({"url": item.url, "reason": item.reason, "detail": item.detail, "source": place})
                continue
            if batch and (len(batch) >= MOST_PAGES // 10 or size + len(item.payload) > MOST_BYTES // 4):
                yield batch
                batch, size = [], 0
            batch.append(item)
            size += len(item.payload)
    if batch:
        yield batch
