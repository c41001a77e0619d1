"""The last step of a build: a generation with the new segments, and without the documents they replace."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from sixfold.systems.rag.build_folder import BuildFolder, BuildSettings
from sixfold.systems.rag.index.manifest import Change, Manifest, Tombstones, read_manifest, update
from sixfold.systems.rag.index.segment import SegmentInfo
from sixfold.systems.rag.index.segment_reader import segment_bytes
from sixfold.systems.rag.takedown_index import named_documents
from sixfold.systems.rag.takedown_rules import Blocklist, index_blocklist

__all__ = ["publish_segments", "published_build"]


def published_build(index: Path) -> str | None:
    """The build that made the newest generation; None if there is no generation yet."""
    return read_manifest(index).settings.get("build") if (index / "manifest.json").exists() else None


def publish_segments(
    index: Path, folder: BuildFolder, segments: list[SegmentInfo], settings: BuildSettings, probes: int
) -> tuple[Manifest, int]:
    """Publish what a build wrote, once however often this is called; also how many documents it replaces."""
    replaced = gone = frozenset(pq.read_table(folder.superseded, columns=["doc_id"])["doc_id"].to_pylist())
    if published_build(index) == folder.path.name:  # killed before it could say that it was done
        return read_manifest(index), len(replaced)
    # What live writers have added since is replaced like what earlier builds have: a document is live once.
    for info in segments:
        added = pq.read_table(index / "segments" / info.name / "chunks.parquet", columns=["doc_id"])
        gone |= frozenset(added["doc_id"].to_pylist())
    blocklist = Blocklist(index_blocklist(index))
    refused = _taken_down(index, segments, blocklist)

    def change(now: Manifest) -> Change:
        dead = _taken_down(index, segments, blocklist) if blocklist.refresh() else refused  # a rule came meanwhile
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
        most = max(probes, int(now.settings.get("probes", 0)))
        known = {**now.settings, "probes": most, "build": folder.path.name}
        older = {name: mine for name in now.segments if (mine := _documents_in(index, name, gone))}
        return Change(tuple(map(tuple, shards)), {**dead, **older}, known)

    return update(index, change), len(replaced)


def _taken_down(index: Path, segments: list[SegmentInfo], blocklist: Blocklist) -> dict[str, Tombstones]:
    """What of a build was taken down while it ran, by segment."""
    dead: dict[str, Tombstones] = {}
    for info in segments if blocklist else ():
        named = named_documents(index / "segments" / info.name, lambda url: blocklist.rule_for(url) is not None)
        if named:
            dead[info.name] = Tombstones(frozenset(named))
    return dead


def _documents_in(index: Path, segment: str, documents: frozenset[str]) -> Tombstones:
    """Those of the documents that a segment has."""
    here = pq.read_table(index / "segments" / segment / "chunks.parquet", columns=["doc_id"])["doc_id"]
    return Tombstones(documents & frozenset(here.unique().to_pylist()))
