"""The last step of a build: a generation with the new segments, and without the documents they replace."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from sixfold.systems.rag.build_folder import BuildFolder, BuildSettings
from sixfold.systems.rag.index.manifest import (
    Manifest,
    Tombstones,
    publish,
    read_manifest,
    read_tombstones,
    write_tombstones,
)
from sixfold.systems.rag.index.segment import SegmentInfo
from sixfold.systems.rag.index.segment_reader import segment_bytes

__all__ = ["publish_segments", "published_build"]


def published_build(index: Path) -> str | None:
    """The build that made the newest generation; None if there is no generation yet."""
    return read_manifest(index).settings.get("build") if (index / "manifest.json").exists() else None


def publish_segments(
    index: Path, folder: BuildFolder, segments: list[SegmentInfo], settings: BuildSettings, probes: int
) -> tuple[Manifest, int]:
    """Publish what a build wrote, once however often this is called; also how many documents it replaces."""
    gone = frozenset(pq.read_table(folder.superseded, columns=["doc_id"])["doc_id"].to_pylist())
    if published_build(index) == folder.path.name:  # killed before it could say that it was done
        return read_manifest(index), len(gone)
    now = read_manifest(index) if (index / "manifest.json").exists() else Manifest(0, ())
    tombstones = dict(now.tombstones)
    for name in (name for shard in now.shards for name in shard):
        before = read_tombstones(index, now, name)
        merged = Tombstones(before.documents | gone, before.chunks)
        if merged != before:
            tombstones[name] = write_tombstones(index, name, now.generation + 1, merged)
    shards = [list(shard) for shard in now.shards]
    sizes = [sum(segment_bytes(index / "segments" / name) for name in shard) for shard in shards]
    for info in segments:  # into the emptiest shard that has room, else into a new one
        at = min(range(len(shards)), key=lambda n: (sizes[n], n), default=None)
        if at is None or sizes[at] + info.total_bytes > settings.capacity_bytes:
            at = len(shards)
            shards.append([])
            sizes.append(0)
        shards[at].append(info.name)
        sizes[at] += info.total_bytes
    probes = max(probes, int(now.settings.get("probes", 0)))
    known = {**now.settings, "probes": probes, "build": folder.path.name}
    manifest = Manifest(now.generation + 1, tuple(map(tuple, shards)), tombstones, known)
    publish(index, manifest)
    return manifest, len(gone)
